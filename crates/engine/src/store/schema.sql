-- The engine's file. Times are nanoseconds since the Unix epoch.

CREATE TABLE IF NOT EXISTS meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS namespace (
    key  INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    info BLOB NOT NULL              -- protobuf: NamespaceRecord
);

-- One row a run: what the engine keeps beside the history (protobuf: RunState).
CREATE TABLE IF NOT EXISTS run (
    key   INTEGER PRIMARY KEY,      -- counts up; the newest run of a workflow id has the highest
    state BLOB NOT NULL
);

-- Workflow id to runs. The one with the highest key is the current one. Standalone activities are runs too; their
-- ids are apart, under the negative key of the namespace.
CREATE TABLE IF NOT EXISTS run_id (
    namespace   INTEGER NOT NULL,
    workflow_id TEXT NOT NULL,
    key         INTEGER NOT NULL,
    run_id      TEXT NOT NULL,
    PRIMARY KEY (namespace, workflow_id, key)
) WITHOUT ROWID;

-- The open runs, narrow, so that a start with a million of them is quick.
CREATE TABLE IF NOT EXISTS open_run (
    key     INTEGER PRIMARY KEY,
    wake_at INTEGER,                -- NULL: only a request moves it
    ready   INTEGER NOT NULL        -- 1: it has tasks for a task queue
);

-- Histories, in the batches they were written in (protobuf: temporal.api.history.v1.History).
CREATE TABLE IF NOT EXISTS history (
    key         INTEGER NOT NULL,
    first_event INTEGER NOT NULL,
    events      BLOB NOT NULL,
    PRIMARY KEY (key, first_event)
) WITHOUT ROWID;

-- What people have configured of task queues (protobuf: temporal.api.taskqueue.v1.TaskQueueConfig).
CREATE TABLE IF NOT EXISTS task_queue_config (
    namespace INTEGER NOT NULL,
    type      INTEGER NOT NULL,     -- temporal.api.enums.v1.TaskQueueType
    name      TEXT NOT NULL,
    config    BLOB NOT NULL,
    PRIMARY KEY (namespace, type, name)
) WITHOUT ROWID;

-- What has changed of runs and is not filed in their tables yet, one row a batch, in order (protobuf: Changes).
-- Empty when nothing has happened for a moment.
CREATE TABLE IF NOT EXISTS journal (
    number  INTEGER PRIMARY KEY,
    changes BLOB NOT NULL
);

-- Runs that are being deleted: they are found no more, or will be found no more in a moment.
CREATE TABLE IF NOT EXISTS deletion (
    key INTEGER PRIMARY KEY
);

-- Batch operations (protobuf: BatchRecord).
CREATE TABLE IF NOT EXISTS batch_operation (
    namespace  INTEGER NOT NULL,
    job_id     TEXT NOT NULL,
    start_time INTEGER NOT NULL,
    open       INTEGER NOT NULL,
    record     BLOB NOT NULL,
    PRIMARY KEY (namespace, job_id)
) WITHOUT ROWID;

-- Schedules (protobuf: ScheduleRecord). A key is never used again: runs name their schedule by it.
CREATE TABLE IF NOT EXISTS schedule (
    key       INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace INTEGER NOT NULL,
    id        TEXT NOT NULL,
    wake_at   INTEGER,              -- NULL: only a request moves it, or the end of a run
    state     BLOB NOT NULL,
    UNIQUE (namespace, id)
);

-- Worker deployments (protobuf: DeploymentRecord).
CREATE TABLE IF NOT EXISTS worker_deployment (
    namespace INTEGER NOT NULL,
    name      TEXT NOT NULL,
    record    BLOB NOT NULL,
    PRIMARY KEY (namespace, name)
) WITHOUT ROWID;
