-- Indexes that a file of an earlier version does not have, over all its executions.
--
-- Closed executions by how long they took: the hexadecimal digits of the nanoseconds, at least 5 (about a millisecond).
-- Those of so many digits that started before a time closed soon after it, for their kind, so they are found there.
CREATE INDEX IF NOT EXISTS execution_by_duration
  ON execution (scope, max(5, length(format('%x', order_time - start_time))), order_time, start_time)
  WHERE order_time < 9223372036854775807;
-- Those that closed before they were to begin: few, and none that begins after a time has closed before that otherwise.
CREATE INDEX IF NOT EXISTS execution_closed_early ON execution (scope, order_time, start_time)
  WHERE execution_time > order_time;
