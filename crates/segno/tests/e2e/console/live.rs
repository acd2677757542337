//! What changes by itself, while somebody looks at it: the figures of the overview, and the rates in the picture of routes.

use segno_test_support::servers::Browser;
use serde_json::json;

use super::Console;
use crate::support::{TestEngine, only_execution};

on_every_engine!(the_overview_follows_what_happens);

async fn the_overview_follows_what_happens(engine: TestEngine) {
    let console = Console::open(&engine).await;
    let browser = &console.browser;
    console.goto("").await;
    for (chart, figure) in [
        ("Events in", "^0 a second$"),
        ("Running", "^0$"),
        ("Failed runs", "^0$"),
        ("Dead letters", "^0$"),
        ("Backlog", r"^\d+ tasks$"),
        ("Latency, middle / 95 %", "^none lately$"),
    ] {
        until_chart(browser, chart, figure).await;
    }
    until_sink(browser, "^shop \\S+ 0 0 ").await;
    // From here on the page is left alone.
    browser.run("window.left = true", &[]).await;

    let paused = console.app.post("/sinks/shop/pause").send().await.unwrap();
    assert!(paused.status().is_success());
    let accepted = console.order("waits", 5).await;
    until_chart(browser, "Running", "^1$").await;
    until_chart(browser, "Events in", r"^0\.\d a second$").await;
    until_sink(browser, "^shop paused 0 0 ").await;

    let resumed = console.app.post("/sinks/shop/resume").send().await.unwrap();
    assert!(resumed.status().is_success());
    console.app.closed(only_execution(&accepted)).await;
    until_chart(browser, "Running", "^0$").await;
    until_chart(browser, "Latency, middle / 95 %", r"^\d.* / \d").await;
    until_sink(browser, "^shop ok 1 0 ").await;

    console.fails(true);
    let accepted = console.order("bad", 5).await;
    console.app.closed(only_execution(&accepted)).await;
    until_chart(browser, "Failed runs", "^1$").await;
    until_chart(browser, "Dead letters", "^1$").await;
    until_sink(browser, "^shop \\S+ 1 [1-9] .*400").await;
    assert_eq!(browser.run("return window.left === true", &[]).await, json!(true));

    // The rates of the last minute in the picture of the routes, as the next order comes.
    console.goto("/routes").await;
    browser.find(".flow text", "1 failed").await;
    let accepted = console.order("worse", 5).await;
    console.app.closed(only_execution(&accepted)).await;
    browser.find(".flow text", "2 failed").await;
    console.close().await;
}

/// Waits until the chart of this title shows a figure of this pattern.
async fn until_chart(browser: &Browser, title: &str, figure: &str) {
    let script = "const chart = [...document.querySelectorAll('.chart')].find((one) => one.querySelector('h2').innerText === arguments[0]); \
                  return !!chart && new RegExp(arguments[1]).test(chart.querySelector('.figure').innerText)";
    let what = format!("{title}: {figure}");
    browser.until(&what, script, &[json!(title), json!(figure)]).await;
}

/// Waits until the row of the sink `shop` has this pattern.
async fn until_sink(browser: &Browser, row: &str) {
    let script = "const row = [...document.querySelectorAll('main tbody tr')].find((one) => one.innerText.startsWith('shop')); \
                  return !!row && new RegExp(arguments[0]).test(row.innerText.replace(/\\s+/g, ' '))";
    browser.until(row, script, &[json!(row)]).await;
}
