//! The pages of runs in Segno's console, in a real browser.

use reqwest::Method;
use segno_crawl_platform::{
    cluster::{JobName, Phase},
    store::Trigger,
};
use segno_test_support::{node, servers::Browser};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::Api;

/// What axe finds by the rules of WCAG 2.2 at level AA and its own of good practice.
const CHECK: &str = "return axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => \
    violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((node) => [node.html, node.failureSummary]) })))";

async fn is_accessible_and_fits(browser: &Browser, url: &str, text: &str) {
    let axe = node::packages().join("node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(axe).unwrap();
    for (scheme, width, height) in [("dark", 1280, 900), ("light", 360, 740)] {
        browser.look(width, height, scheme).await;
        browser.goto(url).await;
        browser.see(text).await;
        let too_wide = "return document.documentElement.scrollWidth > innerWidth";
        assert_eq!(browser.run(too_wide, &[]).await, json!(false), "{url} at {width}");
        browser.run(&axe, &[]).await;
        let found = browser.run(CHECK, &[]).await;
        assert_eq!(found, json!([]), "{url}, {scheme}, {width}: {found:#}");
    }
    browser.look(1280, 900, "light").await;
}

/// On one engine: what the pages ask is the platform's API, which is tested on both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_looked_at_and_stopped_in_the_console() {
    let api = Api::embedded().await;
    let browser = Browser::start().await;
    let console = format!("http://{}/console", api.platform.segno().http_address());
    let crawler = api.crawler().await;
    let lifecycle = api.platform.lifecycle();
    let begin = async || {
        let crawler = crawler.parse().unwrap();
        let asked = lifecycle.begin(crawler, Trigger::Api, None);
        asked.await.unwrap().run
    };
    browser.goto(&console).await;
    browser.click("nav a", "Runs").await;
    browser.find("h1", "Runs").await;
    browser.see("No runs.").await;

    // It comes by itself, and is found by its status.
    let run = begin().await;
    browser.find("td .status", "PROCESSING").await;
    browser.find("td", "books").await;
    browser.goto(&format!("{console}/runs?status=COMPLETED")).await;
    browser.see("No runs.").await;
    browser.goto(&format!("{console}/runs?status=PROCESSING")).await;
    browser.click("td a", &run.to_string()).await;
    browser.find("h1", &format!("Run {run}")).await;
    browser.find(".facts", "reconciliation").await;

    // One process fails: what was corrected is told with its reason, and the log's end.
    api.cluster.set(&JobName::of(run, 1, 1), Phase::Failed);
    browser.find("td", "the job has failed: exit status 1").await;
    browser.see("the last of at most").await;
    browser.find("td", "deployed as the job").await;

    // Stopped by hand, and by force.
    browser.click("button", "Stop").await;
    browser.see("Its processes are told to end.").await;
    browser.click("dialog footer button", "Stop").await;
    browser.find(".facts .status", "FAILED").await;
    browser.find(".facts", "stopped by").await;
    api.cluster.disobey();
    let other = begin().await;
    browser.goto(&format!("{console}/runs/{other}")).await;
    browser.find(".facts .status", "PROCESSING").await;
    browser.click("button", "Stop by force").await;
    browser.click("dialog footer button", "Stop by force").await;
    browser.find(".facts .status", "FAILED").await;
    assert!(api.cluster.told().contains(&(JobName::of(other, 0, 1), "kill")));

    // Whose workflow was terminated is gone on with.
    let third = begin().await;
    let workflow = api
        .until(&third.to_string(), "it is processing", |run| {
            run["status"] == "PROCESSING"
        })
        .await["workflowId"]
        .as_str()
        .unwrap()
        .to_owned();
    let handle = lifecycle
        .client()
        .get_workflow_handle::<segno_crawl_platform::lifecycle::CrawlerRun>(workflow);
    handle.terminate(Default::default()).await.unwrap();
    browser.goto(&format!("{console}/runs/{third}")).await;
    browser.click("button", "Resume").await;
    browser.click("dialog footer button", "Resume").await;
    browser.see("It goes on.").await;
    for process in 0..2 {
        api.cluster.set(&JobName::of(third, process, 1), Phase::Failed);
    }
    browser.find(".facts .status", "FAILED").await;

    is_accessible_and_fits(&browser, &format!("{console}/runs"), &third.to_string()).await;
    is_accessible_and_fits(&browser, &format!("{console}/runs/{run}"), "Corrections").await;
    browser.goto(&format!("{console}/runs/{}", Uuid::nil())).await;
    browser.find("[role=alert]", "there is no run").await;
    let log = browser.log().await;
    let wrong: Vec<_> = log
        .iter()
        .filter(|entry| entry["source"] != "network" && entry["level"] == "SEVERE")
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    drop(browser);
    api.stop().await;
}

/// The API below `/app` has Segno's roles; what an operator does there is in the audit log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_only_look_changes_no_run() {
    let (eye, hand, boss) = (
        "look-at-it-all-day-long-0123456789",
        "do-it-all-day-long-too-0123456789",
        "boss-0123456789-0123456789-0123456789",
    );
    let folder = tempfile::tempdir().unwrap();
    let mut tokens = String::new();
    for (name, role, token) in [
        ("eye", "viewer", eye),
        ("hand", "operator", hand),
        ("boss", "admin", boss),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, token).unwrap();
        tokens.push_str(&format!(
            "[[http.tokens]]\nname = '{name}'\nfile = '{}'\nrole = '{role}'\n",
            file.display()
        ));
    }
    let api = Api::start(tokens, None).await.signed_in(hand);
    let segno = format!("http://{}", api.platform.segno().http_address());
    let crawler = api.crawler().await;
    let asked = api
        .platform
        .lifecycle()
        .begin(crawler.parse().unwrap(), Trigger::Api, None);
    let run = asked.await.unwrap().run;
    api.until(&run.to_string(), "it is processing", |run| {
        run["status"] == "PROCESSING"
    })
    .await;
    let call = async |token: Option<&str>, method: Method, path: &str, body: &Value| {
        let mut request = api.http.request(method, format!("{segno}/app{path}"));
        if !body.is_null() {
            request = request.json(body);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let schedule = json!({ "crawlerId": crawler, "everySeconds": 3600 });
    let definition = json!({ "name": "books" });
    for path in ["/runs", &format!("/runs/{run}"), "/crawlers", "/schedules"] {
        assert_eq!(call(None, Method::GET, path, &Value::Null).await, 401, "{path}");
        assert_eq!(
            call(Some(eye), Method::GET, path, &Value::Null).await,
            200,
            "{path}"
        );
    }
    for (method, path, body) in [
        (Method::POST, format!("/runs/{run}/stop"), json!({ "by": "eye" })),
        (
            Method::POST,
            format!("/runs/{run}/stop"),
            json!({ "by": "eye", "force": true }),
        ),
        (Method::POST, format!("/runs/{run}/resume"), Value::Null),
        (Method::POST, format!("/crawlers/{crawler}/runs"), json!({})),
        (Method::POST, "/crawlers".to_owned(), definition.clone()),
        (Method::PUT, format!("/crawlers/{crawler}"), definition),
        (Method::POST, "/schedules".to_owned(), schedule.clone()),
        (Method::PUT, format!("/schedules/{run}"), schedule),
        (Method::DELETE, format!("/schedules/{run}"), Value::Null),
    ] {
        let what = format!("{method} {path}");
        assert_eq!(call(None, method.clone(), &path, &body).await, 401, "{what}");
        assert_eq!(call(Some(eye), method, &path, &body).await, 403, "{what}");
    }

    // Where nobody can sign in, nothing is told or done.
    let open = format!("http://{}", api.platform.address());
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(api.http.get(format!("{open}/healthz"))).await, 200);
    assert_eq!(status(api.http.get(format!("{open}/runs"))).await, 403);
    let stop = api.http.post(format!("{open}/runs/{run}/stop"));
    assert_eq!(status(stop.json(&json!({ "by": "eye" }))).await, 403);

    // Nor is a viewer shown what the role may not do.
    let browser = Browser::start().await;
    let sign_in = async |token: &str, path: &str| {
        browser.goto(&format!("{segno}/console{path}")).await;
        browser.fill("Token", token).await;
        browser.click("button", "Sign in").await;
    };
    let detail = format!("/runs/{run}");
    let buttons =
        "return [...document.querySelectorAll('main .heading .actions button')].map((one) => one.innerText)";
    sign_in(eye, &detail).await;
    browser.find(".facts .status", "PROCESSING").await;
    browser.find(".person", "eye (viewer)").await;
    assert_eq!(browser.run(buttons, &[]).await, json!([]));
    browser.goto(&format!("{segno}/console/runs")).await;
    browser.find("td a", &run.to_string()).await;
    assert_eq!(browser.run(buttons, &[]).await, json!([]));
    browser.click("button", "Sign out").await;
    browser.find("h1", "Sign in").await;
    sign_in(hand, &detail).await;
    browser.find(".facts .status", "PROCESSING").await;
    let shown = json!(["Stop", "Stop by force", "Resume"]);
    assert_eq!(browser.run(buttons, &[]).await, shown);
    browser.goto(&format!("{segno}/console/runs")).await;
    browser.click("button", "Begin a run").await;
    browser.click("dialog footer button", "Begin").await;
    browser.see("It begins.").await;
    browser.find("td", "manual").await;
    drop(browser);

    let path = format!("/runs/{run}/stop");
    assert_eq!(
        call(Some(hand), Method::POST, &path, &json!({ "by": "hand" })).await,
        202
    );
    let log = api.http.get(format!("{segno}/audit")).bearer_auth(boss);
    let log: Value = log.send().await.unwrap().json().await.unwrap();
    let entries = log["entries"].as_array().unwrap();
    for action in ["POST /app/runs/{id}/stop", "POST /app/crawlers/{id}/runs"] {
        let is = |entry: &&Value| entry["action"] == action && entry["who"] == "hand";
        assert_eq!(entries.iter().filter(is).count(), 1, "{action}: {log:#}");
    }
    api.until(&run.to_string(), "it has ended", |run| run["status"] == "FAILED")
        .await;
    api.stop().await;
}
