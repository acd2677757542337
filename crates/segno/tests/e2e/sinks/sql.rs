use segno_test_support::servers::{MariaDb, Postgres};
use sqlx::{Connection, MySqlConnection, PgConnection};

use super::{TestEngine, deliver_across_an_outage};

on_every_engine!(orders_are_rows_of_postgresql, orders_are_rows_of_mariadb);

const COLUMNS: &str =
    "columns = { id = { pointer = \"/id\" }, total = { pointer = \"/total\" }, kind = \"{{ event.type }}\" }";
const TABLE: &str = "CREATE TABLE orders \
    (idempotency_key varchar(255) PRIMARY KEY, id varchar(9) NOT NULL, total int NOT NULL, kind varchar(20) NOT NULL)";
const TOTALS: &str = "SELECT total FROM orders WHERE kind = 'order.placed' AND idempotency_key LIKE 'all//shop/%' ORDER BY total";

async fn orders_are_rows_of_postgresql(engine: TestEngine) {
    let mut server = Postgres::start().await;
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    sqlx::query(TABLE).execute(&mut connection).await.unwrap();
    server.kill();
    let sink = format!(
        "sql = {{ url = \"{}\", table = \"orders\", {COLUMNS} }}",
        server.url()
    );
    deliver_across_an_outage(&engine, &sink, async || server.start_again().await).await;
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    let totals: Vec<i32> = sqlx::query_scalar(TOTALS)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(totals, [1, 2, 3, 4]);
}

async fn orders_are_rows_of_mariadb(engine: TestEngine) {
    let mut server = MariaDb::start().await;
    let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
    sqlx::query(TABLE).execute(&mut connection).await.unwrap();
    server.kill();
    let sink = format!(
        "sql = {{ url = \"{}\", table = \"orders\", {COLUMNS} }}",
        server.url()
    );
    deliver_across_an_outage(&engine, &sink, async || server.start_again().await).await;
    let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
    let totals: Vec<i32> = sqlx::query_scalar(TOTALS)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(totals, [1, 2, 3, 4]);
}
