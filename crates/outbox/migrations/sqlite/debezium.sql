-- Takes what is written to a table of Debezium's outbox layout into the outbox, within the writer's transaction.
-- {table} and {source} stand for the table's name and the source of the events.
CREATE TABLE IF NOT EXISTS {table} (
    id            TEXT NOT NULL PRIMARY KEY,
    aggregatetype TEXT NOT NULL,
    aggregateid   TEXT NOT NULL,
    type          TEXT NOT NULL,
    payload       TEXT
);
DROP TRIGGER IF EXISTS {table}_to_segno;
CREATE TRIGGER {table}_to_segno AFTER INSERT ON {table} FOR EACH ROW
BEGIN
    INSERT INTO segno_outbox (id, source, type, subject, aggregate_key, data)
    VALUES (NEW.id, '{source}', NEW.type, NEW.aggregateid, NEW.aggregatetype || '/' || NEW.aggregateid, NEW.payload);
END;
