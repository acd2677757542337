//! `segno completions` and `segno man`: what shells and people read about the command line.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Command};
use clap_complete::Shell;
use miette::{IntoDiagnostic, WrapErr};

use super::output;

/// Print completions for a shell.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Print the manual page, or write those of all commands.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Folder to which one page a command is written.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

impl Completions {
    pub(super) fn run(&self, mut command: Command) -> miette::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "segno", &mut script);
        output::to_stdout(|out| out.write_all(&script))
    }
}

impl Man {
    pub(super) fn run(&self, command: Command) -> miette::Result<()> {
        let Some(folder) = &self.to else {
            let page = page(&command).into_diagnostic()?;
            return output::to_stdout(|out| out.write_all(&page));
        };
        fs::create_dir_all(folder)
            .and_then(|()| write_all(&command, "segno", folder))
            .into_diagnostic()
            .wrap_err_with(|| format!("the pages cannot be written to {}", folder.display()))
    }
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}

/// The page of a command, and those of its own, as `segno-dead-letters-list.1`.
fn write_all(command: &Command, name: &str, folder: &Path) -> io::Result<()> {
    // A page is named as it is called, and not by the last word of that alone.
    let named = command.clone().display_name(name.to_owned());
    fs::write(folder.join(format!("{name}.1")), page(&named)?)?;
    for one in command.get_subcommands().filter(|one| one.get_name() != "help") {
        write_all(one, &format!("{name}-{}", one.get_name()), folder)?;
    }
    Ok(())
}
