//! `--profile`: a name for where a Segno runs and how it is called, in place of flags.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, Write},
    path::PathBuf,
    process,
};

use clap::{Arg, Command, builder::Resettable};
use miette::miette;

use super::{credentials, output};
use crate::config::profiles::{self, Profile};

/// The variable that names one.
pub(super) const VARIABLE: &str = "SEGNO_PROFILE";
/// The variables in whose place a profile says something.
const VARIABLES: [&str; 4] = ["SEGNO_API", "SEGNO_URL", "SEGNO_TOKEN_FILE", "SEGNO_CA_FILE"];

/// A profile that was named.
#[derive(Debug)]
pub(super) struct Chosen {
    profile: Profile,
    /// Whether a flag names it, which counts before variables, and not a variable.
    by_flag: bool,
}

impl Chosen {
    /// The one that the command line names, or else the environment.
    ///
    /// # Errors
    /// When there is no such profile, or the file with them has mistakes.
    pub(super) fn find(arguments: impl Iterator<Item = OsString>) -> miette::Result<Option<Self>> {
        let flag = flag(arguments);
        let by_flag = flag.is_some();
        let variable = || env::var(VARIABLE).ok().filter(|name| !name.is_empty());
        let Some(name) = flag.or_else(variable) else {
            return Ok(None);
        };
        let profiles = all()?;
        let known: Vec<_> = profiles.iter().map(|profile| profile.name.clone()).collect();
        match profiles.into_iter().find(|profile| profile.name == name) {
            Some(profile) => Ok(Some(Self { profile, by_flag })),
            None => Err(miette!(
                help = match known[..] {
                    [] => format!("write one: [{name}] with `api = \"…\"` in it"),
                    _ => format!("there are: {}", known.join(", ")),
                },
                "there is no profile `{name}` in {}",
                file()?.display()
            )),
        }
    }

    /// The same command line with what the profile says in place of what is so by default; and of what variables say, if it
    /// is named by a flag.
    pub(super) fn apply(&self, command: Command) -> Command {
        command
            .mut_args(|argument| self.value(argument))
            .mut_subcommands(|command| self.apply(command))
    }

    /// Puts into another program's environment what the profile says: all of it if a flag names it, else what no variable says.
    pub(super) fn tell(&self, other: &mut process::Command) {
        for variable in VARIABLES {
            let Some(said) = self.said(variable) else { continue };
            if self.by_flag || env::var_os(variable).is_none() {
                other.env(variable, said);
            }
        }
        if self.by_flag {
            other.env(VARIABLE, &self.profile.name);
            if self.profile.token_file.is_some() {
                other.env_remove(credentials::TOKEN);
            }
        }
    }

    /// What the profile says in place of a variable.
    fn said(&self, variable: &str) -> Option<OsString> {
        let profile = &self.profile;
        let path = |path: &Option<PathBuf>| path.clone().map(PathBuf::into_os_string);
        match variable {
            "SEGNO_API" | "SEGNO_URL" => profile.api.clone().map(OsString::from),
            // A token that stands in the environment is one as well.
            "SEGNO_TOKEN_FILE" => path(&profile.token_file).filter(|_| {
                self.by_flag || env::var_os(credentials::TOKEN).is_none_or(|token| token.is_empty())
            }),
            "SEGNO_CA_FILE" => path(&profile.ca_file),
            _ => None,
        }
    }

    fn value(&self, argument: Arg) -> Arg {
        let said = match argument.get_env().and_then(OsStr::to_str) {
            Some(variable) => self.said(variable),
            None if argument.get_id() == "output" => self.profile.output.map(OsString::from),
            None => None,
        };
        // Arguments are for the whole life of the process.
        let Some(said) = said.and_then(|said| said.into_string().ok()) else {
            return argument;
        };
        let argument = argument.default_value(&*said.leak());
        if self.by_flag {
            argument.env(Resettable::Reset)
        } else {
            argument
        }
    }
}

/// The name in `--profile NAME` or `--profile=NAME`.
fn flag(mut arguments: impl Iterator<Item = OsString>) -> Option<String> {
    while let Some(argument) = arguments.next() {
        let argument = argument.to_str().unwrap_or_default();
        match argument.strip_prefix("--profile") {
            // What follows is no flag.
            _ if argument == "--" => return None,
            Some("") => return arguments.next()?.into_string().ok(),
            Some(rest) if rest.starts_with('=') => return Some(rest[1..].to_owned()),
            _ => {}
        }
    }
    None
}

fn home() -> Option<PathBuf> {
    env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute())
}

/// The file with the profiles, where people keep what they configure (XDG Base Directory Specification).
fn file() -> miette::Result<PathBuf> {
    let configured = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    // A path that does not begin at the root is to be ignored, says the specification.
    let folder = configured.filter(|path| path.is_absolute());
    let folder = folder.or_else(|| Some(home()?.join(".config")));
    let folder = folder.ok_or_else(|| {
        miette!(
            help = "set HOME, or XDG_CONFIG_HOME",
            "there is no folder where profiles could be"
        )
    })?;
    Ok(folder.join("segno").join("profiles.toml"))
}

/// All profiles; none where there is no file.
fn all() -> miette::Result<Vec<Profile>> {
    let file = file()?;
    if !file.exists() {
        return Ok(Vec::new());
    }
    Ok(profiles::load(&file, home().as_deref())?)
}

/// Lists them, with a mark at the one that is named.
pub(super) fn list(output: output::Output, named: Option<&str>) -> miette::Result<()> {
    let (file, profiles) = (file()?, all()?);
    output.show(&profiles, |out| {
        table(&profiles, named, &file.display().to_string(), out)
    })
}

fn table(profiles: &[Profile], named: Option<&str>, file: &str, out: &mut dyn Write) -> io::Result<()> {
    if profiles.is_empty() {
        return writeln!(out, "There are no profiles in {file}.");
    }
    let path = |path: &Option<PathBuf>| match path {
        Some(path) => output::one_line(&path.display().to_string()),
        None => String::new(),
    };
    let mut rows = vec![
        ["", "NAME", "API", "OUTPUT", "TOKEN FILE", "CA FILE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(profiles.iter().map(|profile| {
        let mark = if named == Some(profile.name.as_str()) {
            "*"
        } else {
            ""
        };
        vec![
            mark.to_owned(),
            output::one_line(&profile.name),
            profile.api.clone().unwrap_or_default(),
            profile.output.unwrap_or_default().to_owned(),
            path(&profile.token_file),
            path(&profile.ca_file),
        ]
    }));
    output::columns(&rows, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_found_wherever_it_stands() {
        let flag = |line: &str| flag(line.split(' ').map(OsString::from));
        assert_eq!(flag("segno --profile a keys list").as_deref(), Some("a"));
        assert_eq!(flag("segno keys list --profile=a").as_deref(), Some("a"));
        assert_eq!(flag("segno emit -- --profile a"), None);
        assert_eq!(flag("segno keys --profiles a"), None);
    }

    #[test]
    fn a_profile_says_what_no_flag_says() {
        let profile = Profile {
            name: "a".to_owned(),
            api: Some("https://a.example/".to_owned()),
            token_file: Some("a.token".into()),
            ca_file: None,
            output: Some("yaml"),
        };
        let chosen = Chosen {
            profile,
            by_flag: true,
        };
        let parse = |line: &str| {
            let matches = chosen
                .apply(super::super::unbuilt())
                .try_get_matches_from(line.split(' '));
            let matches = matches.unwrap();
            let (_, matches) = matches.subcommand().unwrap();
            matches.subcommand().map_or(matches, |(_, last)| last).clone()
        };
        for line in ["segno keys list", "segno executions list", "segno emit -"] {
            let matches = parse(line);
            let url = matches.get_one::<url::Url>("url").unwrap();
            assert_eq!(url.as_str(), "https://a.example/", "{line}");
            assert_eq!(
                matches.get_one::<output::Output>("output"),
                Some(&output::Output::Yaml),
                "{line}"
            );
            assert_eq!(
                matches.get_one::<PathBuf>("token_file").unwrap().to_str(),
                Some("a.token")
            );
        }
        let matches = parse("segno keys list -o json --api http://b.example/");
        assert_eq!(
            matches.get_one::<url::Url>("url").unwrap().as_str(),
            "http://b.example/"
        );
        assert_eq!(
            matches.get_one::<output::Output>("output"),
            Some(&output::Output::Json)
        );
    }
}
