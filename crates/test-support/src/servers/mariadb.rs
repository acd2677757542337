use std::{
    ops::{Deref, DerefMut},
    path::Path,
};

use super::{Launch, Server, attempt, is_root, program, run, texts};
use crate::Pair;

/// The kernel has few places for native asynchronous I/O, and each server takes thousands of them: of several that start
/// together one finds none and gives up.
const NO_AIO: &str = "--innodb-use-native-aio=0";

/// How often the installation is tried again.
const INSTALLS: u32 = 3;

/// A MariaDB server with its defaults for durability; `root` needs no password, and there is the database `test`.
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

    async fn with(options: impl Fn(&Path) -> Vec<String>) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = format!("--datadir={}", folder.path().join("data").display());
        let mut install = texts([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-name-resolve",
            NO_AIO,
            &data,
        ]);
        if is_root() {
            run(
                Path::new("chown"),
                &texts(["mysql:", &folder.path().to_string_lossy()]),
            );
            install.push("--user=mysql".to_owned());
        }
        let installer = program("mariadb-install-db", &["/usr/bin"]);
        // Where several install at once, one of them fails now and then; a second try begins with nothing.
        let mut outcome = attempt(&installer, &install);
        for _ in 0..INSTALLS {
            if outcome.is_ok() {
                break;
            }
            // It may not have come that far.
            let _ = std::fs::remove_dir_all(folder.path().join("data"));
            outcome = attempt(&installer, &install);
        }
        if let Err(why) = outcome {
            panic!("{why}");
        }
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
            Launch {
                program: program("mariadbd", &["/usr/sbin", "/usr/bin"]),
                arguments,
                hello: b"",
                // Its greeting names the method by which users log in.
                answer: b"mysql_native_password",
            }
        };
        Server::start(folder, launch).await
    }

    /// The URL of the database `test`.
    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/test", self.port())
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
