-- Takes what is written to a table of Debezium's outbox layout into the outbox, within the writer's transaction.
-- {table} and {source} stand for the table's name and the source of the events.
CREATE TABLE IF NOT EXISTS {table} (
    id            UUID         NOT NULL PRIMARY KEY,
    aggregatetype VARCHAR(255) NOT NULL,
    aggregateid   VARCHAR(255) NOT NULL,
    type          VARCHAR(255) NOT NULL,
    payload       JSONB
);
CREATE OR REPLACE FUNCTION {table}_to_segno() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segno_outbox (id, source, type, subject, aggregate_key, data)
    VALUES (CAST(NEW.id AS TEXT), '{source}', NEW.type, NEW.aggregateid,
            NEW.aggregatetype || '/' || NEW.aggregateid, CAST(NEW.payload AS TEXT));
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS {table}_to_segno ON {table};
CREATE TRIGGER {table}_to_segno AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_to_segno();
