-- How many executions there are, by type and status, so that to count them is not to walk through them. The file keeps it
-- itself, with every change of a row and in its transaction: an earlier version of the engine, which knows nothing of this,
-- keeps it as well.
CREATE TABLE IF NOT EXISTS execution_count (
  scope         INTEGER NOT NULL,
  workflow_type TEXT NOT NULL,
  status        INTEGER NOT NULL,
  count         INTEGER NOT NULL,          -- at least 1
  PRIMARY KEY (scope, workflow_type, status)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS execution_is_counted AFTER INSERT ON execution BEGIN
  INSERT INTO execution_count VALUES (new.scope, new.workflow_type, new.status, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER IF NOT EXISTS execution_is_counted_no_more AFTER DELETE ON execution BEGIN
  UPDATE execution_count SET count = count - 1
    WHERE scope = old.scope AND workflow_type = old.workflow_type AND status = old.status;
  DELETE FROM execution_count
    WHERE scope = old.scope AND workflow_type = old.workflow_type AND status = old.status AND count = 0;
END;

CREATE TRIGGER IF NOT EXISTS execution_is_counted_anew AFTER UPDATE OF scope, workflow_type, status ON execution
WHEN (new.scope, new.workflow_type, new.status) <> (old.scope, old.workflow_type, old.status) BEGIN
  UPDATE execution_count SET count = count - 1
    WHERE scope = old.scope AND workflow_type = old.workflow_type AND status = old.status;
  DELETE FROM execution_count
    WHERE scope = old.scope AND workflow_type = old.workflow_type AND status = old.status AND count = 0;
  INSERT INTO execution_count VALUES (new.scope, new.workflow_type, new.status, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
