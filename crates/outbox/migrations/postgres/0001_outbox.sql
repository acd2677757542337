-- The outbox of PostgreSQL 12 and later. docs/outbox.md describes its columns.

-- Counts on in the order in which transactions get the lock of a key.
CREATE SEQUENCE segno_outbox_position;

CREATE TABLE segno_outbox (
    -- Set by a trigger.
    position        BIGINT       NOT NULL PRIMARY KEY,
    part            SMALLINT     NOT NULL DEFAULT 0,
    -- The event: CloudEvents' attributes.
    id              VARCHAR(255) NOT NULL,
    source          VARCHAR(255) NOT NULL,
    type            VARCHAR(255) NOT NULL,
    subject         TEXT,
    time            VARCHAR(64),
    datacontenttype VARCHAR(255),
    dataschema      TEXT,
    extensions      TEXT,
    -- Rows of one key are published in the order in which they were committed.
    aggregate_key   VARCHAR(255),
    -- JSON text; base64 where data_encoding says so or cipher_key is set.
    data            TEXT,
    data_encoding   VARCHAR(10)  NOT NULL DEFAULT 'json' CHECK (data_encoding IN ('json', 'base64')),
    cipher_key      VARCHAR(100),
    -- What became of it. Times are milliseconds since 1970.
    state           VARCHAR(10)  NOT NULL DEFAULT 'pending'
                    CHECK (state IN ('pending', 'published', 'parked', 'discarded')),
    attempts        INTEGER      NOT NULL DEFAULT 0,
    retry_at_ms     BIGINT,
    last_error      TEXT,
    created_at_ms   BIGINT       NOT NULL DEFAULT (CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)),
    published_at_ms BIGINT,
    UNIQUE (source, id)
);

CREATE INDEX segno_outbox_pending ON segno_outbox (part, position) WHERE state = 'pending';
CREATE INDEX segno_outbox_retry ON segno_outbox (part, retry_at_ms) WHERE state = 'pending' AND retry_at_ms IS NOT NULL;
CREATE INDEX segno_outbox_parked ON segno_outbox (part, position) WHERE state = 'parked';
CREATE INDEX segno_outbox_done ON segno_outbox (published_at_ms) WHERE state IN ('published', 'discarded');

-- A relay that works on a part of the keys holds the lock of its row.
CREATE TABLE segno_outbox_part (
    number SMALLINT NOT NULL PRIMARY KEY
);
INSERT INTO segno_outbox_part (number) SELECT generate_series(0, 15);

-- The lock of the key is held until the transaction ends, so a later position is a later commit.
CREATE FUNCTION segno_outbox_before_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hash BIGINT := hashtextextended(coalesce(NEW.aggregate_key, NEW.id), 5350);
BEGIN
    IF NEW.aggregate_key IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hash);
    END IF;
    NEW.position := nextval('segno_outbox_position');
    NEW.part := hash & 15;
    RETURN NEW;
END
$$;

CREATE TRIGGER segno_outbox_before_insert BEFORE INSERT ON segno_outbox
    FOR EACH ROW EXECUTE FUNCTION segno_outbox_before_insert();

-- Wakes the relays when the transaction commits.
CREATE FUNCTION segno_outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('segno_outbox', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER segno_outbox_notify AFTER INSERT ON segno_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION segno_outbox_notify();
