-- The outbox of SQLite 3.35 and later. docs/outbox.md describes its columns.

CREATE TABLE segno_outbox (
    -- SQLite has one writer at a time, so a later position is a later commit.
    position        INTEGER PRIMARY KEY AUTOINCREMENT,
    part            INTEGER NOT NULL DEFAULT 0,
    -- The event: CloudEvents' attributes.
    id              TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    type            TEXT    NOT NULL,
    subject         TEXT,
    time            TEXT,
    datacontenttype TEXT,
    dataschema      TEXT,
    extensions      TEXT,
    -- Rows of one key are published in the order in which they were committed.
    aggregate_key   TEXT,
    -- JSON text; base64 where data_encoding says so or cipher_key is set.
    data            TEXT,
    data_encoding   TEXT    NOT NULL DEFAULT 'json' CHECK (data_encoding IN ('json', 'base64')),
    cipher_key      TEXT,
    -- What became of it. Times are milliseconds since 1970.
    state           TEXT    NOT NULL DEFAULT 'pending'
                    CHECK (state IN ('pending', 'published', 'parked', 'discarded')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    retry_at_ms     INTEGER,
    last_error      TEXT,
    created_at_ms   INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
    published_at_ms INTEGER,
    UNIQUE (source, id)
);

CREATE INDEX segno_outbox_pending ON segno_outbox (part, position) WHERE state = 'pending';
CREATE INDEX segno_outbox_retry ON segno_outbox (part, retry_at_ms) WHERE state = 'pending' AND retry_at_ms IS NOT NULL;
CREATE INDEX segno_outbox_parked ON segno_outbox (part, position) WHERE state = 'parked';
CREATE INDEX segno_outbox_done ON segno_outbox (published_at_ms) WHERE state IN ('published', 'discarded');

-- Whoever is named here may publish until its lease ends.
CREATE TABLE segno_outbox_part (
    number          INTEGER NOT NULL PRIMARY KEY,
    owner           TEXT,
    leased_until_ms INTEGER NOT NULL DEFAULT 0
);
INSERT INTO segno_outbox_part (number) VALUES (0);
