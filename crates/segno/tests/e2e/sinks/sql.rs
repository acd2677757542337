use segno_test_support::servers::{MariaDb, Postgres};
use sqlx::{Connection, MySqlConnection, PgConnection};

use super::{TestEngine, deliver_across_an_outage};

on_every_engine!(orders_are_rows_of_postgresql, orders_are_rows_of_mariadb);

const COLUMNS: &str =
    "columns = { id = { pointer = \"/id\" }, total = { pointer = \"/total\" }, kind = \"{{ event.type }}\" }";
const TABLE: &str = "CREATE TABLE orders \
    (idempotency_key varchar(255) PRIMARY KEY, id varchar(9) NOT NULL, total int NOT NULL, kind varchar(20) NOT NULL)";
const TOTALS: &str = "SELECT total FROM orders WHERE kind = 'order.placed' AND idempotency_key LIKE 'all//shop/%' ORDER BY total";

/// One behaviour for each database: sqlx's connections have no type in common that could be asked for a row.
macro_rules! orders_are_rows {
    ($name:ident, $server:ident, $connection:ident) => {
        async fn $name(engine: TestEngine) {
            let mut server = $server::start().await;
            let mut connection = $connection::connect(&server.url()).await.unwrap();
            sqlx::query(TABLE).execute(&mut connection).await.unwrap();
            server.kill();
            let sink = format!(
                "sql = {{ url = \"{}\", table = \"orders\", {COLUMNS} }}",
                server.url()
            );
            deliver_across_an_outage(&engine, &sink, async || server.start_again().await).await;
            let mut connection = $connection::connect(&server.url()).await.unwrap();
            let rows = sqlx::query_scalar(TOTALS).fetch_all(&mut connection).await;
            let totals: Vec<i32> = rows.unwrap();
            assert_eq!(totals, [1, 2, 3, 4]);
        }
    };
}

orders_are_rows!(orders_are_rows_of_postgresql, Postgres, PgConnection);
orders_are_rows!(orders_are_rows_of_mariadb, MariaDb, MySqlConnection);
