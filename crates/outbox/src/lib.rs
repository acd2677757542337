//! A transactional outbox.
