//! Statements in documents, on real databases.

use segno_test_support::servers::{MariaDb, Postgres};
use sqlx::{Connection, Executor, MySqlConnection, PgConnection};

use super::document::Block;

/// A database that a comment names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Postgres,
    MySql,
}

/// The statements of each database that a block's comments name; none if something in it is for no database.
pub(crate) fn statements(text: &str) -> Option<Vec<(Database, String)>> {
    let mut statements: Vec<(Database, String)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("-- ") {
            let database = match name {
                "PostgreSQL" => Database::Postgres,
                "MySQL, MariaDB" => Database::MySql,
                _ => return None,
            };
            statements.push((database, String::new()));
        } else {
            let (_, part) = statements.last_mut()?;
            part.push_str(line);
            part.push('\n');
        }
    }
    Some(statements)
}

/// Runs a block.
pub(crate) async fn run(path: &str, block: &Block) {
    for (database, text) in statements(&block.text).unwrap_or_default() {
        let statement = sqlx::AssertSqlSafe(text.clone());
        let done = match database {
            Database::Postgres => {
                let server = Postgres::start().await;
                let mut connection = PgConnection::connect(&server.url()).await.unwrap();
                connection.execute(statement).await.map(drop)
            }
            Database::MySql => {
                let server = MariaDb::start().await;
                let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
                connection.execute(statement).await.map(drop)
            }
        };
        assert!(
            done.is_ok(),
            "{path}:{}: {database:?}: {done:?}\n{text}",
            block.line
        );
    }
}
