-- The outbox of MySQL 8.0.13, MariaDB 10.6 and later. docs/outbox.md describes its columns.
-- Where MySQL writes a binary log, triggers need `log_bin_trust_function_creators = 1` or a privileged user.

CREATE TABLE segno_outbox (
    -- Given out when a trigger has got the lock of the key.
    position        BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    part            SMALLINT     NOT NULL DEFAULT 0,
    -- The event: CloudEvents' attributes.
    id              VARCHAR(255) NOT NULL,
    source          VARCHAR(255) NOT NULL,
    type            VARCHAR(255) NOT NULL,
    subject         TEXT,
    time            VARCHAR(64),
    datacontenttype VARCHAR(255),
    dataschema      TEXT,
    extensions      LONGTEXT,
    -- Rows of one key are published in the order in which they were committed.
    aggregate_key   VARCHAR(255),
    -- JSON text; base64 where data_encoding says so or cipher_key is set.
    data            LONGTEXT,
    data_encoding   VARCHAR(10)  NOT NULL DEFAULT 'json' CHECK (data_encoding IN ('json', 'base64')),
    cipher_key      VARCHAR(100),
    -- What became of it. Times are milliseconds since 1970.
    state           VARCHAR(10)  NOT NULL DEFAULT 'pending'
                    CHECK (state IN ('pending', 'published', 'parked', 'discarded')),
    attempts        INTEGER      NOT NULL DEFAULT 0,
    retry_at_ms     BIGINT,
    last_error      TEXT,
    created_at_ms   BIGINT       NOT NULL DEFAULT (CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)),
    published_at_ms BIGINT,
    UNIQUE KEY segno_outbox_event (source, id),
    KEY segno_outbox_pending (state, part, position),
    KEY segno_outbox_retry (state, part, retry_at_ms),
    KEY segno_outbox_done (state, published_at_ms)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- A relay that works on a part of the keys holds the lock of its row.
CREATE TABLE segno_outbox_part (
    number SMALLINT NOT NULL PRIMARY KEY
) ENGINE = InnoDB;
INSERT INTO segno_outbox_part (number)
    VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15);

-- A transaction that writes a key holds the lock of one of these rows until it ends.
CREATE TABLE segno_outbox_lock (
    slot SMALLINT NOT NULL PRIMARY KEY
) ENGINE = InnoDB;
INSERT INTO segno_outbox_lock (slot)
    SELECT a.number + 16 * b.number + 256 * c.number
    FROM segno_outbox_part a, segno_outbox_part b, segno_outbox_part c WHERE c.number < 4;

CREATE TRIGGER segno_outbox_before_insert BEFORE INSERT ON segno_outbox FOR EACH ROW
BEGIN
    DECLARE locked SMALLINT;
    SET NEW.part = CRC32(COALESCE(NEW.aggregate_key, NEW.id)) & 15;
    IF NEW.aggregate_key IS NOT NULL THEN
        SELECT slot INTO locked FROM segno_outbox_lock WHERE slot = (CRC32(NEW.aggregate_key) >> 4) & 1023 FOR UPDATE;
    END IF;
END;
