//! The files that are made of the registry. With `SEGNO_BLESS=1` they are written anew; look at the difference before it is
//! committed.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use segno::config::Config;
use segno_crawl_platform::events::{
    Settings,
    registry::{EVENTS, definition, schemas, types},
};
use serde_json::{Value, json};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn same(path: &Path, text: &str) {
    if std::env::var_os("SEGNO_BLESS").is_some() {
        fs::write(path, text).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(found == text, "{} differs; it is to be:\n{text}", path.display());
}

#[test]
fn schemas_are_those_of_the_types() {
    let folder = folder().join("schemas");
    for (name, schema) in schemas() {
        same(
            &folder.join(name),
            &format!("{}\n", serde_json::to_string_pretty(&schema).unwrap()),
        );
    }
    let files = fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, EVENTS.len(), "a schema without an event");
    let mut text = String::from(
        "# The schemas of the business events' data, with an example of each. Made of the program's types.\n",
    );
    for event in EVENTS {
        let table = json!({ "file": format!("schemas/{}.json", event.ty), "description": event.does, "examples": [(event.example)()] });
        let entry: BTreeMap<_, _> = [("schemas", json!({ event.ty: table }))].into();
        let value = toml::Value::try_from(entry).unwrap();
        // One line a key is enough.
        let inner = &value["schemas"][event.ty];
        write!(text, "\n[schemas.{}]\n", event.ty).unwrap();
        for key in ["file", "description", "examples"] {
            writeln!(text, "{key} = {}", inner[key]).unwrap();
        }
    }
    same(&folder.parent().unwrap().join("schemas.toml"), &text);
}

#[test]
fn the_table_of_the_documentation_is_the_registry() {
    let path = folder().join("README.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("registry.rs. -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let mut text = format!(
        "{before}registry.rs. -->\n| event | source | what it does | systems | two are one by |\n|---|---|---|---|---|\n"
    );
    for event in EVENTS {
        let key = event.key.replace("event.data.", "");
        writeln!(
            text,
            "| `{}` | {} | {} | {} | `{key}` |",
            event.ty,
            event.sources.join(", "),
            event.does,
            event.with
        )
        .unwrap();
    }
    text.push_str("<!-- end -->");
    text.push_str(after);
    same(&path, &text);
}

#[test]
fn each_event_has_a_route_a_schema_and_an_example_that_fits() {
    let path = folder().join("segno.toml");
    let config = Config::load(&path).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config.routes.iter().count(), EVENTS.len());
    assert_eq!(config.schemas.iter().count(), EVENTS.len());
    let text = fs::read_to_string(folder().join("routes/events.toml")).unwrap();
    let routes: Value = toml::from_str(&text).unwrap();
    for route in routes["routes"].as_array().unwrap() {
        let event = definition(route["on"].as_str().unwrap()).unwrap();
        assert_eq!(route["name"], event.name());
        assert_eq!(route["workflow"], event.workflow);
        assert_eq!(route["dedupe"]["key"], event.key, "{}", event.ty);
    }
}

#[test]
fn the_settings_that_come_with_the_program_can_be_read() {
    for name in ["MAIL_SECRET", "JIRA_TOKEN"] {
        assert!(
            std::env::var_os(name).is_none(),
            "{name} is set, and this test sets none"
        );
    }
    let path: PathBuf = folder().join("events.toml");
    let text = fs::read_to_string(path).unwrap();
    // What the environment has to say is not there in tests.
    let mut plain = String::new();
    for line in text.lines() {
        let line = match line.split_once("{ env = ") {
            Some((key, _)) if !line.starts_with('#') => format!("{key}\"x\""),
            _ => line.to_owned(),
        };
        writeln!(plain, "{line}").unwrap();
    }
    let settings = Settings::parse(&plain, types()).unwrap();
    assert_eq!(settings.retry_of("ContactMessageRepliedEvent").max_attempts, 0);
    assert_eq!(settings.retry_of("TicketCommentedEvent").max_attempts, 20);
}
