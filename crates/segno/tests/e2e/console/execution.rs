//! One execution: its picture with attempts and children; and how times and colours are shown.

use serde_json::json;

use super::{Console, journeys::encoded};
use crate::{handlers::with_fulfil, support::TestEngine};

on_every_engine!(
    a_child_and_its_parent_are_shown,
    a_reader_chooses_zone_and_colours
);

/// A workflow that is run as a child, for its deadline, and an action to where nobody listens.
const ROUTES: &str = r#"
    [sinks.gone]
    webhook = { url = "http://127.0.0.1:9/", allow_private = true }

    [[routes]]
    name = "fulfilment"
    on = "parcel.*"
    deadline = "1h"
    workflow = "Fulfil"

    [[routes]]
    name = "shaky"
    on = "parcel.*"
    actions = [{ name = "tell", to = "gone", retry = { initial = "10ms", max_attempts = 3 } }]

    [[routes]]
    name = "patient"
    on = "parcel.*"
    actions = [{ name = "tell", to = "gone", retry = { initial = "1h", max_interval = "1h", max_attempts = 3 } }]
    "#;

async fn a_child_and_its_parent_are_shown(engine: TestEngine) {
    let console = Console::open_as(&engine, ROUTES, with_fulfil).await;
    let browser = &console.browser;
    console
        .app
        .accept(&json!({
            "specversion": "1.0", "id": "1", "source": "/post", "type": "parcel.sent", "subject": "customer-7",
        }))
        .await;
    for id in ["fulfilment//post/1", "shaky//post/1"] {
        console.app.closed(id).await;
    }

    // The attempts of an activity.
    console
        .goto(&format!("/executions/{}", encoded("shaky//post/1")))
        .await;
    browser.find(".timeline text", "attempt 3").await;
    browser.find(".timeline .tone-bad text", "deliver").await;

    // What is tried again, and when.
    console
        .goto(&format!("/executions/{}", encoded("patient//post/1")))
        .await;
    let next = "const cell = (name) => document.querySelector(`td[data-label='${name}']`); \
                const at = cell('Next attempt')?.querySelector('time'); \
                return !!at && Date.parse(at.dateTime) > Date.now() + 30 * 60_000 \
                  && / of 3$/.test(cell('Attempt').innerText) && /refused|connect|reach/i.test(cell('Latest failure').innerText)";
    browser.until("the next attempt", next, &[]).await;

    // A child in the picture, and in the tree below, with a tree of its own.
    console.listed("WorkflowType = 'Fulfil'", 1).await;
    console
        .goto(&format!("/executions/{}", encoded("fulfilment//post/1")))
        .await;
    browser.find(".timeline .tone-ok text", "Fulfil").await;
    browser.find(".tree .status", "Completed").await;
    browser.click(".tree summary", "Its children").await;
    browser.see("It has none.").await;
    browser.click(".tree a", "").await;
    browser.find(".timeline text", "timer of 100 ms").await;
    browser.find(".facts", "Parent").await;
    browser.click(".facts a", "fulfilment//post/1").await;
    browser.find("h1", "fulfilment//post/1").await;
    console.close().await;
}

async fn a_reader_chooses_zone_and_colours(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let browser = &console.browser;
    console.order("1", 5).await;
    console.listed("SegnoEventId = '1'", 1).await;
    console.goto("/executions").await;
    let shown = "const time = document.querySelector('td time'); \
                 return time && time.textContent.endsWith('Z') === arguments[0]";
    browser.until("local times", shown, &[json!(false)]).await;
    browser.click("button", "Local time").await;
    browser.until("UTC", shown, &[json!(true)]).await;
    browser.click("button", "Auto").await;
    let chosen = "return document.documentElement.dataset.theme";
    let theme = browser.until("a choice of colours", chosen, &[]).await;

    // The choices are kept.
    browser.run("location.reload()", &[]).await;
    browser.until("UTC", shown, &[json!(true)]).await;
    assert_eq!(browser.run(chosen, &[]).await, theme);

    // In a narrow window the menu opens when it is wanted, and rows are blocks that name their columns.
    browser.look(360, 740, "light").await;
    let hidden = "return document.querySelector('.menu').getClientRects().length === 0";
    browser.until("no menu", hidden, &[]).await;
    let named =
        "return getComputedStyle(document.querySelector('td'), '::before').content.includes('Status')";
    browser.until("names of columns", named, &[]).await;
    browser.click("button", "Menu").await;
    browser.click(".menu a", "Sinks").await;
    browser.find("h1", "Sinks").await;
    browser.until("no menu", hidden, &[]).await;
    console.close().await;
}
