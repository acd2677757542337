//! What the store fails with.

/// The store does not do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refuses or does not answer.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables cannot be made.
    #[error("the platform's tables cannot be made: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The URL is of no database that is known.
    #[error("the database's URL begins with sqlite:, mysql:, mariadb: or postgres:")]
    Scheme,
    /// What is asked for is not there.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What it is.
        what: &'static str,
        /// Its id.
        id: uuid::Uuid,
    },
    /// A column has what no version of the platform writes.
    #[error("a row cannot be read: {0:?}")]
    Unreadable(String),
    /// What is to be kept cannot be written as JSON.
    #[error("a definition cannot be encoded")]
    Encode(#[from] serde_json::Error),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Database(_))
    }
}
