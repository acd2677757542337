//! The stand-ins as the vendors' own client libraries see them. `./test` installs these.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use segno_crawl_stand_ins::{
    Fault,
    algolia::{self, Algolia},
    hubspot::{self, HubSpot},
    jira::{self, Jira, ProjectKind, User},
};
use segno_test_support::{free_port, node};
use tokio::{process::Command, time::timeout};

/// The folder in which the libraries are installed.
const LIBRARIES: &str = "SEGNO_VENDORS_JS";

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a program of `vendors`, which fails where what it sees is not what it should be.
async fn run(program: &str, arguments: &[&str]) {
    assert!(
        std::env::var_os(LIBRARIES).is_some(),
        "{LIBRARIES} is not set: `./test` installs what it names"
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vendors")
        .join(program);
    let running = Command::new(node::program())
        .arg(script)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output: Output = timeout(PATIENCE, running)
        .await
        .expect("an end in time")
        .expect("node");
    assert!(
        output.status.success(),
        "{program}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jira_js() {
    let jira = Jira::start().await.unwrap();
    jira.add_project("SUP", ProjectKind::ServiceDesk);
    jira.add_project("DEV", ProjectKind::Business);
    jira.add_user(User::new("ann", "Ann", "ann@example.com"));
    jira.add_user(User::new("eve", "Eve", "eve@example.org").customer());
    let issue = jira.add_issue("SUP", "a request");
    let other = jira.add_issue("DEV", "no request");
    jira.add_comment_with_file(&other, "ann", "See there.", ("shown.txt", "text/plain", b"hello"))
        .expect("an issue");
    for n in 1..=7 {
        jira.add_comment(&issue, "ann", &format!("comment {n}"), n == 7)
            .expect("an issue");
    }
    run("jira.mjs", &[&jira.url(), jira::EMAIL, jira::TOKEN, &issue]).await;
    // What was done is there.
    assert_eq!(jira.comments(&issue).len(), 7);
    assert_eq!(jira.issues("SUP").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hubspots_own() {
    let hubspot = HubSpot::start().await.unwrap();
    run("hubspot.mjs", &[&hubspot.url(), hubspot::TOKEN]).await;
    let emails: Vec<_> = hubspot
        .objects("contacts")
        .iter()
        .map(|contact| contact["properties"]["email"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(emails, ["ann@example.com", "bob@example.com"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hubspots_own_when_it_is_to_go_slower() {
    let hubspot = HubSpot::start().await.unwrap();
    let upsert = "POST /crm/v3/objects/{kind}/batch/upsert";
    let limited = Fault::RateLimited { retry_after: 1 };
    hubspot
        .control()
        .fail_next("GET /crm/v3/objects/{kind}/{id}", 1, limited);
    hubspot.control().fail_next(upsert, 1, Fault::Status(500));
    run("hubspot_limits.mjs", &[&hubspot.url(), hubspot::TOKEN]).await;
    assert_eq!(hubspot.control().calls(upsert), 2);
    assert_eq!(hubspot.objects("contacts").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn algolias_own() {
    let algolia = Algolia::start().await.unwrap();
    let live = algolia.url();
    let live = live.trim_start_matches("http://");
    let dead = format!("127.0.0.1:{}", free_port());
    run("algolia.mjs", &[live, &dead, algolia::APP_ID, algolia::API_KEY]).await;
    let left: Vec<_> = algolia.records("library").into_keys().collect();
    assert!(
        left.contains(&"d".to_owned()) && !left.contains(&"a".to_owned()),
        "{left:?}"
    );
}
