-- Times are milliseconds since 1970, ids are UUIDs in their usual spelling.

CREATE TABLE crawlers (
    id          VARCHAR(36)  NOT NULL PRIMARY KEY,
    name        VARCHAR(200) NOT NULL,
    definition  TEXT         NOT NULL,
    created_at  BIGINT       NOT NULL,
    updated_at  BIGINT       NOT NULL
);

CREATE TABLE schedules (
    id          VARCHAR(36)  NOT NULL PRIMARY KEY,
    crawler_id  VARCHAR(36)  NOT NULL REFERENCES crawlers (id),
    definition  TEXT         NOT NULL,
    enabled     BIGINT       NOT NULL,
    created_at  BIGINT       NOT NULL,
    updated_at  BIGINT       NOT NULL
);

-- A run's history record.
CREATE TABLE runs (
    id              VARCHAR(36)  NOT NULL PRIMARY KEY,
    crawler_id      VARCHAR(36)  NOT NULL REFERENCES crawlers (id),
    requested_by    VARCHAR(20)  NOT NULL,
    request_hash    VARCHAR(64)  NOT NULL,
    workflow_id     VARCHAR(255),
    status          VARCHAR(20)  NOT NULL,
    reason          TEXT,
    processes       BIGINT       NOT NULL,
    stop_requested  VARCHAR(20),
    stopped_by      VARCHAR(200),
    saturation      TEXT,
    saturated_at    BIGINT,
    export_status   VARCHAR(20),
    export_reason   TEXT,
    records         BIGINT,
    metadata_count  BIGINT,
    supporting_file TEXT,
    reconciled      BIGINT       NOT NULL,
    created_at      BIGINT       NOT NULL,
    started_at      BIGINT,
    ended_at        BIGINT
);
CREATE INDEX runs_by_time ON runs (created_at, id);
CREATE INDEX runs_by_crawler ON runs (crawler_id, created_at, id);
CREATE INDEX runs_by_status ON runs (status, created_at, id);

-- Attempts to deploy a run's main job.
CREATE TABLE deployments (
    run_id      VARCHAR(36)  NOT NULL REFERENCES runs (id),
    number      BIGINT       NOT NULL,
    job_name    VARCHAR(63)  NOT NULL,
    job_id      VARCHAR(100),
    outcome     TEXT,
    started_at  BIGINT       NOT NULL,
    ended_at    BIGINT,
    PRIMARY KEY (run_id, number)
);

-- One process of a run: its desired state, or what is known of the actual one.
CREATE TABLE tasks (
    id             VARCHAR(36)  NOT NULL PRIMARY KEY,
    run_id         VARCHAR(36)  NOT NULL REFERENCES runs (id),
    process_number BIGINT       NOT NULL,
    job_name       VARCHAR(63)  NOT NULL,
    job_id         VARCHAR(100),
    status         VARCHAR(20)  NOT NULL,
    missing_since  BIGINT,
    pod            VARCHAR(255),
    node           VARCHAR(255),
    restarts       BIGINT       NOT NULL,
    exit_code      BIGINT,
    failure        TEXT,
    log_tail       TEXT,
    pages          BIGINT,
    records        BIGINT,
    errors         BIGINT,
    created_at     BIGINT       NOT NULL,
    deployed_at    BIGINT,
    started_at     BIGINT,
    ended_at       BIGINT
);
CREATE UNIQUE INDEX tasks_of_run ON tasks (run_id, process_number);
CREATE INDEX tasks_by_status ON tasks (run_id, status);

-- Each change of a status that reconciliation made, and why.
CREATE TABLE corrections (
    run_id      VARCHAR(36)  NOT NULL REFERENCES runs (id),
    number      BIGINT       NOT NULL,
    task_id     VARCHAR(36)  NOT NULL,
    from_status VARCHAR(20)  NOT NULL,
    to_status   VARCHAR(20)  NOT NULL,
    reason      TEXT         NOT NULL,
    made_at     BIGINT       NOT NULL,
    PRIMARY KEY (task_id, from_status, to_status, number)
);
CREATE INDEX corrections_of_run ON corrections (run_id, made_at);

CREATE TABLE logs (
    id       VARCHAR(100) NOT NULL PRIMARY KEY,
    run_id   VARCHAR(36)  NOT NULL REFERENCES runs (id),
    task_id  VARCHAR(36),
    level    VARCHAR(10)  NOT NULL,
    message  TEXT         NOT NULL,
    made_at  BIGINT       NOT NULL
);
CREATE INDEX logs_of_run ON logs (run_id, made_at);

-- Delivered rows.
CREATE TABLE records (
    run_id   VARCHAR(36)  NOT NULL,
    number   BIGINT       NOT NULL,
    data     TEXT         NOT NULL,
    PRIMARY KEY (run_id, number)
);
