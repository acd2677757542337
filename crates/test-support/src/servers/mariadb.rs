use std::{
    env,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
};

use super::{Launch, Server, attempt, is_root, program, run, texts};
use crate::{Pair, write_file};

/// The kernel has few places for native asynchronous I/O, and each server takes thousands of them: of several that start
/// together one finds none and gives up.
const NO_AIO: &str = "--innodb-use-native-aio=0";

/// How often the installation is tried again.
const INSTALLS: u32 = 3;

/// The `mysqld` program of MySQL proper, which takes MariaDB's place then.
const MYSQLD: &str = "SEGNO_TEST_MYSQLD";

/// What MariaDB has without being told: its installation makes the database `test`, and `root` of each name of this machine.
const LIKE_MARIADB: &str = "CREATE DATABASE test;\nCREATE USER root@'127.0.0.1';\n\
    GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n";

/// A MariaDB server with its defaults for durability; `root` needs no password, and there is the database `test`. With
/// `SEGNO_TEST_MYSQLD` it is one of MySQL.
#[derive(Debug)]
pub struct MariaDb(Server);

impl MariaDb {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start() -> Self {
        Self(Self::with(|_| Vec::new()).await)
    }

    /// Starts one that takes connections with TLS alone.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn secure(pair: &Pair) -> Self {
        let options = |folder: &Path| {
            let (certificate, key) = pair.write(folder, "server");
            vec![
                format!("--ssl-cert={}", certificate.display()),
                format!("--ssl-key={}", key.display()),
                "--require-secure-transport=ON".to_owned(),
            ]
        };
        Self(Self::with(options).await)
    }

    /// Whether it is MySQL proper.
    pub fn is_mysql() -> bool {
        mysqld().is_some()
    }

    async fn with(options: impl Fn(&Path) -> Vec<String>) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        install(folder.path());
        let launch = |port: u16, folder: &Path| {
            let mut arguments = texts([
                "--no-defaults",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                NO_AIO,
                &format!("--port={port}"),
                &format!("--datadir={}", folder.join("data").display()),
                &format!("--socket={}", folder.join("s").display()),
                &format!("--pid-file={}", folder.join("pid").display()),
            ]);
            arguments.extend(options(folder));
            if is_root() {
                arguments.push("--user=mysql".to_owned());
            }
            // The greetings name the method by which users log in.
            let (program, answer): (_, &[u8]) = match mysqld() {
                Some(mysqld) => {
                    // Its second protocol has a port of its own, the same for all servers.
                    arguments.push("--mysqlx=OFF".to_owned());
                    // A folder that packages make.
                    arguments.push("--secure-file-priv=NULL".to_owned());
                    (mysqld, b"caching_sha2_password")
                }
                None => (
                    program("mariadbd", &["/usr/sbin", "/usr/bin"]),
                    b"mysql_native_password",
                ),
            };
            Launch {
                program,
                arguments,
                hello: b"",
                answer,
            }
        };
        Server::start(folder, launch).await
    }

    /// The URL of the database `test`.
    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/test", self.port())
    }
}

fn mysqld() -> Option<PathBuf> {
    env::var_os(MYSQLD).map(PathBuf::from)
}

/// Makes the folder `data` with the server's own tables.
fn install(folder: &Path) {
    let data = format!("--datadir={}", folder.join("data").display());
    let (installer, mut arguments) = match mysqld() {
        Some(mysqld) => {
            let users = write_file(folder, "users.sql", LIKE_MARIADB);
            let users = format!("--init-file={}", users.display());
            let initialize = texts(["--no-defaults", "--initialize-insecure", NO_AIO, &users, &data]);
            (mysqld, initialize)
        }
        None => {
            let installer = program("mariadb-install-db", &["/usr/bin"]);
            let method = "--auth-root-authentication-method=normal";
            let install = texts(["--no-defaults", method, "--skip-name-resolve", NO_AIO, &data]);
            (installer, install)
        }
    };
    if is_root() {
        run(
            Path::new("chown"),
            &texts(["-R", "mysql:", &folder.to_string_lossy()]),
        );
        arguments.push("--user=mysql".to_owned());
    }
    // Where several install at once, one of them fails now and then; a second try begins with nothing.
    let mut outcome = attempt(&installer, &arguments);
    for _ in 0..INSTALLS {
        if outcome.is_ok() {
            break;
        }
        // It may not have come that far.
        let _ = std::fs::remove_dir_all(folder.join("data"));
        outcome = attempt(&installer, &arguments);
    }
    if let Err(why) = outcome {
        panic!("{why}");
    }
}

impl Deref for MariaDb {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for MariaDb {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}
