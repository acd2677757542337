//! What shells and people read about the command line: completions, manual pages, exit codes.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Output, Stdio},
};

use segno::cli;

use super::root;

fn segno(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segno"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// All commands, each by the words that it is called with.
fn commands() -> Vec<Vec<String>> {
    fn add(command: &clap::Command, words: &[String], all: &mut Vec<Vec<String>>) {
        for one in command.get_subcommands().filter(|one| one.get_name() != "help") {
            let words = [words, &[one.get_name().to_owned()]].concat();
            all.push(words.clone());
            add(one, &words, all);
        }
    }
    let mut all = Vec::new();
    add(&cli::command(), &[], &mut all);
    all
}

#[test]
fn completions_know_every_command() {
    let commands = commands();
    assert!(commands.len() > 40, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = segno(&["completions", shell]);
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        for words in &commands {
            let last = words.last().unwrap();
            assert!(script.contains(last.as_str()), "{shell}: {words:?}");
        }
    }
    // As a shell asks for them.
    let asks = r#"source "$1"; COMP_WORDS=(segno dead-letters re); COMP_CWORD=2; COMP_LINE="segno dead-letters re"
        _segno segno re dead-letters; echo "${COMPREPLY[@]}""#;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("segno.bash");
    fs::write(&file, segno(&["completions", "bash"]).stdout).unwrap();
    let answer = Command::new("bash")
        .args(["-c", asks, "bash"])
        .arg(&file)
        .output()
        .unwrap();
    let offered = String::from_utf8_lossy(&answer.stdout);
    let mut offered: Vec<_> = offered.split_whitespace().collect();
    offered.sort_unstable();
    assert_eq!(offered, ["resolve", "retry"], "{answer:?}");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    assert!(segno(&["man", "--to", to]).status.success());
    for words in commands() {
        let name = format!("segno-{}", words.join("-"));
        let page = fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{name}: {page}");
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
    let first = segno(&["man"]).stdout;
    assert_eq!(first, fs::read(folder.path().join("segno.1")).unwrap());
}

#[test]
fn exit_codes_are_those_that_are_documented() {
    let folder = tempfile::tempdir().unwrap();
    let right = folder.path().join("segno.toml");
    fs::write(&right, "").unwrap();
    let event = folder.path().join("event.json");
    fs::write(
        &event,
        r#"{"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}"#,
    )
    .unwrap();
    // A port that nobody listens on: it was free a moment ago, and connections to it are refused.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (right, event, nobody) = (
        right.to_str().unwrap(),
        event.to_str().unwrap(),
        format!("http://{free}"),
    );
    let ran = BTreeMap::from([
        (0, segno(&["check", "--config", right])),
        (1, segno(&["check", "--config", "/nowhere/segno.toml"])),
        (2, segno(&["check", "--colour"])),
        (
            3,
            segno(&["emit", event, "--url", &nobody, "--patience", "100ms"]),
        ),
    ]);
    for (code, output) in &ran {
        assert_eq!(output.status.code(), Some(*code), "{output:?}");
    }
    let page = fs::read_to_string(root().join("docs/cli.md")).unwrap();
    let table = page.split("## Exit codes").nth(1).unwrap();
    let documented: Vec<i32> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(documented, Vec::from_iter(ran.into_keys()));
}
