//! The command `runs` of the built program, against a running platform; and the same as `segno runs`.

use std::{path::Path, process::Stdio};

use segno_crawl_platform::{cluster::JobName, cluster::Phase};
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use crate::api::Api;

/// What the command prints, and whether it went well.
async fn command(address: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_crawl-platform"))
        .arg("runs")
        .args(arguments)
        .args(["--api", address])
        .env("USER", "ada")
        .env_remove("CRAWL_TOKEN")
        .env_remove("SEGNO_API")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let out = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (output.status.success(), String::from_utf8(out).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_listed_shown_started_stopped_and_resumed_on_the_command_line() {
    let api = Api::embedded().await;
    let crawler = api.crawler().await;
    // Also as Segno serves it, for the console.
    let (own, served) = (
        format!("http://{}", api.platform.address()),
        format!("http://{}/app", api.platform.segno().http_address()),
    );
    let yes = async |arguments: &[&str]| {
        let (done, text) = command(&own, arguments).await;
        assert!(done, "{arguments:?}: {text}");
        text
    };
    assert_eq!(yes(&["list"]).await, "no runs\n");
    let text = yes(&["start", &crawler, "--key", "once", "-o", "json"]).await;
    let begun: Value = serde_json::from_str(&text).unwrap();
    let run = begun["runId"].as_str().unwrap().to_owned();
    let again = yes(&["start", &crawler, "--key", "once"]).await;
    assert_eq!(again, format!("the run {run} had begun before\n"));
    api.until(&run, "it is processing", |run| run["status"] == "PROCESSING")
        .await;

    let text = yes(&["list", "--status", "PROCESSING", "--crawler", &crawler]).await;
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("RUN "), "{text}");
    assert!(
        lines.len() == 2 && lines[1].starts_with(&run) && lines[1].contains("manual"),
        "{text}"
    );
    assert_eq!(yes(&["list", "--status", "FAILED", "-o", "json"]).await, "[]\n");
    let text = yes(&["show", &run]).await;
    for part in [
        "status        PROCESSING",
        "\nTasks\nPROCESS",
        "\nAttempts\n",
        "\nLog\n",
        "deployed",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (done, text) = command(&served, &["show", &run, "-o", "yaml"]).await;
    assert!(
        done && text.contains("status: PROCESSING\n") && text.contains("tasks:\n"),
        "{text}"
    );

    // What is not to be done is said with its reason, and the exit status.
    let (done, text) = command(&own, &["resume", &run]).await;
    assert!(!done && text.contains("need not be resumed"), "{text}");
    let handle = api
        .platform
        .lifecycle()
        .client()
        .get_workflow_handle::<segno_crawl_platform::lifecycle::CrawlerRun>(
            begun["workflowId"].as_str().unwrap(),
        );
    handle.terminate(Default::default()).await.unwrap();
    let (done, text) = command(&own, &["stop", &run]).await;
    assert!(!done && text.contains("resume it first"), "{text}");
    assert_eq!(yes(&["resume", &run]).await, format!("the run {run} begins\n"));
    assert_eq!(
        yes(&["stop", &run]).await,
        format!("the run {run} is told to stop\n")
    );
    let record = api
        .until(&run, "it has ended", |run| run["status"] == "FAILED")
        .await;
    assert_eq!(record["reason"], "stopped by ada");

    // By force, of one that does not obey.
    api.cluster.disobey();
    let text = yes(&["start", &crawler, "-o", "json"]).await;
    let begun: Value = serde_json::from_str(&text).unwrap();
    let run = begun["runId"].as_str().unwrap().to_owned();
    api.until(&run, "it is processing", |run| run["status"] == "PROCESSING")
        .await;
    let text = yes(&["stop", &run, "--force", "--by", "bob", "-o", "json"]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({ "runId": run, "stop": "force" })
    );
    let record = api
        .until(&run, "it has ended", |run| run["status"] == "FAILED")
        .await;
    assert_eq!(record["reason"], "stopped by bob");
    let id: Uuid = run.parse().unwrap();
    let told = api.cluster.told();
    for process in 0..2 {
        assert!(told.contains(&(JobName::of(id, process, 1), "kill")), "{told:?}");
    }
    assert!(api.cluster.jobs().iter().all(|job| job.phase == Phase::Failed));

    let (done, text) = command(&own, &["show", &Uuid::nil().to_string()]).await;
    assert!(!done && text.starts_with("error: "), "{text}");
    api.stop().await;
    let (done, text) = command(&own, &["list"]).await;
    assert!(!done && text.contains("no crawl platform answers at"), "{text}");
}

/// `segno` runs the program `segno-runs`, which asks the platform of the Segno that a profile names, with the profile's token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segno_has_the_command_where_the_program_is_installed() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("segno");
    std::fs::create_dir_all(&folder).unwrap();
    let (token, file) = ("olga-of-the-crawlers", folder.join("olga.token"));
    std::fs::write(&file, token).unwrap();
    let config = format!(
        "[[http.tokens]]\nname = 'olga'\nfile = '{}'\nrole = 'operator'\n",
        file.display()
    );
    let api = Api::start(config, None).await.signed_in(token);
    let crawler = api.crawler().await;
    let profiles = format!(
        "[crawlers]\napi = \"http://{}\"\ntoken-file = \"olga.token\"\n[nowhere]\napi = \"http://127.0.0.1:1\"\n",
        api.platform.segno().http_address()
    );
    std::fs::write(folder.join("profiles.toml"), profiles).unwrap();
    let installed = Path::new(env!("CARGO_BIN_EXE_segno-runs")).parent().unwrap();
    // Examples are built with the tests, into a folder beside the programs.
    let segno = installed.join("examples/segno");
    let run = async |line: &str, path: &Path| {
        let output = Command::new(&segno)
            .args(line.split(' '))
            .env("XDG_CONFIG_HOME", home.path())
            .env("PATH", path)
            .env_remove("CRAWL_API")
            .env_remove("SEGNO_API")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, error) = run("--profile crawlers runs list", installed).await;
    assert_eq!((code, out.as_str()), (Some(0), "no runs\n"), "{error}");
    let start = format!("--profile crawlers runs start {crawler} -o json");
    let (code, out, error) = run(&start, installed).await;
    assert_eq!(code, Some(0), "{error}");
    let begun: Value = serde_json::from_str(&out).unwrap();
    let (code, out, error) = run("--profile=crawlers runs list", installed).await;
    assert!(
        code == Some(0) && out.contains(begun["runId"].as_str().unwrap()),
        "{out}{error}"
    );

    let (code, _, error) = run("--profile nowhere runs list", installed).await;
    assert!(
        code == Some(1) && error.contains("no crawl platform answers at http://127.0.0.1:1/app"),
        "{error}"
    );
    let (code, out, _) = run("runs --help", installed).await;
    assert!(code == Some(0) && out.contains("Usage: segno runs"), "{out}");
    let (code, _, error) = run("runs list", home.path()).await;
    assert!(code == Some(2) && error.contains("'segno-runs'"), "{error}");
    api.stop().await;
}
