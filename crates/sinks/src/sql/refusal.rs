//! What the databases' errors mean.
//!
//! The messages of refused rows are not passed on: they quote values, and what fails is told to people who are not to see
//! payloads. Names of columns and constraints are.

use std::time::Duration;

use sqlx::{Error, error::DatabaseError, mysql::MySqlDatabaseError, postgres::PgDatabaseError};

use crate::Failure;

/// How long one statement may take; `limits.timeout` can only make it shorter.
pub(super) const STATEMENT: Duration = Duration::from_secs(30);
/// How long it may take to get a connection.
pub(super) const ACQUIRE: Duration = Duration::from_secs(5);

/// The error of a unique index in MySQL.
pub(super) const DUPLICATE: u16 = 1062;

/// What the error means for the rows of its statement.
pub(super) fn failure(error: &Error) -> Failure {
    let Error::Database(refused) = error else {
        return match error {
            Error::Encode(_) | Error::InvalidArgument(_) => {
                Failure::permanent(format!("the row cannot be sent: {error}"))
            }
            _ => Failure::retryable(format!("the database cannot be reached: {error}")),
        };
    };
    if let Some(refused) = refused.try_downcast_ref::<PgDatabaseError>() {
        return postgres(refused);
    }
    if let Some(refused) = refused.try_downcast_ref::<MySqlDatabaseError>() {
        return mysql(refused);
    }
    Failure::retryable(format!("the database answers: {refused}"))
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn postgres(refused: &PgDatabaseError) -> Failure {
    let code = refused.code();
    let name = match (refused.constraint(), refused.column()) {
        (Some(constraint), _) => format!(" {constraint:?}"),
        (None, Some(column)) => format!(" of the column {column:?}"),
        (None, None) => String::new(),
    };
    match code.get(..2) {
        Some("22") => Failure::permanent(format!(
            "PostgreSQL refuses the row: a value does not fit its column{name} (SQLSTATE {code})"
        )),
        Some("23") => Failure::permanent(format!(
            "PostgreSQL refuses the row: it breaks a constraint{name} (SQLSTATE {code})"
        )),
        Some("54") => Failure::permanent(format!(
            "PostgreSQL refuses the row: it is too large (SQLSTATE {code})"
        )),
        _ => Failure::retryable(format!(
            "PostgreSQL answers: {} (SQLSTATE {code})",
            refused.message()
        )),
    }
}

/// <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>
fn mysql(refused: &MySqlDatabaseError) -> Failure {
    let number = refused.number();
    let message = refused.message();
    let class = refused.code().unwrap_or_default();
    // A value that is cut, of a wrong type, or missing; a check that fails in MySQL, in MariaDB.
    let by_number = matches!(number, 1265 | 1364 | 1366 | 3819 | 4025);
    if class.starts_with("22") || class.starts_with("23") || by_number {
        let column = column(message)
            .map(|column| format!(" {column:?}"))
            .unwrap_or_default();
        return Failure::permanent(format!(
            "the database refuses the row: a value does not fit its column{column}, or breaks a constraint (error {number})"
        ));
    }
    Failure::retryable(format!("the database answers: {message} (error {number})"))
}

/// The column in a message such as `Incorrect integer value: 'x' for column 'n' at row 1`, and nothing of the value.
fn column(message: &str) -> Option<&str> {
    // MariaDB says the database and the table too: `test`.`orders`.`n`.
    if let Some((_, rest)) = message.rsplit_once("olumn `") {
        return rest.rsplit('`').nth(1);
    }
    let quoted = message
        .rsplit_once("olumn '")
        .or_else(|| message.rsplit_once("ield '"));
    let (name, _) = quoted?.1.split_once('\'')?;
    Some(name)
}

/// Whether it is said about a unique index.
pub(super) fn is_duplicate(error: &Error) -> bool {
    let Error::Database(refused) = error else {
        return false;
    };
    refused
        .try_downcast_ref::<MySqlDatabaseError>()
        .is_some_and(|refused| refused.number() == DUPLICATE)
}

/// Whether the table may have changed since it was looked at: a column or a type is not what it was.
pub(super) fn is_about_the_table(error: &Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code.starts_with("42"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_columns_name_is_told() {
        for (message, name) in [
            ("Incorrect integer value: 'x' for column 'n' at row 1", Some("n")),
            (
                "Incorrect integer value: 'for column 'y'' for column `test`.`orders`.`n` at row 1",
                Some("n"),
            ),
            ("Column 'n' cannot be null", Some("n")),
            ("Field 'n' doesn't have a default value", Some("n")),
            ("Duplicate entry 'x' for key 'n'", None),
        ] {
            assert_eq!(column(message), name, "{message}");
        }
    }
}
