-- Mails that were handed to their server, and those that were about to be: then `sent_at` is missing.
CREATE TABLE sent_mails (
    message_id  VARCHAR(255) NOT NULL PRIMARY KEY,
    begun_at    BIGINT       NOT NULL,
    sent_at     BIGINT
);
