//! How every page looks: accessible by axe's rules in both colour schemes, and fit for narrow screens.

use std::path::PathBuf;

use segno_test_support::node;
use serde_json::{Value, json};

use super::Console;
use crate::support::{TestEngine, only_execution};

on_every_engine!(every_page_is_accessible_and_fits);

/// A folder where pictures of all pages are put, for people to look at.
const PICTURES: &str = "SEGNO_TEST_PICTURES";

async fn every_page_is_accessible_and_fits(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let letter = letters(&console).await;
    let pages = [
        ("overview", String::new(), "Backlog"),
        ("events", "/events".to_owned(), "customer-7"),
        ("event", "/events/%2Fshop/bad".to_owned(), "a dead letter"),
        ("executions", "/executions".to_owned(), "order.placed"),
        (
            "execution",
            format!("/executions/{}", super::journeys::encoded(&letter)),
            "Compact history",
        ),
        ("dead-letters", "/dead-letters".to_owned(), "order.placed"),
        (
            "dead-letter",
            format!("/dead-letters/{}", super::journeys::encoded(&letter)),
            "Mend and retry",
        ),
        (
            "replays",
            "/replays?routes=orders".to_owned(),
            "There have been no replays.",
        ),
        ("timers", "/timers".to_owned(), "No timers."),
        ("schedules", "/schedules".to_owned(), "segno-route/yearly"),
        (
            "schedule",
            "/schedules/segno-route%2Fyearly".to_owned(),
            "It has started nothing yet.",
        ),
        ("routes", "/routes".to_owned(), "Where events go"),
        ("keys", "/keys".to_owned(), "No key waits."),
        ("sinks", "/sinks".to_owned(), "Latest failure"),
        ("queues", "/queues".to_owned(), "Segno's own queue"),
        (
            "queue",
            "/queues/segno".to_owned(),
            "Who has asked for workflow tasks lately",
        ),
        ("audit", "/audit".to_owned(), "Nothing has been changed."),
        ("missing", "/none".to_owned(), "Not found"),
        ("sign-in", "/sign-in".to_owned(), "Nobody has to sign in here."),
    ];
    for (name, path, text) in pages {
        is_fit(&console, name, &path, text).await;
    }
    console.close().await;
}

/// A page that shows this text is accessible, in both colour schemes and in a narrow window, and fits into that.
pub(super) async fn is_fit(console: &Console, name: &str, path: &str, text: &str) {
    let browser = &console.browser;
    let axe = node::packages().join("node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(axe).unwrap();
    for (scheme, width, height) in [("light", 1280, 900), ("dark", 1280, 900), ("light", 360, 740)] {
        browser.look(width, height, scheme).await;
        console.goto(path).await;
        browser.see(text).await;
        // Where it is looked at by people, what comes by itself has come.
        if let Some(folder) = std::env::var_os(PICTURES) {
            browser.settle().await;
            let kind = if width < 1000 { "narrow" } else { scheme };
            let file = PathBuf::from(folder).join(format!("{name}-{kind}.png"));
            browser.picture(&file).await;
        }
        let too_wide = "return document.documentElement.scrollWidth > innerWidth";
        assert_eq!(
            browser.run(too_wide, &[]).await,
            json!(false),
            "{name} at {width}"
        );
        browser.run(&axe, &[]).await;
        let found = browser.run(CHECK, &[]).await;
        assert_eq!(found, json!([]), "{name}, {scheme}, {width}: {found:#}");
    }
}

/// What axe finds by the rules of WCAG 2.2 at level AA and its own of good practice.
const CHECK: &str = "return axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => \
    violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((node) => [node.html, node.failureSummary]) })))";

/// Makes something to look at; returns the id of a dead letter.
async fn letters(console: &Console) -> String {
    for (id, total) in [("a", 5), ("b", 5000)] {
        let accepted: Value = console.order(id, total).await;
        for execution in accepted["executions"].as_array().unwrap() {
            console
                .app
                .closed(execution["workflow_id"].as_str().unwrap())
                .await;
        }
    }
    console.fails(true);
    let accepted = console.order("bad", 7).await;
    let id = only_execution(&accepted).to_owned();
    console.app.closed(&id).await;
    console.listed("ExecutionStatus = 'Failed'", 1).await;
    id
}
