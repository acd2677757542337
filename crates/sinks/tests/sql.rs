//! The SQL sink against PostgreSQL and MariaDB, or MySQL in its place (`SEGNO_TEST_MYSQLD`).
#![cfg(feature = "sql")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::{collections::BTreeMap, path::Path, time::Duration};

use futures::future::join_all;
use segno_sinks::{Delivered, Delivery, Failure, Options, Sinks};
use segno_test_support::{
    Authority, Cut,
    servers::{MariaDb, Postgres},
    write_file,
};
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, Connection, MySqlConnection, PgConnection, Row,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

const TAKEN: Result<Delivered, Failure> = Ok(Delivered { status: None });

/// A database of either kind.
enum Database {
    Postgres(Postgres),
    MariaDb(MariaDb),
}

impl Database {
    fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::MariaDb(server) => server.url(),
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Postgres(server) => server.port(),
            Self::MariaDb(server) => server.port(),
        }
    }

    fn kill(&mut self) {
        match self {
            Self::Postgres(server) => server.kill(),
            Self::MariaDb(server) => server.kill(),
        }
    }

    async fn start_again(&mut self) {
        match self {
            Self::Postgres(server) => server.start_again().await,
            Self::MariaDb(server) => server.start_again().await,
        }
    }

    async fn run(&self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        match self {
            Self::Postgres(server) => {
                let mut connection = PgConnection::connect(&server.url()).await.unwrap();
                sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
            }
            Self::MariaDb(server) => {
                let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
                sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// The texts of a query of one column.
    async fn texts(&self, query: &str) -> Vec<Option<String>> {
        let query = AssertSqlSafe(query.to_owned());
        match self {
            Self::Postgres(server) => {
                let mut connection = PgConnection::connect(&server.url()).await.unwrap();
                let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.try_get(0).unwrap()).collect()
            }
            Self::MariaDb(server) => {
                let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
                let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.try_get(0).unwrap()).collect()
            }
        }
    }

    async fn count(&self, from: &str) -> usize {
        self.texts(&format!("SELECT 'x' FROM {from}")).await.len()
    }
}

/// Makes each named behaviour, an `async fn(Database)`, a test on both.
macro_rules! on_both {
    ($($behaviour:ident),+ $(,)?) => {
        mod postgres {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    super::$behaviour(super::Database::Postgres(super::Postgres::start().await)).await;
                }
            )+
        }

        mod mariadb {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    super::$behaviour(super::Database::MariaDb(super::MariaDb::start().await)).await;
                }
            )+
        }
    };
}

on_both!(
    the_default_table,
    columns_of_many_types,
    a_bad_row_fails_alone,
    another_constraint_is_no_duplicate,
    names_and_values_are_no_sql,
    a_natural_key,
    a_table_that_is_missing_is_waited_for,
    a_database_that_dies_is_found_again,
    over_a_cut_network_a_row_is_there_once,
);

/// A sink named `rows`.
fn sink(database: &Database, options: &str) -> Sinks {
    let text = format!("rows.sql = {{ url = \"{}\", {options} }}", database.url());
    Sinks::new(toml::from_str(&text).unwrap(), "/nowhere".as_ref()).unwrap()
}

async fn deliver(sinks: &Sinks, key: &str, payload: &Value) -> Result<Delivered, Failure> {
    sinks.deliver("rows", Delivery::new(key, payload)).await
}

async fn the_default_table(database: Database) {
    let sinks = sink(&database, r#"table = "deliveries", create = true"#);
    let payloads: Vec<_> = (0..300).map(|n| json!({"n": n, "text": "ä'\"\n"})).collect();
    let keys: Vec<_> = (0..300).map(|n| format!("route//shop/ä {n}/tell/0")).collect();
    // All of them twice: a row of a key is there once.
    for _ in 0..2 {
        let deliveries = payloads
            .iter()
            .zip(&keys)
            .map(|(payload, key)| deliver(&sinks, key, payload));
        for outcome in join_all(deliveries).await {
            assert_eq!(outcome, TAKEN);
        }
    }
    let texts = match &database {
        Database::Postgres(_) => database.texts("SELECT payload::text FROM deliveries").await,
        Database::MariaDb(_) => {
            database
                .texts("SELECT CAST(payload AS CHAR) FROM deliveries")
                .await
        }
    };
    let mut found: Vec<Value> = texts
        .iter()
        .map(|text| serde_json::from_str(text.as_deref().unwrap()).unwrap())
        .collect();
    found.sort_by_key(|payload| payload["n"].as_i64());
    assert_eq!(found, payloads);
    let first = "deliveries WHERE idempotency_key = 'route//shop/%C3%A4%200/tell/0'";
    assert_eq!(database.count(first).await, 1);
    let now = match &database {
        Database::Postgres(_) => {
            "deliveries WHERE delivered_at BETWEEN now() - interval '5 minutes' AND now()"
        }
        Database::MariaDb(_) => {
            "deliveries WHERE TIMESTAMPDIFF(SECOND, delivered_at, UTC_TIMESTAMP()) BETWEEN 0 AND 300"
        }
    };
    assert_eq!(database.count(now).await, 300);
    let long = "k".repeat(5_000);
    for _ in 0..2 {
        assert_eq!(deliver(&sinks, &long, &json!(null)).await, TAKEN);
    }
    assert_eq!(database.count("deliveries").await, 301);
    // In one batch too.
    let payload = json!(1);
    let same = join_all((0..50).map(|_| deliver(&sinks, "same", &payload)));
    assert!(same.await.iter().all(|outcome| *outcome == TAKEN));
    assert_eq!(database.count("deliveries").await, 302);
}

const COLUMNS: &str = r#"table = "orders", columns = {
    customer = "{{ payload.customer.name | upper }}", total = { pointer = "/total" }, paid = { pointer = "/paid" },
    placed = { pointer = "/placed" }, items = { json = "/items" }, note = { pointer = "/note" } }"#;

async fn orders(database: &Database) {
    let (json, time) = match database {
        Database::Postgres(_) => ("jsonb", "timestamptz"),
        Database::MariaDb(_) => ("json", "datetime(3)"),
    };
    let statement = format!(
        "CREATE TABLE orders (idempotency_key varchar(255) PRIMARY KEY, customer varchar(20) NOT NULL, \
        total numeric(10, 2) NOT NULL CHECK (total >= 0), paid boolean, placed {time}, items {json}, note varchar(8), \
        UNIQUE (note))"
    );
    database.run(&statement).await;
}

fn order(n: i64) -> Value {
    json!({
        "customer": {"name": "ann"}, "total": n, "paid": true, "placed": "2026-03-01T12:00:00.250+02:00",
        "items": [{"sku": "a'b"}],
    })
}

async fn columns_of_many_types(database: Database) {
    orders(&database).await;
    let sinks = sink(&database, COLUMNS);
    let mut first = order(7);
    first["total"] = json!("12.50");
    first["note"] = json!(42);
    assert_eq!(deliver(&sinks, "1", &first).await, TAKEN);
    let mut second = order(8);
    second["items"] = json!("text");
    second["paid"] = json!(false);
    second["placed"] = Value::Null;
    assert_eq!(deliver(&sinks, "2", &second).await, TAKEN);
    for condition in [
        "idempotency_key = '1' AND customer = 'ANN' AND total = 12.5 AND paid AND note = '42'",
        "idempotency_key = '2' AND NOT paid AND note IS NULL AND placed IS NULL",
    ] {
        assert_eq!(
            database.count(&format!("orders WHERE {condition}")).await,
            1,
            "{condition}"
        );
    }
    let (times, items) = match &database {
        Database::Postgres(_) => (
            "SELECT to_char(placed AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') FROM orders ORDER BY total DESC",
            "SELECT items::text FROM orders ORDER BY idempotency_key",
        ),
        Database::MariaDb(_) => (
            "SELECT CAST(placed AS CHAR) FROM orders ORDER BY total DESC",
            "SELECT CAST(items AS CHAR) FROM orders ORDER BY idempotency_key",
        ),
    };
    assert_eq!(
        database.texts(times).await,
        [Some("2026-03-01 10:00:00.250".to_owned()), None]
    );
    let items = database.texts(items).await;
    let items: Vec<Value> = items
        .iter()
        .map(|text| serde_json::from_str(text.as_deref().unwrap()).unwrap())
        .collect();
    assert_eq!(items, [json!([{"sku": "a'b"}]), json!("text")]);
}

async fn a_bad_row_fails_alone(database: Database) {
    orders(&database).await;
    let sinks = sink(&database, COLUMNS);
    let mut payloads: Vec<_> = (0..30).map(order).collect();
    payloads[3]["total"] = json!(-1);
    payloads[7]["total"] = json!("hunter2");
    payloads[11]["total"] = Value::Null;
    payloads[13]["placed"] = json!("hunter2");
    payloads[17]["note"] = json!("hunter2 is longer than it may be");
    payloads[19]["customer"]["name"] = json!("hunter2 is too long for its column");
    let keys: Vec<_> = (0..30).map(|n| n.to_string()).collect();
    let deliveries = payloads
        .iter()
        .zip(&keys)
        .map(|(payload, key)| deliver(&sinks, key, payload));
    for (n, outcome) in join_all(deliveries).await.into_iter().enumerate() {
        if [3, 7, 11, 13, 17, 19].contains(&n) {
            let failure = outcome.unwrap_err();
            assert!(matches!(failure, Failure::Permanent { .. }), "{n}: {failure:?}");
            assert!(failure.to_string().contains("refuses the row"), "{failure}");
            assert!(!failure.to_string().contains("hunter2"), "{failure}");
        } else {
            assert_eq!(outcome, TAKEN, "{n}");
        }
    }
    assert_eq!(database.count("orders").await, 24);
}

async fn another_constraint_is_no_duplicate(database: Database) {
    orders(&database).await;
    let sinks = sink(&database, COLUMNS);
    let mut payload = order(1);
    payload["note"] = json!("same");
    assert_eq!(deliver(&sinks, "1", &payload).await, TAKEN);
    assert_eq!(deliver(&sinks, "1", &payload).await, TAKEN);
    let failure = deliver(&sinks, "2", &payload).await.unwrap_err();
    assert!(matches!(failure, Failure::Permanent { .. }), "{failure:?}");
    assert_eq!(database.count("orders").await, 1);
}

async fn names_and_values_are_no_sql(database: Database) {
    let (table, column) = match &database {
        Database::Postgres(_) => ("\"a\"\"; DROP TABLE x\"", "\"b\"\")--\""),
        Database::MariaDb(_) => ("`a\"; DROP TABLE x`", "`b\")--`"),
    };
    database.run("CREATE TABLE x (n int)").await;
    let statement =
        format!("CREATE TABLE {table} (idempotency_key varchar(255) PRIMARY KEY, {column} varchar(99))");
    database.run(&statement).await;
    let options = r#"table = 'a"; DROP TABLE x', columns = { 'b")--' = { pointer = "/text" } }"#;
    let sinks = sink(&database, options);
    let payload = json!({"text": "'); DROP TABLE x; --"});
    assert_eq!(deliver(&sinks, "'\" OR 1=1 --", &payload).await, TAKEN);
    assert_eq!(database.count("x").await, 0);
    assert_eq!(
        database.texts(&format!("SELECT {column} FROM {table}")).await,
        [Some("'); DROP TABLE x; --".to_owned())]
    );
}

async fn a_natural_key(database: Database) {
    database
        .run("CREATE TABLE totals (id int PRIMARY KEY, total int NOT NULL)")
        .await;
    let sinks = sink(
        &database,
        r#"table = "totals", key_column = "id", columns = { id = { pointer = "/id" }, total = { pointer = "/total" } }"#,
    );
    for total in [1, 2] {
        let key = total.to_string();
        assert_eq!(
            deliver(&sinks, &key, &json!({"id": 7, "total": total})).await,
            TAKEN
        );
    }
    assert_eq!(database.count("totals WHERE id = 7 AND total = 1").await, 1);
    assert_eq!(database.count("totals").await, 1);
}

async fn a_table_that_is_missing_is_waited_for(database: Database) {
    let sinks = sink(&database, COLUMNS);
    let failure = deliver(&sinks, "1", &order(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    assert!(failure.to_string().contains("there is no table"), "{failure}");
    database
        .run("CREATE TABLE orders (idempotency_key varchar(255) PRIMARY KEY)")
        .await;
    let failure = deliver(&sinks, "1", &order(1)).await.unwrap_err();
    assert!(
        failure.to_string().contains("has no column \"customer\""),
        "{failure}"
    );
    database.run("DROP TABLE orders").await;
    orders(&database).await;
    assert_eq!(deliver(&sinks, "1", &order(1)).await, TAKEN);
    // It is looked at again when it has changed.
    database.run("ALTER TABLE orders DROP COLUMN note").await;
    for said in ["note", "has no column \"note\""] {
        let failure = deliver(&sinks, "2", &order(1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        assert!(failure.to_string().contains(said), "{failure}");
    }
}

async fn a_database_that_dies_is_found_again(mut database: Database) {
    let sinks = sink(&database, r#"table = "deliveries", create = true"#);
    database.kill();
    let failure = deliver(&sinks, "1", &json!(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    database.start_again().await;
    until_taken(&sinks, "1").await;
    database.kill();
    let failure = deliver(&sinks, "2", &json!(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    database.start_again().await;
    until_taken(&sinks, "2").await;
    until_taken(&sinks, "1").await;
    assert_eq!(database.count("deliveries").await, 2);
}

async fn over_a_cut_network_a_row_is_there_once(database: Database) {
    let (port, url) = (database.port(), database.url());
    let cut = Cut::to(port).await;
    let url = url.replace(&format!(":{port}/"), &format!(":{}/", cut.port()));
    let text = format!("rows.sql = {{ url = \"{url}\", table = \"deliveries\", create = true }}");
    let sinks = Sinks::new(toml::from_str(&text).unwrap(), "/nowhere".as_ref()).unwrap();
    assert_eq!(deliver(&sinks, "0", &json!(1)).await, TAKEN);
    for (key, answers) in [("1", true), ("2", false)] {
        // The row is there and nobody hears of it, or the connection is found broken before; or nothing arrives.
        if answers {
            cut.cut_answers();
        } else {
            cut.cut();
        }
        let failure = deliver(&sinks, key, &json!(1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        cut.mend();
        until_taken(&sinks, key).await;
    }
    assert_eq!(database.count("deliveries").await, 3);
}

#[tokio::test]
async fn postgres_signs_in_with_tls_where_the_authority_is_trusted() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let base = tempfile::tempdir().unwrap();
    write_file(base.path(), "ours.pem", &ours.pem());
    write_file(base.path(), "other.pem", &other.pem());
    let server = Postgres::secure(&ours.server(), "hunter2").await;
    let url = format!("postgres://postgres:hunter2@localhost:{}/postgres", server.port());
    refused_unless_trusted(base.path(), &url, "password authentication failed").await;
    let sinks = secure(base.path(), &url, "ours.pem").unwrap();
    assert_eq!(deliver(&sinks, "1", &json!(1)).await, TAKEN);
}

#[tokio::test]
async fn mariadb_signs_in_with_tls_where_the_authority_is_trusted() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let base = tempfile::tempdir().unwrap();
    let ca = write_file(base.path(), "ours.pem", &ours.pem());
    write_file(base.path(), "other.pem", &other.pem());
    let server = MariaDb::secure(&ours.server()).await;
    let root: MySqlConnectOptions = server.url().parse().unwrap();
    let root = root.ssl_mode(MySqlSslMode::VerifyCa).ssl_ca(ca);
    let mut connection = MySqlConnection::connect_with(&root).await.unwrap();
    let user = "CREATE USER me IDENTIFIED BY 'hunter2'; GRANT ALL ON test.* TO me";
    sqlx::raw_sql(user).execute(&mut connection).await.unwrap();
    let url = format!("mysql://me:hunter2@localhost:{}/test", server.port());
    refused_unless_trusted(base.path(), &url, "Access denied").await;
    let sinks = secure(base.path(), &url, "ours.pem").unwrap();
    assert_eq!(deliver(&sinks, "1", &json!(1)).await, TAKEN);
}

fn secure(base: &Path, url: &str, ca: &str) -> Result<Sinks, String> {
    let text = format!("rows.sql = {{ url = {url:?}, ca = {ca:?}, table = \"deliveries\", create = true }}");
    Sinks::new(toml::from_str(&text).unwrap(), base).map_err(|error| error.to_string())
}

/// A wrong password, an authority that is not trusted, and a file that is missing are each told.
async fn refused_unless_trusted(base: &Path, url: &str, refusal: &str) {
    for (url, ca, said) in [
        (&*url.replace("hunter2", "T0KEN"), "ours.pem", refusal),
        (url, "other.pem", "cannot be reached"),
    ] {
        let sinks = secure(base, url, ca).unwrap();
        let failure = deliver(&sinks, "0", &json!(1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        let failure = failure.to_string();
        assert!(
            failure.contains(said) && !failure.contains("T0KEN"),
            "{said}: {failure}"
        );
    }
    let error = secure(base, url, "none.pem").unwrap_err();
    assert!(error.contains("none.pem cannot be read"), "{error}");
}

/// Delivers until it is taken, as its caller does.
async fn until_taken(sinks: &Sinks, key: &str) {
    let wait = async {
        while deliver(sinks, key, &json!(1)).await != TAKEN {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
}

#[test]
fn options_that_cannot_be_meant() {
    for (options, said) in [
        (r#"url = "sqlite://hunter2", table = "t""#, "no URL of a database"),
        (
            r#"url = "postgres://u:hunter2@:x/", table = "t""#,
            "no URL of a database",
        ),
        (
            r#"url = "postgres://h/d", table = """#,
            "cannot be the name of a table",
        ),
        (
            r#"url = "postgres://h/d", table = "a.""#,
            "cannot be the name of a table",
        ),
        (
            r#"url = "postgres://h/d", table = "t", columns = {}"#,
            "1 to 300 columns",
        ),
        (
            r#"url = "postgres://h/d", table = "t", columns = { "" = "x" }"#,
            "cannot be the name of a column",
        ),
        (
            r#"url = "postgres://h/d", table = "t", columns = { a = { pointer = "a" } }"#,
            "no JSON pointer",
        ),
        (
            r#"url = "postgres://h/d", table = "t", create = true, columns = { a = "x" }"#,
            "leave `create` out",
        ),
    ] {
        let error =
            toml::from_str::<BTreeMap<String, Options>>(&format!("rows.sql = {{ {options} }}")).unwrap_err();
        let error = error.message();
        assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
    }
}
