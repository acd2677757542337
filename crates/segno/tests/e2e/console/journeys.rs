//! What people do.

use segno_test_support::servers::{ENTER, ESCAPE};
use serde_json::json;

use super::Console;
use crate::support::{TestEngine, only_execution};

on_every_engine!(
    an_event_is_sent_and_its_story_read,
    a_dead_letter_is_mended_and_retried,
    executions_are_listed_and_told,
    keys_lead_everywhere,
);

async fn an_event_is_sent_and_its_story_read(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let browser = &console.browser;
    console.goto("/events").await;
    browser.click("button", "Send an event").await;
    let event = json!({
        "specversion": "1.0", "id": "<b>1</b>", "source": "https://shop.example/a?b=1", "type": "order.placed",
        "data": { "id": "<i>x</i>", "total": 5 },
    });
    browser.fill("Event", &event.to_string()).await;
    browser.click("dialog button", "Send").await;

    // Its story: which routes take it and why not, what was made of it, and what the sink said.
    browser.find("h1", "Event <b>1</b>").await;
    browser.see("the filter is false: event.data.total > 1000").await;
    browser.see("no pattern fits the event's type").await;
    browser.find("article h3", "Completed").await;
    browser
        .find(".action", "delivered by attempt 1, answered 200")
        .await;
    browser.find(".payloads pre", "\"<i>x</i>\"").await;
    let markup = browser
        .run("return document.querySelectorAll('main b, main i').length", &[])
        .await;
    assert_eq!(markup, json!(0), "what comes from outside is text");
    assert_eq!(console.receiver.requests().len(), 1);

    // It is found again, and the address of its story is one to come back to.
    console
        .goto("/events?type=order.placed&text=https%3A%2F%2Fshop")
        .await;
    browser.click("td a", "<b>1</b>").await;
    browser.find("article h3", "Completed").await;
    browser.run("location.reload()", &[]).await;
    browser.find("article h3", "Completed").await;
    for (asked, found) in [
        ("source=https%3A%2F%2Fshop.example%2Fa%3Fb%3D1&route=orders", true),
        (
            "id=%3Cb%3E1%3C%2Fb%3E&since=2020-01-01T00:00&until=2099-01-01T00:00",
            true,
        ),
        ("subject=nobody", false),
        ("until=2020-01-01T00:00", false),
        ("text=none", false),
    ] {
        console.goto(&format!("/events?{asked}")).await;
        match found {
            true => drop(browser.find("td a", "<b>1</b>").await),
            false => browser.see("No events are found.").await,
        }
    }
    console.close().await;
}

async fn a_dead_letter_is_mended_and_retried(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let browser = &console.browser;
    console.fails(true);
    let accepted = console.order("7", 5).await;
    let id = only_execution(&accepted).to_owned();
    console.app.closed(&id).await;
    console.listed("ExecutionStatus = 'Failed'", 1).await;

    console.goto("/dead-letters").await;
    browser.click("td a", &id).await;
    browser.see("400").await;
    browser.fill("Data of the event", "{ \"id\": ").await;
    browser.click("button", "Retry").await;
    browser.see("The data is no JSON").await;
    browser
        .fill("Data of the event", r#"{ "id": "mended", "total": 6 }"#)
        .await;
    browser.fill("Note", "the id was wrong").await;
    console.fails(false);
    browser.click("button", "Retry").await;

    // What was decided, and what became of it, is in the event's story.
    browser.find("h1", "Event 7").await;
    browser.find("article h3", "Completed").await;
    browser.find("article", "retry: the id was wrong").await;
    let request = console.receiver.requests().pop().unwrap();
    assert_eq!(request.json(), json!({ "id": "mended", "total": 6 }));
    console.goto(&format!("/dead-letters/{}", encoded(&id))).await;
    browser.see("the execution is no dead letter").await;
    console.goto("/dead-letters").await;
    browser.see("No dead letters").await;

    // Of another one nothing more is wanted.
    console.fails(true);
    let accepted = console.order("8", 5).await;
    let id = only_execution(&accepted).to_owned();
    console.app.closed(&id).await;
    let tried = console.receiver.requests().len();
    console.goto(&format!("/dead-letters/{}", encoded(&id))).await;
    browser.click("button", "Skip").await;
    browser.click("dialog button", "Skip").await;
    browser.find("h1", "Event 8").await;
    browser.find("article h3", "Completed").await;
    assert_eq!(console.receiver.requests().len(), tried);
    console.close().await;
}

async fn executions_are_listed_and_told(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let browser = &console.browser;
    // With an order that waits at a paused sink.
    let paused = console.app.post("/sinks/shop/pause").send().await.unwrap();
    assert!(paused.status().is_success());
    let accepted = console.order("waits", 5).await;
    let id = only_execution(&accepted).to_owned();
    console.listed("SegnoPaused IS NOT NULL", 1).await;

    console.goto("/executions").await;
    browser
        .fill("Query", "SegnoRoute = 'orders' AND ExecutionStatus = 'Running'")
        .await;
    browser.click("button", "List").await;
    browser.click("td a", &id).await;
    browser.find("h1", &id).await;
    browser.see("it waits until the sink \"shop\" is resumed").await;
    browser.find("pre", "customer-7").await;
    browser.click("button", "Full").await;
    browser.find("td", "WorkflowTaskCompleted").await;
    assert!(browser.url().await.contains("run_id="));

    browser.click("button", "Signal").await;
    browser.fill("Name", "hello").await;
    browser.fill("Input", r#"{"from": "a person"}"#).await;
    browser.click("dialog button", "Send").await;
    browser.find("td", "WorkflowExecutionSignaled").await;
    browser.find(".timeline text", "signal hello").await;

    browser.click("button", "Terminate").await;
    browser.fill("Reason", "at once").await;
    browser.click("dialog button", "Terminate").await;
    browser.find(".facts .status", "Terminated").await;

    // Another one is asked to end, and does.
    let accepted = console.order("unwanted", 5).await;
    let unwanted = only_execution(&accepted).to_owned();
    console.goto(&format!("/executions/{}", encoded(&unwanted))).await;
    browser.see("it waits until the sink \"shop\" is resumed").await;
    browser.click("button", "Cancel").await;
    browser.fill("Reason", "not wanted any more").await;
    browser.click("dialog button", "Ask it to end").await;
    browser.find(".facts .status", "Canceled").await;
    console.goto(&format!("/executions/{}", encoded(&id))).await;

    // A point of its history is gone on from: the order is delivered after all.
    let resumed = console.app.post("/sinks/shop/resume").send().await.unwrap();
    assert!(resumed.status().is_success());
    browser.click("button", "Full").await;
    browser.click("button", "Reset to here").await;
    browser.fill("Reason", "wanted again").await;
    browser.click("dialog button", "Reset").await;
    browser.find(".facts .status", "Completed").await;
    assert_eq!(console.receiver.requests().len(), 1);

    // A query that is none is told, and a list can be kept under a name.
    console.goto("/executions").await;
    browser.fill("Query", "nonsense").await;
    browser.click("button", "List").await;
    browser.find("[role=alert]", "").await;
    browser.fill("Query", "SegnoRoute = 'orders'").await;
    browser.click("button", "List").await;
    browser.find("td a", &id).await;
    browser.click("button", "Save this filter").await;
    browser.fill("Name", "My orders").await;
    browser.click("dialog button", "Save").await;
    console.goto("/executions").await;
    browser.click(".saved button", "My orders").await;
    let script = "return document.querySelector('[data-search]').value === \"SegnoRoute = 'orders'\"";
    browser.until("the filter", script, &[]).await;
    console.close().await;
}

async fn keys_lead_everywhere(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let browser = &console.browser;
    let accepted = console.order("1", 5).await;
    let id = only_execution(&accepted).to_owned();
    console.app.closed(&id).await;
    console.listed("SegnoEventId = '1'", 1).await;

    console.goto("").await;
    browser.find(".live", "Live").await;
    browser.find(".chart", "Running").await;
    browser.press(&["?"]).await;
    browser.find("dialog", "Keyboard shortcuts").await;
    browser.press(&[ESCAPE]).await;
    browser
        .until("no dialog", "return !document.querySelector('dialog')", &[])
        .await;
    browser.press(&["g", "x"]).await;
    browser.find("h1", "Executions").await;
    browser.find("td a", &id).await;
    browser.press(&["/"]).await;
    browser
        .until(
            "the search",
            "return document.activeElement.matches('[data-search]')",
            &[],
        )
        .await;
    browser.press(&["x", ENTER]).await;
    browser.find("[role=alert]", "").await;
    browser.run("document.activeElement.blur()", &[]).await;
    browser.press(&["g", "e"]).await;
    browser.find("h1", "Events").await;
    browser.find("td a", "1").await;
    browser.press(&["j", ENTER]).await;
    browser.find("h1", "Event 1").await;
    // The page that is shown is the one whose heading has the focus.
    browser
        .until("the focus", "return document.activeElement.matches('h1')", &[])
        .await;
    browser.run("history.back()", &[]).await;
    browser.find("h1", "Events").await;
    console.close().await;
}

pub(super) fn encoded(segment: &str) -> String {
    let mut url = reqwest::Url::parse("http://x").unwrap();
    url.path_segments_mut().unwrap().push(segment);
    url.path().trim_start_matches('/').to_owned()
}
