//! What can be wrong with a query, in the words of the real server.

/// A query that cannot be run. `Display` is the message for the caller, with status INVALID_ARGUMENT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is not in the grammar. `position` counts as the real server counts: from the start of the SQL
    /// statement it makes of the query.
    #[error("invalid query: malformed SQL query: syntax error at position {position}{}", near_token(.near))]
    Malformed {
        /// One past the token that does not fit.
        position: usize,
        /// That token, empty at the end and for punctuation.
        near: String,
    },
    /// An attribute the namespace does not have.
    #[error("invalid query: invalid search attribute: {0}")]
    UnknownAttribute(String),
    /// A condition that makes no sense, such as a value of the wrong type.
    #[error("invalid query: invalid expression: {0}")]
    InvalidExpression(String),
    /// A condition or clause that is understood but not offered.
    #[error("invalid query: operation is not supported: {0}")]
    NotSupported(String),
    /// An attribute that queries of schedules do not know.
    #[error("invalid query filter for schedules: cannot filter on {0:?}")]
    ScheduleFilter(String),
}

fn near_token(token: &str) -> String {
    if token.is_empty() {
        String::new()
    } else {
        format!(" near '{token}'")
    }
}

/// What can go wrong while a query runs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The query; INVALID_ARGUMENT.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The page token is not one of this query's; INVALID_ARGUMENT.
    #[error("invalid page token")]
    PageToken,
    /// The file.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}
