-- Takes what is written to a table of Debezium's outbox layout into the outbox, within the writer's transaction.
-- {table} and {source} stand for the table's name and the source of the events.
CREATE TABLE IF NOT EXISTS {table} (
    id            VARCHAR(255) NOT NULL PRIMARY KEY,
    aggregatetype VARCHAR(255) NOT NULL,
    aggregateid   VARCHAR(255) NOT NULL,
    type          VARCHAR(255) NOT NULL,
    payload       JSON
);
DROP TRIGGER IF EXISTS {table}_to_segno;
CREATE TRIGGER {table}_to_segno AFTER INSERT ON {table} FOR EACH ROW
    INSERT INTO segno_outbox (id, source, type, subject, aggregate_key, data)
    VALUES (NEW.id, '{source}', NEW.type, NEW.aggregateid, CONCAT(NEW.aggregatetype, '/', NEW.aggregateid),
            CAST(NEW.payload AS CHAR));
