//! Configurations of several files.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    folder
}

const LOG: &str = "[sinks.log]\nfile = { path = \"log.jsonl\" }\n";

fn route_to(name: &str, sink: &str) -> String {
    format!("[[routes]]\nname = \"{name}\"\non = \"*\"\nactions = [{{ name = \"a\", to = \"{sink}\" }}]\n")
}

#[test]
fn included_files_are_one_configuration() {
    let main = format!(
        "include = [\"sinks.toml\", \"routes/*.toml\"]\n{}",
        route_to("main", "log")
    );
    let folder = folder(&[
        ("segno.toml", main.as_str()),
        ("sinks.toml", LOG),
        ("routes/b.toml", &route_to("b", "other")),
        (
            "routes/a.toml",
            &format!(
                "{}[sinks.other]\nfile = {{ path = \"x\" }}\n",
                route_to("a", "log")
            ),
        ),
        ("routes/a.json", "{}"),
        ("routes/c.toml", "[schemas.\"t\"]\nfile = \"t.json\"\n"),
        ("routes/t.json", "{\"type\": \"object\"}"),
    ]);
    let config = Config::load(&folder.path().join("segno.toml")).expect("no mistakes");
    let names: Vec<_> = config.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["main", "a", "b"]);
    assert_eq!(config.sinks.keys().collect::<Vec<_>>(), ["log", "other"]);
    assert!(config.schemas.get("t").is_some());
}

#[test]
fn mistakes_in_included_files_are_told_with_the_file() {
    let main = format!(
        "include = [\"a.toml\", \"none/*.toml\", \"a.toml\", \"gone.toml\"]\n{LOG}{}",
        route_to("r", "log")
    );
    let folder = folder(&[
        ("segno.toml", main.as_str()),
        (
            "a.toml",
            &format!(
                "data = \"x\"\n{LOG}{}{}",
                route_to("r", "log"),
                route_to("s", "lag")
            ),
        ),
    ]);
    let mistakes = Config::load(&folder.path().join("segno.toml")).expect_err("mistakes");
    let found: Vec<_> = mistakes
        .iter()
        .map(|mistake| {
            let file = mistake
                .included_file()
                .and_then(|file| Path::new(file).file_name()?.to_str());
            (file, mistake.code(), mistake.position().map(|(line, _)| line))
        })
        .collect();
    assert_eq!(
        found,
        [
            (None, Code::Include, Some(1)),
            (None, Code::Include, Some(1)),
            (None, Code::Include, Some(1)),
            (Some("a.toml"), Code::UnknownKey, Some(1)),
            (Some("a.toml"), Code::DuplicateName, Some(2)),
            (Some("a.toml"), Code::DuplicateName, Some(5)),
            (Some("a.toml"), Code::UnknownSink, Some(11)),
        ],
        "{:#?}",
        list(&mistakes)
    );
    let json = serde_json::to_value(mistakes.iter().collect::<Vec<_>>()).expect("JSON");
    assert!(json[0].get("file").is_none());
    assert!(json[3]["file"].as_str().expect("a file").ends_with("a.toml"));
}
