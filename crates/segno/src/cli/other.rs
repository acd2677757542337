//! Commands that are programs of their own: `segno NAME …` runs `segno-NAME …` from the `PATH`, if no command here has that name.
//!
//! So a program that is built on the library adds commands without being known here, as `git`, `cargo` and `kubectl` have it.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{self, Path, PathBuf},
    process::{self, ExitCode},
};

use clap::{
    Command,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
    value_parser,
};
use miette::{IntoDiagnostic, WrapErr};

use super::profiles;

/// What a command line asks of another program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Other {
    name: String,
    /// What stands before the name, and is for this program: its own name and flags.
    before: Vec<OsString>,
    /// What stands behind it.
    arguments: Vec<OsString>,
}

impl Other {
    /// What the command line asks of a program that is none of these commands; nothing if it asks for one of them, or is wrong
    /// before it comes to a command.
    pub(super) fn asked(command: Command, line: &[OsString]) -> Option<Self> {
        let matches = command
            .allow_external_subcommands(true)
            .external_subcommand_value_parser(value_parser!(OsString))
            .try_get_matches_from(line)
            .ok()?;
        let (name, own) = matches.subcommand()?;
        // clap keeps what follows a name that it does not know under no name at all.
        let arguments: Vec<_> = own.try_get_many::<OsString>("").ok()??.cloned().collect();
        let before = line.len().checked_sub(arguments.len() + 1)?;
        Some(Self {
            name: name.to_owned(),
            before: line[..before].to_vec(),
            arguments,
        })
    }

    /// Becomes that program, with what the profile says in its environment. Where there is none it is clap's error of an
    /// unknown command, with one line more.
    ///
    /// # Errors
    /// When there is no such profile, or the program cannot be run.
    pub(super) fn run(self, command: Command) -> miette::Result<ExitCode> {
        let program = format!("segno-{}", self.name);
        let Some(found) = env::var_os("PATH").and_then(|places| find(&self.name, &places)) else {
            self.unknown(command, &program).exit();
        };
        let mut other = process::Command::new(&found);
        other.args(&self.arguments);
        if let Some(profile) = profiles::Chosen::find(self.before.into_iter())? {
            profile.tell(&mut other);
        }
        become_it(other)
            .into_diagnostic()
            .wrap_err_with(|| format!("{} cannot be run", found.display()))
    }

    fn unknown(&self, mut command: Command, program: &str) -> clap::Error {
        let mut line = self.before.clone();
        line.push(OsString::from(&self.name));
        let mut error = match command.try_get_matches_from_mut(&line) {
            Err(error) => error,
            Ok(_) => command.error(
                ErrorKind::InvalidSubcommand,
                format!("unrecognized subcommand '{}'", self.name),
            ),
        };
        if !is_name(&self.name) {
            return error;
        }
        let mut tips = match error.remove(ContextKind::Suggested) {
            Some(ContextValue::StyledStrs(tips)) => tips,
            _ => Vec::new(),
        };
        tips.push(StyledStr::from(format!(
            "it would be the program '{program}', and the PATH has none of that name"
        )));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        error
    }
}

/// Whether it can be a program's name: no flag, and no way to another folder.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && !name.contains(path::is_separator)
}

/// The program of this name in one of these places. A place that does not begin at the root is left out: what happens to lie
/// in the working directory is not to be run.
fn find(name: &str, places: &OsStr) -> Option<PathBuf> {
    if !is_name(name) {
        return None;
    }
    let file = format!("segno-{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(places)
        .filter(|place| place.is_absolute())
        .map(|place| place.join(&file))
        .find(|file| can_run(file))
}

#[cfg(unix)]
fn can_run(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn can_run(file: &Path) -> bool {
    file.is_file()
}

/// Signals, the terminal and the exit code are the other program's from here on.
#[cfg(unix)]
fn become_it(mut other: process::Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(other.exec())
}

#[cfg(not(unix))]
fn become_it(mut other: process::Command) -> std::io::Result<ExitCode> {
    let code = other.status()?.code();
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Option<Other> {
        let line: Vec<_> = line.split(' ').map(OsString::from).collect();
        Other::asked(super::super::unbuilt(), &line)
    }

    #[test]
    fn what_is_no_command_here_is_one_elsewhere() {
        let other = asked("segno --profile a runs list --profile b -- -x").unwrap();
        assert_eq!(other.name, "runs");
        assert_eq!(other.before, ["segno", "--profile", "a"]);
        assert_eq!(other.arguments, ["list", "--profile", "b", "--", "-x"]);
        let other = asked("segno runs").unwrap();
        assert_eq!((other.before.len(), other.arguments.len()), (1, 0));
        for line in [
            "segno keys list",
            "segno keys lst",
            "segno help runs",
            "segno --bogus runs",
            "segno --help",
            "segno",
        ] {
            assert_eq!(asked(line), None, "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_a_program_in_one_of_the_places_is_found() {
        use std::{fs, os::unix::fs::PermissionsExt};
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str, mode| {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "#!/bin/sh\n").unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode("first/segno-a", 0o644);
        mode("second/segno-a", 0o755);
        mode("second/segno--b", 0o755);
        mode("second/segno-/c", 0o755);
        let places = ["first", "second"].map(|place| folder.path().join(place));
        let places = env::join_paths(places).unwrap();
        let found = |name| find(name, &places);
        assert_eq!(found("a"), Some(folder.path().join("second/segno-a")));
        for name in ["-b", "/c", "", "d", "/../second/segno-a"] {
            assert_eq!(found(name), None, "{name}");
        }
        let here = folder.path().strip_prefix("/").unwrap().join("second");
        assert_eq!(find("a", here.as_os_str()), None);
    }
}
