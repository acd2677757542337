//! What `segno check`, `segno explain` and the help of every command print, compared with the files in `tests/golden`.
//!
//! With `SEGNO_BLESS=1` the files are written anew; look at the difference before it is committed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Parser;
use segno::cli::{self, check, explain, output};
use segno::config::Config;

#[derive(Parser)]
enum Cli {
    Check(check::Args),
    Explain(Box<explain::Args>),
}

fn golden(name: &str, printed: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("SEGNO_BLESS").is_some() {
        fs::write(&path, printed).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        printed == expected,
        "{name} differs; printed is:\n{printed}\nexpected is:\n{expected}"
    );
}

/// A file of these tests, by a path that is the same wherever the tests run.
fn input(name: &str) -> PathBuf {
    Path::new("tests/golden").join(name)
}

fn check(config: &str, more: &[&str]) -> String {
    let config = input(config);
    let args = ["segno", "check", "--config"]
        .into_iter()
        .chain([config.to_str().unwrap()]);
    let Cli::Check(args) = Cli::parse_from(args.chain(more.iter().copied())) else {
        panic!("check")
    };
    let mut out = Vec::new();
    check::print(&args, &Config::load(&args.config), &mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

/// What is printed, or the mistakes as the program prints them.
fn explain(event: &str, stdin: &mut dyn Read, more: &[&str]) -> String {
    let config = input("right.toml");
    let event = if event == "-" {
        PathBuf::from(event)
    } else {
        input(event)
    };
    let args = [
        "segno",
        "explain",
        event.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
    ];
    let Cli::Explain(args) = Cli::parse_from(args.into_iter().chain(more.iter().copied())) else {
        panic!("explain")
    };
    let mut out = Vec::new();
    match explain::explanations(&args, stdin) {
        Ok(explained) => explain::print(&args, &explained, &mut out).unwrap(),
        Err(mistakes) => output::diagnostic(&mut out, &mistakes, false).unwrap(),
    }
    String::from_utf8(out).unwrap()
}

fn nothing() -> std::io::Empty {
    std::io::empty()
}

#[test]
fn check_of_a_right_file() {
    golden("check-right.txt", &check("right.toml", &[]));
    golden("check-right.json", &check("right.toml", &["-o", "json"]));
}

#[test]
fn check_of_a_wrong_file() {
    golden("check-wrong.txt", &check("wrong.toml", &[]));
    golden("check-wrong.json", &check("wrong.toml", &["--output", "json"]));
    assert!(!check("wrong.toml", &[]).contains("swordfish"));
}

#[test]
fn check_of_no_file() {
    golden("check-missing.txt", &check("missing.toml", &[]));
}

#[test]
fn explain_an_event() {
    golden("explain.txt", &explain("event.json", &mut nothing(), &[]));
    golden(
        "explain.json",
        &explain("event.json", &mut nothing(), &["-o", "json"]),
    );
}

#[test]
fn explain_a_batch_from_standard_input() {
    let batch = fs::read(input("batch.json")).unwrap();
    golden("explain-batch.txt", &explain("-", &mut batch.as_slice(), &[]));
    let json = explain("-", &mut batch.as_slice(), &["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_array().map(Vec::len), Some(2));
    assert_eq!(json[0]["routes"][0]["route"], "big-orders");
}

#[test]
fn explain_what_is_no_event() {
    golden(
        "explain-wrong.txt",
        &explain(
            "-",
            &mut r#"[{"specversion": "1.0", "id": ""}, 5]"#.as_bytes(),
            &[],
        ),
    );
    golden(
        "explain-broken.txt",
        &explain("-", &mut "{\"id\": \"é\",\n \"type\" }".as_bytes(), &[]),
    );
    golden(
        "explain-missing.txt",
        &explain("missing.json", &mut nothing(), &[]),
    );
}

/// The help of a command and of all its own, each under its name.
fn help(command: &mut clap::Command, name: &str, all: &mut String) {
    all.push_str(&format!("$ {name} --help\n{}\n", command.render_long_help()));
    let mut own: Vec<_> = command.get_subcommands_mut().collect();
    own.retain(|one| one.get_name() != "help");
    for one in own {
        let name = format!("{name} {}", one.get_name());
        help(one, &name, all);
    }
}

#[test]
fn help_of_every_command() {
    let mut all = String::new();
    help(&mut cli::command(), "segno", &mut all);
    // Where something is read from the environment, its value here is of no interest.
    let plain: Vec<_> = all.lines().map(str::trim_end).collect();
    golden("help.txt", &(plain.join("\n") + "\n"));
}
