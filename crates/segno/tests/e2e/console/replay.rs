//! An event out of an outbox, and its replay.

use segno_event::Event;
use serde_json::json;

use super::{Console, looks::is_fit};
use crate::{
    outbox::{emit, sqlite},
    support::TestEngine,
};

on_every_engine!(an_event_out_of_an_outbox_is_replayed);

async fn an_event_out_of_an_outbox_is_replayed(engine: TestEngine) {
    let (url, pool) = sqlite(engine.folder()).await;
    segno_outbox::Outbox::new().migrate(&pool).await.unwrap();
    let outbox = format!("[outbox.till]\ndatabase = {url:?}\n");
    let console = Console::open_with(&engine, &outbox).await;
    let browser = &console.browser;
    let data = json!({ "id": "1", "total": 5 });
    emit(&pool, Event::new("/till", "1", "order.placed").with_data(data)).await;
    let done = "SegnoEventId = '1' AND ExecutionStatus = 'Completed'";
    console.listed(done, 1).await;

    // Where it came from.
    console.goto("/events/%2Ftill/1").await;
    browser.find(".facts", "by the outbox till").await;
    browser.find(".facts div", "written").await;
    let row = "return [...document.querySelectorAll('.facts div')].some((one) => one.innerText.replace(/\\s+/g, ' ') === 'row 1')";
    browser.until("the row", row, &[]).await;

    // First what would run: on the route that takes it, and on one that does not.
    browser.click("a.button", "Replay").await;
    browser.find("h1", "Replays").await;
    browser.see("There have been no replays.").await;
    browser.click("button", "See what would run").await;
    browser.see("All that would run is what ran then.").await;
    assert_eq!(console.receiver.requests().len(), 1, "nothing has run");
    browser.click("label.check", "orders").await;
    browser.click("button", "See what would run").await;
    browser.find("[role=alert]", "Choose the routes").await;
    browser.click("label.check", "large").await;
    browser.click("button", "See what would run").await;
    browser.see("Nothing would run.").await;
    browser.click("label.check", "large").await;
    browser.click("label.check", "orders").await;
    browser.fill("At most so many a second", "50").await;
    browser.click("button", "See what would run").await;

    // Then the replay, until all that it has started has ended.
    browser.click("button", "Start the replay").await;
    browser.find("h1", "Replay console-").await;
    browser.find(".facts .status", "done").await;
    browser.find(".facts", "At most").await;
    browser.find(".strip .fact", "Completed").await;
    assert_eq!(console.receiver.requests().len(), 2);
    let address = browser.url().await;
    let id = address.rsplit('/').next().unwrap();
    is_fit(&console, "replay", &format!("/replays/{id}"), "What it started").await;

    // All is found again: the replay in the list, and in the story of its event.
    console.goto("/replays").await;
    browser.find("td a", id).await;
    console.goto("/events/%2Ftill/1").await;
    browser.find("article .facts", id).await;

    // Over a query, with the route as the only thing that is chosen already.
    console.listed("SegnoReplay IS NOT NULL", 1).await;
    console
        .goto("/replays?routes=orders&type=order.placed&query=ExecutionStatus%20%3D%20%27Completed%27")
        .await;
    browser.click("button", "See what would run").await;
    browser.see("All that would run is what ran then.").await;
    browser.fill("Query besides", "nonsense").await;
    browser.click("button", "See what would run").await;
    browser.find("[role=alert]", "").await;
    console.close().await;
}
