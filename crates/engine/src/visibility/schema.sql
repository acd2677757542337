-- What list and count queries see of executions. One row an execution run; `key` is the engine's key of the run.
--
-- `scope` is the namespace's key (at least 1), or its negative where the execution belongs to a namespace
-- division (schedules and other internals), which a query sees only if it names TemporalNamespaceDivision.
-- `order_time` is the close time, or the largest integer while the execution is open: the default order is
-- (order_time, start_time, key) descending, open executions first. Times are nanoseconds since 1970.
CREATE TABLE IF NOT EXISTS execution (
  key                    INTEGER PRIMARY KEY,
  scope                  INTEGER NOT NULL,
  workflow_id            TEXT NOT NULL,
  run_id                 TEXT NOT NULL,
  workflow_type          TEXT NOT NULL,
  task_queue             TEXT NOT NULL,
  status                 INTEGER NOT NULL, -- temporal.api.enums.v1.WorkflowExecutionStatus
  start_time             INTEGER NOT NULL,
  execution_time         INTEGER NOT NULL,
  close_time             INTEGER,
  order_time             INTEGER NOT NULL,
  history_length         INTEGER,          -- this and the next two: known once closed
  history_size_bytes     INTEGER,
  state_transition_count INTEGER,
  parent_workflow_id     TEXT,
  parent_run_id          TEXT,
  root_workflow_id       TEXT,             -- NULL where the execution is its own root
  root_run_id            TEXT,
  memo                   BLOB,             -- temporal.api.common.v1.Memo
  search_attributes      BLOB,             -- temporal.api.common.v1.SearchAttributes
  attributes             TEXT              -- their values in comparable form: JSON object by attribute id
) STRICT;

CREATE INDEX IF NOT EXISTS execution_by_order ON execution (scope, order_time, start_time, status);
CREATE INDEX IF NOT EXISTS execution_by_type ON execution (scope, workflow_type, order_time, start_time, status);
-- Open executions sort before all others and most closed ones are completed, so only the rest needs an index.
CREATE INDEX IF NOT EXISTS execution_by_status ON execution (scope, status, order_time, start_time)
  WHERE status BETWEEN 3 AND 7;
CREATE INDEX IF NOT EXISTS execution_by_start ON execution (scope, start_time);
CREATE INDEX IF NOT EXISTS execution_by_workflow_id ON execution (scope, workflow_id);
CREATE INDEX IF NOT EXISTS execution_by_parent ON execution (scope, parent_workflow_id)
  WHERE parent_workflow_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS execution_by_root ON execution (scope, root_workflow_id)
  WHERE root_workflow_id IS NOT NULL;

-- One row a value: several for a KeywordList, one a distinct word for Text. In the default order within a value.
CREATE TABLE IF NOT EXISTS execution_attribute (
  scope      INTEGER NOT NULL,
  attribute  INTEGER NOT NULL,
  value      ANY NOT NULL,
  order_time INTEGER NOT NULL,
  start_time INTEGER NOT NULL,
  key        INTEGER NOT NULL,
  PRIMARY KEY (scope, attribute, value, order_time, start_time, key)
) STRICT, WITHOUT ROWID;

-- The custom attributes of each namespace. A removed one keeps its row: values written under its id still exist.
CREATE TABLE IF NOT EXISTS search_attribute_type (
  number        INTEGER PRIMARY KEY,
  namespace_key INTEGER NOT NULL,
  name          TEXT NOT NULL,
  type          INTEGER NOT NULL,          -- temporal.api.enums.v1.IndexedValueType
  removed       INTEGER NOT NULL DEFAULT 0,
  UNIQUE (namespace_key, name, type)
) STRICT;
