use std::{
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
};

use super::{Launch, Server, is_root, program, run, texts};

/// Where Debian has the programs, the newest first.
const FOLDERS: [&str; 4] = [
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/14/bin",
];
/// Who runs it where the tests are root's: it refuses root.
const USER: &str = "postgres";

/// A PostgreSQL server with its defaults for durability; its user `postgres` needs no password.
#[derive(Debug)]
pub struct Postgres(Server);

impl Postgres {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        if is_root() {
            let owner = format!("{USER}:");
            let path = folder.path().to_string_lossy();
            run(Path::new("chown"), &texts([&owner, &path]));
        }
        let (initdb, arguments) = as_user(
            program("initdb", &FOLDERS),
            texts([
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "--username=postgres",
                "-D",
                &data.to_string_lossy(),
            ]),
        );
        run(&initdb, &arguments);
        let server = Server::start(folder, |port, folder| {
            let arguments = texts([
                "-D",
                &folder.join("data").to_string_lossy(),
                "-p",
                &port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ]);
            let (program, arguments) = as_user(program("postgres", &FOLDERS), arguments);
            Launch {
                program,
                arguments,
                hello: HELLO,
                // AuthenticationOk; an ErrorResponse while it is starting.
                answer: b"R\0\0\0\x08\0\0\0\0",
            }
        });
        Self(server.await)
    }

    /// The URL of the database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port())
    }
}

/// A StartupMessage of version 3.0 for the user and the database `postgres`.
/// <https://www.postgresql.org/docs/15/protocol-message-formats.html>
const HELLO: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";

/// The command, as a user that is not root.
fn as_user(program: PathBuf, arguments: Vec<String>) -> (PathBuf, Vec<String>) {
    if !is_root() {
        return (program, arguments);
    }
    let reuid = format!("--reuid={USER}");
    let regid = format!("--regid={USER}");
    let path = program.to_string_lossy();
    let mut all = texts([&reuid, &regid, "--init-groups", &path]);
    all.extend(arguments);
    (PathBuf::from("setpriv"), all)
}

impl Deref for Postgres {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Postgres {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}
