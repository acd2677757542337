//! The SQL sink: rows of a table in PostgreSQL, or in MySQL or MariaDB.
//!
//! Each delivery is one row. Deliveries that come side by side are one statement, and so one transaction. If a row of it is refused,
//! each goes alone, so that it does not fail its neighbours.
//!
//! A row is there once: one column is unique and holds the idempotency key, or whatever the options put there instead, and a row whose
//! key is there counts as delivered. Only that column tells: a row that breaks another constraint is refused, for good.
//!
//! Values are never part of a statement's text, and names in it are quoted.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use serde::Deserialize;
use sqlx::{
    mysql::{MySqlConnectOptions, MySqlSslMode},
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{
    Confidential, Delivered, Delivery, Failure, Sink,
    batch::{Batcher, Size},
    ca::{self, CaError},
    options::checked,
};

mod columns;
mod mysql;
mod name;
mod postgres;
mod refusal;

pub use columns::Column;
use columns::{Columns, Row};
use mysql::MySql;
use name::{Name, Table};
use postgres::Postgres;

/// One statement. The bytes are far less than the databases' own limits.
const SIZE: Size = Size {
    items: 200,
    bytes: 4 << 20,
    calls: CONNECTIONS as usize,
};
/// Most connections.
const CONNECTIONS: u32 = 4;
/// Most columns: 200 rows of them have fewer values than the 65,535 that a statement of MySQL takes.
const COLUMNS: usize = 300;
/// Longest idempotency key that is stored; longer ones are hashed. It fits what every database can index.
const KEY: usize = 255;

/// Options of an SQL sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Options {
    /// The database: `postgres://user:password@host:5432/database` or `mysql://user:password@host:3306/database`.
    pub url: Confidential,
    /// A file with the certificates (PEM) of the authorities that the server is trusted by, beside the public ones. With it nothing is
    /// sent without TLS, to a server whose certificate is not of its name, or not of an authority that is trusted.
    pub ca: Option<PathBuf>,
    /// The table, or schema and table with a full stop between them; upper and lower case count.
    pub table: String,
    /// The columns and what they get. Without them a row is the columns `payload` and `delivered_at`, beside the key's.
    pub columns: Option<BTreeMap<String, Column>>,
    /// The column that tells what is there already; it has to have a unique index of its own. If `columns` has it, it gets what is said
    /// there, and the idempotency key otherwise.
    #[serde(default = "key_column")]
    pub key_column: String,
    /// Whether the table is made if it is not there; for a table without `columns` alone.
    #[serde(default)]
    pub create: bool,
}

fn key_column() -> String {
    "idempotency_key".to_owned()
}

/// Options that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    /// The URL is of no database that the sink knows. What it is, is not said: it may hold a password.
    #[error(
        "`url` is no URL of a database, such as postgres://user@host/database or mysql://user@host/database"
    )]
    Url,
    /// The server's authorities cannot be used.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// No table or column can be named so.
    #[error(
        "{0:?} cannot be the name of a {1}: a name has 1 to 63 characters, none of them a control character"
    )]
    Name(String, &'static str),
    /// There are too many columns, or none.
    #[error("a row has 1 to {COLUMNS} columns, and not {0}")]
    Columns(usize),
    /// What types the columns would have is not known.
    #[error("a table with `columns` of its own cannot be made: leave `create` out and make it yourself")]
    Create,
    /// A JSON pointer begins with a slash.
    #[error("{0:?} is no JSON pointer: it is empty or begins with a slash, such as \"/customer/id\"")]
    Pointer(String),
}

checked!(Options);

impl Options {
    fn check(&self) -> Result<(), OptionError> {
        // Files are looked at when it is known where relative paths begin.
        self.server(None)?;
        self.target().map(drop)
    }

    /// With the certificates of its authorities, in PEM form.
    fn server(&self, ca: Option<Vec<u8>>) -> Result<Server, OptionError> {
        let url = self.url.expose();
        let server = match url.split_once("://") {
            Some(("postgres" | "postgresql", _)) => url.parse().map(Server::Postgres),
            Some(("mysql" | "mariadb", rest)) => format!("mysql://{rest}").parse().map(Server::MySql),
            _ => return Err(OptionError::Url),
        };
        let server = server.map_err(|_| OptionError::Url)?;
        Ok(match ca {
            Some(pem) => server.trusting(pem),
            None => server,
        })
    }

    fn target(&self) -> Result<(Columns, Target), OptionError> {
        let table: Table = self.table.parse()?;
        let key: Name = Name::column(&self.key_column)?;
        if self.create && self.columns.is_some() {
            return Err(OptionError::Create);
        }
        let columns = Columns::new(self.columns.clone(), &key)?;
        let target = Target {
            table,
            key,
            names: columns.names(),
            own_key: columns.own_key(),
            create: self.create,
        };
        Ok((columns, target))
    }
}

/// How a database is reached.
enum Server {
    Postgres(PgConnectOptions),
    MySql(MySqlConnectOptions),
}

impl Server {
    fn trusting(self, pem: Vec<u8>) -> Self {
        match self {
            Self::Postgres(server) => {
                Self::Postgres(server.ssl_root_cert_from_pem(pem).ssl_mode(PgSslMode::VerifyFull))
            }
            Self::MySql(server) => {
                Self::MySql(server.ssl_ca_from_pem(pem).ssl_mode(MySqlSslMode::VerifyIdentity))
            }
        }
    }
}

/// The sink these options describe; a relative path is taken from `base`.
pub(crate) fn build(options: Options, _: &str, base: &Path) -> Result<Arc<dyn Sink>, OptionError> {
    let (columns, target) = options.target()?;
    let ca = options
        .ca
        .as_deref()
        .map(|path| ca::read(base, path))
        .transpose()?;
    let batcher = match options.server(ca)? {
        Server::Postgres(server) => Batcher::to(SIZE, Arc::new(Postgres::new(server, target))),
        Server::MySql(server) => Batcher::to(SIZE, Arc::new(MySql::new(server, target))),
    };
    Ok(Arc::new(Sql { columns, batcher }))
}

/// Where rows go.
#[derive(Debug)]
struct Target {
    table: Table,
    key: Name,
    /// The columns in the order of a row's cells.
    names: Vec<Name>,
    /// Whether the key's column holds the idempotency key itself.
    own_key: bool,
    create: bool,
}

#[derive(Debug)]
struct Sql {
    columns: Columns,
    batcher: Batcher<Row>,
}

#[async_trait]
impl Sink for Sql {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        self.batcher.deliver(self.columns.row(delivery)?).await
    }
}
