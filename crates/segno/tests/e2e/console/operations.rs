//! What people do to routes, sinks, keys, schedules and timers; and who may.

use reqwest::StatusCode;
use segno_test_support::servers::ENTER;
use serde_json::json;

use super::Console;
use crate::support::{TestEngine, json_of, only_execution};

on_every_engine!(
    a_route_is_paused_and_resumed,
    a_schedule_is_triggered_and_paused,
    a_parked_key_is_released,
    timers_queues_and_sinks_are_shown,
    many_dead_letters_are_decided_at_once,
    who_signs_in_sees_what_the_role_may_do,
);

async fn a_route_is_paused_and_resumed(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let browser = &console.browser;
    console.goto("/routes").await;
    browser.find(".flow text", "orders").await;
    browser.click("button[aria-label='Pause orders']", "").await;
    browser.find("button[aria-label='Resume orders']", "").await;
    browser.find(".flow .held text", "orders").await;
    let accepted = console.order("held", 5).await;
    let id = only_execution(&accepted).to_owned();
    console
        .goto(&format!("/executions/{}", super::journeys::encoded(&id)))
        .await;
    browser
        .see("it waits until the route \"orders\" is resumed")
        .await;
    assert!(console.receiver.requests().is_empty());
    console.goto("/routes").await;
    browser.click("button[aria-label='Resume orders']", "").await;
    browser.find("button[aria-label='Pause orders']", "").await;
    console.app.closed(&id).await;
    assert_eq!(console.receiver.requests().len(), 1);
    console.close().await;
}

async fn a_schedule_is_triggered_and_paused(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let browser = &console.browser;
    console.goto("/schedules").await;
    browser.click("td a", "segno-route/yearly").await;
    browser.find("h1", "segno-route/yearly").await;
    browser.find("ol li time", "-01-01").await;
    browser.click("button", "Trigger now").await;
    // Its run, and the event of it.
    browser.find("td .status", "Completed").await;
    let events = console.listed("SegnoEventType = 'year.begun'", 1).await;
    assert_eq!(events[0]["route"], "yearly");
    browser.click("button", "Pause").await;
    browser.fill("Note", "not this year").await;
    browser.click("dialog button", "Pause").await;
    browser.find(".facts", "not this year").await;
    browser.find(".facts .status", "Paused").await;
    browser.click("button", "Resume").await;
    browser.click("dialog button", "Resume").await;
    browser.find(".facts .status", "Active").await;

    // The first of January of three years, one after the other.
    browser.click("button", "Backfill").await;
    let between = "for (const [n, at] of ['2023-12-31T00:00', '2026-01-02T00:00'].entries()) \
                   document.querySelectorAll('dialog input')[n].value = at;";
    browser.find("dialog input", "").await;
    browser.run(between, &[]).await;
    browser.click("dialog button", "Backfill").await;
    console.listed("SegnoEventType = 'year.begun'", 4).await;
    let path = "/schedules/segno-route%2Fyearly/backfill";
    let wrong = json!({ "from": "yesterday", "until": "2026-01-02T00:00:00Z" });
    let request = console.app.post(path).json(&wrong);
    json_of(request.send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    console.goto("/schedules/none").await;
    browser.see("there is no such schedule").await;
    console.close().await;
}

async fn a_parked_key_is_released(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let browser = &console.browser;
    console.fails(true);
    for id in ["1", "2"] {
        console
            .app
            .accept(&json!({
                "specversion": "1.0", "id": id, "source": "/desk", "type": "note.taken", "subject": "customer-9", "data": {},
            }))
            .await;
    }
    console
        .listed("SegnoRoute = 'ordered' AND ExecutionStatus = 'Failed'", 1)
        .await;
    console.goto("/keys").await;
    browser.find("td .status", "Parked").await;
    console.fails(false);
    browser.click("td button", "Release").await;
    browser.click("dialog button", "Release").await;
    console.app.closed("ordered//desk/2").await;
    browser.see("No key waits.").await;
    console.close().await;
}

async fn timers_queues_and_sinks_are_shown(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let browser = &console.browser;
    let timer = json!({ "hours": 1, "minutes": 0, "seconds": 0, "url": console.receiver.url("/called") });
    let made = json_of(
        console.app.post("/timers").json(&timer).send().await.unwrap(),
        StatusCode::OK,
    )
    .await;
    let id = made["id"].as_str().unwrap();
    console.listed("WorkflowType = 'SegnoTimer'", 1).await;
    console.goto("/timers").await;
    browser.find("td a", id).await;
    browser.click("td button", "Move").await;
    browser.fill("Seconds from now", "7200").await;
    browser.click("dialog button", "Move").await;
    browser.see("It is moved.").await;
    browser.click("td button", "Cancel").await;
    browser.click("dialog button", "Cancel the timer").await;
    browser.find("td .status", "canceled").await;

    console.goto("/queues").await;
    browser.click("td a", "segno").await;
    browser.find("h1", "Task queue segno").await;
    browser.find("td", "@").await;

    console.order("1", 5).await;
    console.goto("/sinks").await;
    browser.find("td .status", "ok").await;
    browser.click("button[aria-label='Pause shop']", "").await;
    browser.find("td .status", "paused").await;
    browser.click("button[aria-label='Resume shop']", "").await;
    browser.find("button[aria-label='Pause shop']", "").await;
    console.close().await;
}

async fn many_dead_letters_are_decided_at_once(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let browser = &console.browser;
    console.fails(true);
    for id in ["1", "2", "3"] {
        console.order(id, 5).await;
    }
    console.listed("ExecutionStatus = 'Failed'", 3).await;
    console.fails(false);
    console.goto("/dead-letters?route=orders").await;
    browser.find("td a", "orders//shop/1").await;
    browser.click("button", "Retry all found").await;
    browser.click("dialog button", "Retry").await;
    browser.find("h1", "Bulk operation").await;
    browser.find(".facts .status", "done").await;
    console
        .listed("SegnoRoute = 'orders' AND ExecutionStatus = 'Completed'", 3)
        .await;
    console.goto("/dead-letters").await;
    browser.see("No dead letters").await;
    console.close().await;
}

async fn who_signs_in_sees_what_the_role_may_do(engine: TestEngine) {
    let mut tokens = String::new();
    for (name, role) in [("looker", "viewer"), ("boss", "admin")] {
        let file = engine.folder().join(name);
        std::fs::write(&file, [name; 4].join("-")).unwrap();
        let file = file.display().to_string();
        tokens.push_str(&format!(
            "[[http.tokens]]\nname = {name:?}\nfile = {file:?}\nrole = {role:?}\n"
        ));
    }
    let console = Console::open_with(&engine, &tokens).await;
    let browser = &console.browser;
    console.goto("/routes").await;
    browser.find("h1", "Sign in").await;
    browser.fill("Token", "wrong-wrong-wrong-wrong").await;
    browser.press(&[ENTER]).await;
    browser.find("[role=alert]", "not known here").await;
    browser.fill("Token", "looker-looker-looker-looker").await;
    browser.press(&[ENTER]).await;
    // Where one wanted to go, and without what one may not do.
    browser.find("h1", "Routes").await;
    browser.find(".person", "looker (viewer)").await;
    browser.find("td", "orders").await;
    let buttons = "return document.querySelectorAll('main td button').length + \
                   [...document.querySelectorAll('.menu a')].filter((one) => one.innerText === 'Audit log').length";
    assert_eq!(browser.run(buttons, &[]).await, json!(0));
    browser.click("button", "Sign out").await;
    browser.find("h1", "Sign in").await;
    browser.fill("Token", "boss-boss-boss-boss").await;
    browser.press(&[ENTER]).await;
    browser.find(".person", "boss (admin)").await;
    console.goto("/routes").await;
    // A change brings what the session asks for.
    browser.click("button[aria-label='Pause orders']", "").await;
    browser.click("button[aria-label='Resume orders']", "").await;
    browser.find("button[aria-label='Pause orders']", "").await;
    console.close().await;
}
