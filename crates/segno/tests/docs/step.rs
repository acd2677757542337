//! What a session does about one part of a document.

use std::fmt::Write;

use toml::{Table, Value};

use super::{
    document::{Block, Document, Part},
    places::Places,
};

/// One step: a script, and what it has to print.
pub(crate) struct Step {
    /// The document's line.
    pub(crate) line: usize,
    pub(crate) script: String,
    pub(crate) exit: i32,
    /// Texts that are in the output.
    pub(crate) prints: Vec<String>,
    /// The whole output, where the document shows it.
    pub(crate) output: Option<Vec<String>>,
}

impl Step {
    fn new(line: usize, script: String) -> Self {
        Self {
            line,
            script,
            exit: 0,
            prints: Vec::new(),
            output: None,
        }
    }
}

/// The steps of a document, in its order.
///
/// # Panics
/// When nothing would run a block.
pub(crate) fn of(document: &Document, places: &Places) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in document.parts() {
        match part {
            Part::Setup { line, script } => steps.push(Step::new(line, places.put_in(&script))),
            Part::Block(block) if block.skip.is_some() => {}
            Part::Block(block) => steps.extend(of_block(document, &block, places)),
        }
    }
    steps
}

fn of_block(document: &Document, block: &Block, places: &Places) -> Vec<Step> {
    let place = format!("{}:{}", document.path, block.line);
    let mut text = block.text.clone();
    for (word, with) in &block.with {
        assert!(text.contains(word.as_str()), "{place}: there is no {word} in it");
        text = text.replace(word.as_str(), with);
    }
    let text = places.put_in(&text);
    let mut steps = Vec::new();
    if let Some(file) = &block.file {
        steps.push(Step::new(block.line, write(file, &text)));
    }
    match block.language.as_str() {
        "sh" if block.file.is_none() => {
            let mut step = Step::new(block.line, text);
            step.exit = block.exit;
            step.prints.clone_from(&block.prints);
            steps.push(step);
        }
        "console" => steps.extend(conversation(block.line, &text)),
        "toml" => {
            let name = format!("block-{}.toml", block.line);
            let text = match &block.after {
                Some(before) => format!("{}\n{text}", places.put_in(before)),
                None => text,
            };
            let script = write(&name, &completed(&place, &text));
            let script = format!("{script}command segno check --config {name}\n");
            steps.push(Step::new(block.line, script));
        }
        "json" => {
            let read: Result<serde_json::Value, _> = serde_json::from_str(&text);
            assert!(read.is_ok(), "{place}: {read:?}");
        }
        "rust" => compiled(&place, block),
        "yaml" => {
            let test = block.checked_by.as_ref();
            let test = test.unwrap_or_else(|| panic!("{place}: say which test it is checked by"));
            let source = std::fs::read_to_string(super::root().join(test)).unwrap_or_default();
            assert!(
                source.contains(&document.path),
                "{place}: {test} does not read it"
            );
        }
        // These run by themselves, on the databases.
        "sql" if block.file.is_none() => assert!(
            super::sql::statements(&block.text).is_some(),
            "{place}: name a database"
        ),
        "text" | "mermaid" | "sql" => {}
        _ => assert!(
            block.file.is_some(),
            "{place}: nothing runs a block of {:?}; say why not, as `<!-- test: skip WHY -->`",
            block.language
        ),
    }
    steps
}

/// Shell that writes a file.
fn write(name: &str, text: &str) -> String {
    let text = text.replace('\'', "'\\''");
    format!("mkdir -p \"$(dirname '{name}')\"\nprintf '%s' '{text}' >'{name}'\n")
}

/// The commands of a block of a terminal, each with its output.
fn conversation(line: usize, text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (at, said) in text.lines().enumerate() {
        if let Some(command) = said.strip_prefix("$ ") {
            let mut step = Step::new(line + at + 1, format!("{command}\n"));
            step.output = Some(Vec::new());
            steps.push(step);
        } else if let Some(output) = steps.last_mut().and_then(|step| step.output.as_mut()) {
            output.push(said.to_owned());
        }
    }
    steps
}

/// A configuration with a file for each sink that its routes name and it does not have.
fn completed(place: &str, text: &str) -> String {
    let table: Table = text
        .parse()
        .unwrap_or_else(|error| panic!("{place}: {error}\n{text}"));
    let mut named: Vec<&str> = Vec::new();
    let routes = table.get("routes").and_then(Value::as_array);
    for route in routes.into_iter().flatten() {
        let actions = route.get("actions").and_then(Value::as_array);
        named.extend(
            actions
                .into_iter()
                .flatten()
                .filter_map(|action| action.get("to")?.as_str()),
        );
    }
    let outboxes = table.get("outbox").and_then(Value::as_table);
    named.extend(
        outboxes
            .into_iter()
            .flat_map(Table::values)
            .filter_map(|outbox| outbox.get("to")?.as_str()),
    );
    let alert = table.get("dead_letters").and_then(|letters| letters.get("alert"));
    named.extend(alert.and_then(|alert| alert.get("sink")?.as_str()));
    named.sort_unstable();
    named.dedup();
    let known = table.get("sinks").and_then(Value::as_table);
    let mut completed = text.to_owned();
    for name in named {
        if known.is_none_or(|sinks| !sinks.contains_key(name)) {
            write!(
                completed,
                "\n[sinks.{name}]\nfile = {{ path = \"{name}.jsonl\" }}\n"
            )
            .unwrap();
        }
    }
    completed
}

/// Asserts that the lines of a block stand in the file that is compiled, one after the other.
fn compiled(place: &str, block: &Block) {
    let file = block
        .compiled_in
        .as_ref()
        .unwrap_or_else(|| panic!("{place}: say which file it is `compiled in`"));
    let source = std::fs::read_to_string(super::root().join(file))
        .unwrap_or_else(|error| panic!("{place}: {file}: {error}"));
    let lines = |text: &str| -> Vec<String> {
        // Of an example in a crate's documentation as well.
        let plain = |line: &str| line.trim().trim_start_matches("//!").trim().to_owned();
        let lines = text.lines().map(plain);
        lines.filter(|line| !line.is_empty()).collect()
    };
    let (wanted, source) = (lines(&block.text), lines(&source));
    assert!(
        source.windows(wanted.len()).any(|part| part == wanted),
        "{place}: these lines do not stand in {file}:\n{}",
        block.text
    );
}
