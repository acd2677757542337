//! The commands that ask a running Segno: `dead-letters`, `replay`, `keys`, `routes`, `sinks`, `explain`, `events`, `executions`,
//! `schedules`, `timers`. Each as a table and as JSON.

use std::{
    path::Path,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use segno::{Consumer, ConsumerError, Data, Event};
use serde_json::{Value, json};
use tokio::{
    process::Command,
    time::{Duration, Instant, sleep},
};

use crate::support::{App, DEADLINE, TestEngine, only_execution, order};

on_every_engine!(
    dead_letters,
    replays,
    keys,
    routes_and_sinks,
    events_and_executions,
    schedules,
    timers,
    profiles
);

/// Takes events once it is told to.
#[derive(Clone, Default)]
struct Switched(Arc<AtomicBool>);

impl Consumer for Switched {
    async fn process(&self, event: &Event) -> Result<(), ConsumerError> {
        let mended = matches!(&event.data, Some(Data::Json(data)) if data["total"] == 0);
        if mended || self.0.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(ConsumerError::permanent("the books are closed"))
    }
}

const CONFIG: &str = r#"
    [schemas]
    "order.placed" = { schema = { properties = { total = { type = "number" } } } }

    [sinks]
    files = { file = { path = "out.jsonl" } }

    [[routes]]
    name = "booked"
    on = "order.*"
    consumer = "books"
    order = { by = "subject" }
    "#;

async fn start(engine: &TestEngine, books: &Switched) -> App {
    App::start_with(engine, CONFIG, |builder| builder.consumer("books", books.clone())).await
}

async fn run(app: &App, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_segno"))
        .args(arguments)
        .args(["--api", &app.url("")])
        .env("USER", "ada")
        .current_dir(folder)
        .kill_on_drop(true)
        .output()
        .await
        .expect("the program runs")
}

/// What the command prints; it has to succeed.
async fn table(app: &App, engine: &TestEngine, arguments: &[&str]) -> String {
    let output = run(app, engine.folder(), arguments).await;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    assert!(output.status.success(), "{arguments:?}: {}", text(output.stderr));
    text(output.stdout)
}

/// The same as JSON.
async fn json_of(app: &App, engine: &TestEngine, arguments: &[&str]) -> Value {
    let text = table(app, engine, &[arguments, &["--output", "json"]].concat()).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What it says on standard error; it has to fail.
async fn error(app: &App, engine: &TestEngine, arguments: &[&str]) -> String {
    let output = run(app, engine.folder(), arguments).await;
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// Repeats the command until what it prints is so: lists of a cluster follow with a delay.
async fn until(
    app: &App,
    engine: &TestEngine,
    arguments: &[&str],
    condition: impl Fn(&Value) -> bool,
) -> Value {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = json_of(app, engine, arguments).await;
        if condition(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{arguments:?}: {answer:#}");
        sleep(Duration::from_millis(100)).await;
    }
}

fn has(count: usize) -> impl Fn(&Value) -> bool {
    move |answer| answer.as_array().is_some_and(|list| list.len() == count)
}

async fn fail(app: &App, id: &str, subject: &str) -> String {
    let mut event = order(id, 5);
    event["subject"] = subject.into();
    let id = only_execution(&app.accept(&event).await).to_owned();
    assert_eq!(app.closed(&id).await["status"], "Failed");
    id
}

async fn dead_letters(engine: TestEngine) {
    let app = start(&engine, &Switched::default()).await;
    assert_eq!(
        table(&app, &engine, &["dead-letters", "list"]).await,
        "no dead letters\n"
    );
    let mut ids = Vec::new();
    for n in ["1", "2", "3"] {
        ids.push(fail(&app, n, n).await);
    }
    let [first, second, third] = &ids[..] else {
        panic!("three events")
    };
    until(&app, &engine, &["dead-letters", "list"], has(3)).await;
    let one = until(&app, &engine, &["dead-letters", "list", "--subject", "1"], has(1)).await;
    assert_eq!(one[0]["id"], *first, "{one:#}");
    let list = table(&app, &engine, &["dead-letters", "list"]).await;
    assert!(
        list.contains(first) && list.contains("books, 1 attempt: the books are closed"),
        "{list}"
    );

    let shown = table(&app, &engine, &["dead-letters", "show", first]).await;
    assert!(shown.contains("route    booked") && shown.contains("order.placed 1 from /shop"));
    let shown = json_of(&app, &engine, &["dead-letters", "show", first]).await;
    assert_eq!(shown["cloud_event"]["data"]["total"], 5, "{shown:#}");

    // A changed payload has to fit the type's schema, and then it is what runs.
    let file = |name: &str, data: Value| {
        std::fs::write(engine.folder().join(name), data.to_string()).expect("a file is written");
    };
    file("wrong.json", json!({"total": "none"}));
    file("mended.json", json!({"total": 0}));
    let refused = error(
        &app,
        &engine,
        &["dead-letters", "retry", first, "--data", "wrong.json"],
    )
    .await;
    assert!(
        refused.contains("does not fit the schema of the type \"order.placed\"")
            && refused.contains("/data/total"),
        "{refused}"
    );
    let retried = table(
        &app,
        &engine,
        &["dead-letters", "retry", first, "--data", "mended.json"],
    )
    .await;
    assert!(retried.contains("it runs again"), "{retried}");
    assert_eq!(app.closed(first).await["status"], "Completed");
    let again = json_of(&app, &engine, &["dead-letters", "retry", first]).await;
    assert_eq!(again["changed"], false, "{again:#}");

    let skipped = table(
        &app,
        &engine,
        &["dead-letters", "skip", second, "--note", "a test"],
    )
    .await;
    assert!(skipped.contains("it is skipped"), "{skipped}");
    let without = error(&app, &engine, &["dead-letters", "resolve", third]).await;
    assert!(without.contains("note"), "{without}");
    let resolved = json_of(
        &app,
        &engine,
        &["dead-letters", "resolve", third, "--note", "by hand"],
    )
    .await;
    assert_eq!(resolved["changed"], true, "{resolved:#}");
    until(&app, &engine, &["dead-letters", "list"], has(0)).await;
    assert_eq!(app.closed(third).await["status"], "Completed");
    let told = table(&app, &engine, &["explain", "--source", "/shop", "--id", "3"]).await;
    assert!(told.contains("resolved by ada: by hand"), "{told}");

    let missing = error(&app, &engine, &["dead-letters", "show", "booked//shop/none"]).await;
    assert!(missing.contains("there is no"), "{missing}");
    app.stop().await;
}

async fn replays(engine: TestEngine) {
    let books = Switched::default();
    books.0.store(true, Ordering::SeqCst);
    let app = start(&engine, &books).await;
    for n in ["1", "2"] {
        app.closed(only_execution(&app.accept(&order(n, 5)).await)).await;
    }
    let dry = ["replay", "--route", "booked", "--dry-run"];
    until(&app, &engine, &dry, |answer| answer["events"] == 2).await;
    let printed = table(&app, &engine, &dry).await;
    assert!(
        printed.starts_with("2 events: 2 executions would run"),
        "{printed}"
    );

    let begin = ["replay", "--route", "booked", "--id", "monday"];
    let begun = table(&app, &engine, &begin).await;
    assert!(begun.starts_with("replay monday: "), "{begun}");
    let again = table(&app, &engine, &begin).await;
    assert!(again.contains("it was begun before"), "{again}");
    let done = until(&app, &engine, &["replay", "show", "monday"], |replay| {
        replay["state"] == "done"
    })
    .await;
    assert_eq!(done["progress"]["executions"], 2, "{done:#}");
    for n in ["1", "2"] {
        let replayed = app.closed(&format!("booked//shop/{n}/replay/monday")).await;
        assert_eq!(replayed["status"], "Completed");
    }
    // On a terminal one sees how far it is.
    let waits = format!(
        "{} replay --route booked --id tuesday --wait --api {}",
        env!("CARGO_BIN_EXE_segno"),
        app.url("")
    );
    let terminal = Command::new("script")
        .args(["-qec", &waits, "/dev/null"])
        .env("TERM", "xterm")
        .output()
        .await
        .unwrap();
    let seen = String::from_utf8_lossy(&terminal.stdout);
    assert!(
        seen.contains('\u{1b}') && seen.contains(" executions, "),
        "{seen:?}"
    );
    assert!(seen.contains("replay tuesday: done, 2 events"), "{seen:?}");
    for verb in ["pause", "resume", "cancel"] {
        let steered = table(&app, &engine, &["replay", verb, "monday"]).await;
        assert!(steered.starts_with("replay monday: done"), "{steered}");
    }
    let none = error(&app, &engine, &["replay", "--route", "other"]).await;
    assert!(none.contains("there is no route \"other\""), "{none}");
    app.stop().await;
}

async fn keys(engine: TestEngine) {
    let app = start(&engine, &Switched::default()).await;
    let failed = fail(&app, "1", "k").await;
    let mut event = order("2", 0);
    event["subject"] = "k".into();
    app.accept(&event).await;
    let keys = until(&app, &engine, &["keys", "list", "--parked"], |keys| {
        keys[0]["waiting"] == 1
    })
    .await;
    assert_eq!(keys[0]["parked"]["by"], failed, "{keys:#}");
    let printed = table(&app, &engine, &["keys", "list", "--route", "booked"]).await;
    assert!(
        printed.starts_with("booked  \"k\"  1 waiting, 0 running, the first since "),
        "{printed}"
    );
    assert!(
        printed.contains("    parked behind booked//shop/1: books: the books are closed\n"),
        "{printed}"
    );
    let told = table(&app, &engine, &["explain", "--source", "/shop", "--id", "2"]).await;
    assert!(
        told.contains("it is parked behind booked//shop/1, which failed: books: the books are closed"),
        "{told}"
    );

    let command = |verb: &'static str| ["keys", verb, "k", "--route", "booked"];
    assert_eq!(
        table(&app, &engine, &command("pause")).await,
        "\"k\" of booked is paused\n"
    );
    assert_eq!(
        table(&app, &engine, &command("pause")).await,
        "\"k\" of booked was paused already\n"
    );
    assert_eq!(
        table(&app, &engine, &command("release")).await,
        "\"k\" of booked is released\n"
    );
    let released = json_of(&app, &engine, &command("release")).await;
    assert_eq!(released, json!({"changed": false}));
    let told = table(&app, &engine, &["explain", "--source", "/shop", "--id", "2"]).await;
    assert!(told.contains("it waits until its key is resumed"), "{told}");
    assert_eq!(
        table(&app, &engine, &command("resume")).await,
        "\"k\" of booked goes on\n"
    );
    assert_eq!(app.closed("booked//shop/2").await["status"], "Completed");
    let none = error(&app, &engine, &["keys", "pause", "k", "--route", "other"]).await;
    assert!(none.contains("there is no route \"other\""), "{none}");
    app.stop().await;
}

async fn routes_and_sinks(engine: TestEngine) {
    let app = start(&engine, &Switched::default()).await;
    assert_eq!(table(&app, &engine, &["routes", "list"]).await, "booked\n");
    assert_eq!(
        table(&app, &engine, &["routes", "pause", "booked"]).await,
        "booked is paused\n"
    );
    assert_eq!(
        table(&app, &engine, &["routes", "pause", "booked"]).await,
        "booked was paused already\n"
    );
    let listed = table(&app, &engine, &["routes", "list"]).await;
    assert!(listed.starts_with("booked  paused since "), "{listed}");
    app.accept(&order("1", 0)).await;
    app.until("booked//shop/1", |execution| execution["waits"].is_string())
        .await;
    let told = table(&app, &engine, &["explain", "--source", "/shop", "--id", "1"]).await;
    assert!(
        told.contains("    it waits until the route \"booked\" is resumed\n"),
        "{told}"
    );
    assert_eq!(
        table(&app, &engine, &["routes", "resume", "booked"]).await,
        "booked goes on\n"
    );
    assert_eq!(app.closed("booked//shop/1").await["status"], "Completed");

    let paused = json_of(&app, &engine, &["sinks", "pause", "files"]).await;
    assert_eq!(paused, json!({"changed": true}));
    let listed = json_of(&app, &engine, &["sinks", "list"]).await;
    assert_eq!(listed[0]["name"], "files");
    assert!(listed[0]["paused"].is_string(), "{listed:#}");
    assert_eq!(
        table(&app, &engine, &["sinks", "resume", "files"]).await,
        "files goes on\n"
    );
    let none = error(&app, &engine, &["sinks", "pause", "other"]).await;
    assert!(none.contains("there is no sink \"other\""), "{none}");
    app.stop().await;
}

async fn events_and_executions(engine: TestEngine) {
    let books = Switched::default();
    books.0.store(true, Ordering::SeqCst);
    let app = start(&engine, &books).await;
    let id = only_execution(&app.accept(&order("1001", 5)).await).to_owned();
    app.closed(&id).await;
    let of_it = ["events", "list", "--id", "1001", "--status", "Completed"];
    let listed = until(&app, &engine, &of_it, has(1)).await;
    assert_eq!(
        (&listed[0]["workflow_id"], &listed[0]["route"]),
        (&json!(id), &json!("booked"))
    );
    let list = table(&app, &engine, &of_it).await;
    assert!(list.starts_with("STATUS") && list.contains(&id), "{list}");
    until(&app, &engine, &["events", "list", "--id", "no such"], has(0)).await;
    let yaml = table(&app, &engine, &[&of_it[..], &["-o", "yaml"]].concat()).await;
    assert!(
        yaml.starts_with("- ") && yaml.contains("status: Completed"),
        "{yaml}"
    );

    let source = listed[0]["event_source"].as_str().expect("a source");
    let story = table(
        &app,
        &engine,
        &["events", "show", "--source", source, "--id", "1001"],
    )
    .await;
    assert!(story.contains(&id), "{story}");
    let missing = error(
        &app,
        &engine,
        &["events", "show", "--source", source, "--id", "0"],
    )
    .await;
    assert!(missing.contains("no event"), "{missing}");

    let query = format!("WorkflowId = '{id}'");
    until(&app, &engine, &["executions", "list", "--query", &query], has(1)).await;
    let one = json_of(&app, &engine, &["executions", "show", &id]).await;
    assert_eq!(one["status"], "Completed", "{one:#}");
    let shown = table(&app, &engine, &["executions", "show", &id]).await;
    assert!(shown.contains("action   books done"), "{shown}");
    let wrong = error(&app, &engine, &["executions", "list", "--query", "Nonsense ="]).await;
    assert!(wrong.contains("query"), "{wrong}");
    app.stop().await;
}

async fn schedules(engine: TestEngine) {
    const YEARLY: &str = r#"
        [sinks]
        files = { file = { path = "out.jsonl" } }
        [[routes]]
        name = "yearly"
        schedule = { cron = "0 0 1 1 *", time_zone = "Europe/Berlin", type = "year.begun" }
        actions = [{ name = "note", to = "files" }]
        "#;
    let app = App::start(&engine, YEARLY).await;
    let id = "segno-route/yearly";
    // Beside those that Segno has for itself.
    let mut listed = until(&app, &engine, &["schedules", "list"], |listed| {
        let mut all = listed.as_array().into_iter().flatten();
        all.any(|schedule| schedule["id"] == id)
    })
    .await;
    let listed = listed.as_array_mut().expect("a list");
    listed.retain(|schedule| schedule["id"] == id);
    assert_eq!(listed[0]["paused"], false);
    let list = table(&app, &engine, &["schedules", "list"]).await;
    let line = list.lines().find(|line| line.contains(id)).expect("its line");
    assert!(
        line.starts_with("active  20") && line.ends_with("(Europe/Berlin)"),
        "{list}"
    );

    let paused = table(
        &app,
        &engine,
        &["schedules", "pause", id, "--note", "not this year"],
    )
    .await;
    assert_eq!(paused, "segno-route/yearly is paused\n");
    // Each is waited for: the real server keeps one such request, and of two that come between its looks the last.
    until(&app, &engine, &["schedules", "show", id], |schedule| {
        schedule["paused"] == true
    })
    .await;
    let triggered = table(&app, &engine, &["schedules", "trigger", id]).await;
    assert_eq!(triggered, "segno-route/yearly is triggered\n");
    until(&app, &engine, &["events", "list", "--type", "year.begun"], has(1)).await;
    let between = [
        "--from",
        "2024-12-01T00:00:00Z",
        "--until",
        "2026-01-02T00:00:00Z",
    ];
    let backfill = ["schedules", "backfill", id];
    let told = json_of(&app, &engine, &[&backfill[..], &between].concat()).await;
    assert_eq!(told, json!({ "id": id }));
    // Now, and the first of January of two years.
    until(&app, &engine, &["events", "list", "--type", "year.begun"], has(3)).await;
    let shown = table(&app, &engine, &["schedules", "show", id]).await;
    assert!(shown.starts_with("segno-route/yearly  paused  "), "{shown}");
    assert!(shown.contains("  note     not this year\n"), "{shown}");
    assert!(
        shown.contains("  so far   3 started, 0 skipped, 0 missed\n"),
        "{shown}"
    );
    let resumed = table(&app, &engine, &["schedules", "resume", id]).await;
    assert_eq!(resumed, "segno-route/yearly goes on\n");
    assert_eq!(
        json_of(&app, &engine, &["schedules", "show", id]).await["paused"],
        false
    );
    let wrong = error(
        &app,
        &engine,
        &["schedules", "backfill", id, "--from", "yesterday", "--until", "x"],
    )
    .await;
    assert!(wrong.contains("`from` has to be a time"), "{wrong}");
    let none = error(&app, &engine, &["schedules", "pause", "none"]).await;
    assert!(none.contains("there is no such schedule"), "{none}");
    app.stop().await;
}

async fn timers(engine: TestEngine) {
    let app = start(&engine, &Switched::default()).await;
    let set = [
        "timers",
        "set",
        "https://example.com/hook",
        "--hours",
        "1",
        "--key",
        "k1",
    ];
    let id = table(&app, &engine, &set).await.trim().to_owned();
    assert_eq!(
        table(&app, &engine, &set).await.trim(),
        id,
        "the same key finds the same timer"
    );
    let listed = until(&app, &engine, &["timers", "list", "--status", "pending"], has(1)).await;
    assert_eq!(listed[0]["id"], json!(id));
    let list = table(&app, &engine, &["timers", "list"]).await;
    assert!(list.contains("https://example.com"), "{list}");
    let left = json_of(&app, &engine, &["timers", "move", &id, "--minutes", "2"]).await;
    assert!(
        left["time_left"].as_u64().is_some_and(|left| left <= 120),
        "{left}"
    );
    let shown = table(&app, &engine, &["timers", "show", &id]).await;
    assert!(shown.contains("s left"), "{shown}");
    assert_eq!(table(&app, &engine, &["timers", "deliveries", &id]).await, "");
    let cancelled = table(&app, &engine, &["timers", "cancel", &id]).await;
    assert_eq!(cancelled, format!("{id} is cancelled\n"));
    error(&app, &engine, &["timers", "show", "no-id"]).await;
    app.stop().await;
}

/// What a profile says holds where no flag says otherwise, and one that a flag names before variables.
async fn profiles(engine: TestEngine) {
    let tokens = crate::access::tokens(&engine);
    let sink = "[sinks]\nfiles = { file = { path = \"out.jsonl\" } }\n";
    let app = App::start(&engine, &format!("{tokens}{sink}")).await;
    let folder = engine.folder().join("segno");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("profiles.toml");
    let token = crate::access::token(segno::access::Role::Viewer);
    std::fs::write(folder.join("viewer.token"), token).unwrap();
    let text = format!(
        "[away]\napi = \"http://127.0.0.1:1\"\n[here]\napi = \"{}\"\ntoken-file = \"viewer.token\"\noutput = \"json\"\n",
        app.url("")
    );
    std::fs::write(&file, text).unwrap();
    let run = async |arguments: &str, variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_segno"));
        command
            .args(arguments.split(' '))
            .env("XDG_CONFIG_HOME", engine.folder())
            .envs(variables.iter().copied());
        let (code, out, error) = ran(command).await;
        (code == Some(0), out, error)
    };
    let sinks = |(is_done, out, error): (bool, String, String)| {
        assert!(is_done, "{error}");
        let sinks: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
        assert_eq!(sinks[0]["name"], "files");
    };
    sinks(run("sinks list --profile here", &[]).await);
    sinks(
        run(
            "--profile=here sinks list",
            &[("SEGNO_API", "http://127.0.0.1:1"), ("SEGNO_TOKEN", "of another")],
        )
        .await,
    );
    sinks(run("sinks list", &[("SEGNO_PROFILE", "here")]).await);
    let url = app.url("");
    sinks(
        run(
            &format!("sinks list --profile away --api {url} -o json"),
            &[("SEGNO_TOKEN_FILE", folder.join("viewer.token").to_str().unwrap())],
        )
        .await,
    );
    // The variable of a place counts before the variable of a profile, and what no flag says otherwise is the profile's.
    let (is_done, _, error) = run(
        "sinks list",
        &[("SEGNO_PROFILE", "here"), ("SEGNO_API", "http://127.0.0.1:1")],
    )
    .await;
    assert!(
        !is_done && error.contains("no Segno answers at http://127.0.0.1:1"),
        "{error}"
    );
    let (is_done, table, error) = run("sinks list --profile here -o table", &[]).await;
    assert!(
        is_done && table.contains("files") && !table.starts_with('['),
        "{table}{error}"
    );

    let (is_done, out, error) = run("config profiles --profile here -o table", &[]).await;
    assert!(is_done, "{error}");
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[1].trim_start().starts_with("away"), "{out}");
    assert!(lines[2].starts_with("*  here"), "{out}");
    let (is_done, _, error) = run("sinks list --profile her", &[]).await;
    assert!(
        !is_done && error.contains("there is no profile `her`") && error.contains("away, here"),
        "{error}"
    );
    std::fs::write(&file, "[here]\ntoken = \"swordfish-swordfish\"\n").unwrap();
    let (is_done, _, error) = run("sinks list --profile here", &[]).await;
    assert!(
        !is_done && error.contains("SG0003") && !error.contains("swordfish"),
        "{error}"
    );
    app.stop().await;
}

/// The exit code of a command, and what it prints on standard output and as errors.
async fn ran(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.kill_on_drop(true).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What is no command here is a program `segno-NAME` from the path, with its arguments, its exit code and what a profile says.
#[cfg(unix)]
#[tokio::test]
async fn other_programs_are_commands() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("bin");
    std::fs::create_dir_all(&programs).unwrap();
    let program = |name: &str, script: &str| {
        let file = programs.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program(
        "segno-tell",
        r#"printf '<%s>' "$@"
echo " $SEGNO_PROFILE $SEGNO_API $SEGNO_URL $SEGNO_TOKEN_FILE ${SEGNO_TOKEN-none}"
exit 7"#,
    );
    // None of these is ever run.
    for name in ["segno-events", "segno--events", "segno-sub/tell", "segno-lst"] {
        program(name, "echo it ran");
    }
    let settings = folder.path().join("segno");
    std::fs::create_dir_all(&settings).unwrap();
    std::fs::write(
        settings.join("profiles.toml"),
        "[here]\napi = \"http://127.0.0.1:1\"\ntoken-file = \"a.token\"\n",
    )
    .unwrap();
    let run = async |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_segno"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", &programs)
            .env("XDG_CONFIG_HOME", folder.path())
            .envs(variables.iter().copied());
        ran(command).await
    };
    let token = settings.join("a.token");
    let of_profile = format!("http://127.0.0.1:1 http://127.0.0.1:1 {}", token.display());

    let (code, out, error) = run(&["tell", "a b", "--profile", "c"], &[]).await;
    assert_eq!(out, "<a b><--profile><c>     none\n", "{error}");
    assert_eq!(code, Some(7));
    let variables = [("SEGNO_API", "http://127.0.0.1:2"), ("SEGNO_TOKEN", "b")];
    let (_, out, error) = run(&["--profile", "here", "tell"], &variables).await;
    assert_eq!(out, format!("<> here {of_profile} none\n"), "{error}");
    // What variables say counts before a profile that a variable names.
    let variables = [
        ("SEGNO_PROFILE", "here"),
        ("SEGNO_API", "http://127.0.0.1:2"),
        ("SEGNO_TOKEN", "b"),
    ];
    let (_, out, error) = run(&["tell"], &variables).await;
    assert_eq!(
        out, "<> here http://127.0.0.1:2 http://127.0.0.1:1  b\n",
        "{error}"
    );
    let (code, out, error) = run(&["--profile", "her", "tell"], &[]).await;
    assert!(
        code == Some(1) && out.is_empty() && error.contains("there is no profile `her`"),
        "{error}"
    );

    let (code, out, error) = run(&["event", "list"], &[]).await;
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let said = [
        "error: unrecognized subcommand 'event'",
        "'events'",
        "tip: it would be the program 'segno-event', and the PATH has none of that name",
        "Usage: segno [OPTIONS] <COMMAND>",
    ];
    for part in said {
        assert!(error.contains(part), "{part}: {error}");
    }
    for arguments in [
        ["sub/tell"].as_slice(),
        &["--", "-events"],
        &["keys", "lst"],
        &["events", "--bogus"],
    ] {
        let (code, out, error) = run(arguments, &[]).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {error}");
    }
}
