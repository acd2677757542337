//! Programs for Node.js that `./test` installs, with the versions in `crates/test-support/node`.

use std::{env, path::PathBuf};

/// The `node` program, of version 20 for soketi; without it the one on `PATH`.
const NODE: &str = "SEGNO_TEST_NODE";
/// The folder with the installed `node_modules`.
const PACKAGES: &str = "SEGNO_TEST_NODE_PACKAGES";

/// The `node` program.
pub fn program() -> PathBuf {
    env::var_os(NODE).map_or_else(|| PathBuf::from("node"), PathBuf::from)
}

/// The folder of the installed packages, which contains `node_modules`.
///
/// # Panics
///
/// Where nobody has installed them.
pub fn packages() -> PathBuf {
    let folder = env::var_os(PACKAGES).map(PathBuf::from);
    folder.unwrap_or_else(|| panic!("{PACKAGES} is not set: `./test` installs what it names"))
}
