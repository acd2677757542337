use std::{
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
};

use super::{Launch, Server, is_root, program, run, texts};
use crate::{Pair, write_file};

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
        let nothing = |_: &Path| (Vec::new(), Vec::new());
        Self(Self::with(nothing, SERVES).await)
    }

    /// Starts one that takes connections with TLS alone, where `postgres` signs in with a password (SCRAM).
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn secure(pair: &Pair, password: &str) -> Self {
        let prepare = |folder: &Path| {
            let password = write_file(folder, "password", password);
            let (certificate, key) = pair.write(folder, "server");
            // It takes no key that others may read.
            run(Path::new("chmod"), &texts(["600", &key.to_string_lossy()]));
            let rules = write_file(folder, "rules", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
            let options = [
                "ssl=on".to_owned(),
                format!("ssl_cert_file={}", certificate.display()),
                format!("ssl_key_file={}", key.display()),
                format!("hba_file={}", rules.display()),
            ];
            (
                vec![format!("--pwfile={}", password.display())],
                options
                    .into_iter()
                    .flat_map(|option| ["-c".to_owned(), option])
                    .collect(),
            )
        };
        Self(Self::with(prepare, REFUSES).await)
    }

    /// `prepare` says what `initdb` and the server are told besides.
    async fn with(prepare: impl Fn(&Path) -> (Vec<String>, Vec<String>), answer: &'static [u8]) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let (setup, options) = prepare(folder.path());
        if is_root() {
            let owner = format!("{USER}:");
            let path = folder.path().to_string_lossy();
            run(Path::new("chown"), &texts(["-R", &owner, &path]));
        }
        let mut arguments = texts([
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
            "--username=postgres",
            "-D",
            &data.to_string_lossy(),
        ]);
        arguments.extend(setup);
        let (initdb, arguments) = as_user(program("initdb", &FOLDERS), arguments);
        run(&initdb, &arguments);
        let launch = |port: u16, folder: &Path| {
            let mut arguments = texts([
                "-D",
                &folder.join("data").to_string_lossy(),
                "-p",
                &port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ]);
            arguments.extend(options.iter().cloned());
            let (program, arguments) = as_user(program("postgres", &FOLDERS), arguments);
            Launch {
                program,
                arguments,
                hello: HELLO,
                answer,
            }
        };
        Server::start(folder, launch).await
    }

    /// The URL of the database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port())
    }
}

/// A StartupMessage of version 3.0 for the user and the database `postgres`.
/// <https://www.postgresql.org/docs/15/protocol-message-formats.html>
const HELLO: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";

/// AuthenticationOk; an ErrorResponse while it is starting.
const SERVES: &[u8] = b"R\0\0\0\x08\0\0\0\0";
/// The code of an ErrorResponse: no rule lets anybody in without TLS.
const REFUSES: &[u8] = b"C28000\0";

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
