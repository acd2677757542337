//! When a route's executions run: delayed, within a deadline, once a key, and by a schedule.

use std::time::Duration;

use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};

use crate::support::{App, DEADLINE, TestEngine, only_execution, order};

on_every_engine!(
    a_delayed_event_waits,
    what_is_late_is_a_dead_letter,
    a_late_consumer_is_a_dead_letter,
    a_key_is_handled_once_a_window,
    a_schedule_makes_events,
    schedules_are_what_the_configuration_says,
    times_are_those_of_the_time_zone,
);

fn config(receiver: &Receiver, options: &str, action: &str) -> String {
    format!(
        r#"
        [sinks]
        notify = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "r"
        {options}
        actions = [{{ name = "tell", to = "notify"{action} }}]
        "#,
        receiver.url("/hook")
    )
}

async fn a_delayed_event_waits(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let options = "on = \"*\"\ndelay = \"2s\"";
    let app = App::start(&engine, &config(&receiver, options, "")).await;
    let began = std::time::Instant::now();
    let accepted = app.accept(&order("1", 1)).await;
    let id = only_execution(&accepted);
    assert_eq!(accepted["duplicate"], false);
    let waiting = app.execution(id).await;
    assert_eq!(waiting["status"], "Running");
    assert_eq!(waiting["story"][0]["state"], "waiting", "{waiting:#}");
    // It is there: the same again starts nothing.
    let again = app.accept(&order("1", 1)).await;
    assert_eq!(again["duplicate"], true);
    assert_eq!(
        again["executions"][0]["run_id"],
        accepted["executions"][0]["run_id"]
    );
    let execution = app.closed(id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(receiver.requests().len(), 1);
    app.stop().await;
}

async fn what_is_late_is_a_dead_letter(engine: TestEngine) {
    let receiver = Receiver::answering(|_| Answer::status(503)).await;
    let options = "on = \"*\"\ndeadline = \"2s\"";
    let action = r#", retry = { initial = "100ms", max_interval = "100ms" }"#;
    let app = App::start(&engine, &config(&receiver, options, action)).await;
    let execution = app
        .closed(only_execution(&app.accept(&order("1", 1)).await))
        .await;
    assert_eq!(execution["status"], "Failed", "{execution:#}");
    assert_eq!(execution["failure"]["type"], "DeadLetter");
    assert_eq!(
        execution["failure"]["message"],
        "1 of 1 actions failed: tell: not done within the deadline of 2s"
    );
    app.stop().await;
}

struct Slow;

impl segno::Consumer for Slow {
    async fn process(&self, _event: &segno::Event) -> Result<(), segno::ConsumerError> {
        std::future::pending().await
    }
}

async fn a_late_consumer_is_a_dead_letter(engine: TestEngine) {
    let config = "[[routes]]\nname = \"r\"\non = \"*\"\nconsumer = \"slow\"\ndeadline = \"1s\"\n";
    let app = App::start_with(&engine, config, |builder| builder.consumer("slow", Slow)).await;
    let execution = app
        .closed(only_execution(&app.accept(&order("1", 1)).await))
        .await;
    assert_eq!(execution["status"], "Failed", "{execution:#}");
    let message = execution["failure"]["message"].as_str().unwrap();
    assert!(
        message.contains("not done within the deadline of 1s"),
        "{message}"
    );
    app.stop().await;
}

async fn a_key_is_handled_once_a_window(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let options = "on = \"*\"\ndedupe = { key = \"event.data.total\", window = \"4s\" }";
    let app = App::start(&engine, &config(&receiver, options, "")).await;
    let first = app.accept(&order("1", 7)).await;
    assert_eq!(first["duplicate"], false, "{first}");
    // The event itself again, another one of the same key, and one of another key.
    let again = app.accept(&order("1", 7)).await;
    assert_eq!(
        again["executions"][0]["workflow_id"],
        first["executions"][0]["workflow_id"]
    );
    assert_eq!(again["duplicate"], true);
    let same = app.accept(&order("2", 7)).await;
    assert_eq!(same["duplicate"], true, "{same}");
    assert_eq!(
        same["executions"][0]["workflow_id"],
        first["executions"][0]["workflow_id"]
    );
    assert_eq!(same["executions"][0]["run_id"], first["executions"][0]["run_id"]);
    let other = app.accept(&order("3", 8)).await;
    assert_eq!(other["duplicate"], false, "{other}");
    // One without a key is a repetition of nothing.
    let keyless = json!({"specversion": "1.0", "id": "4", "source": "/shop", "type": "t"});
    assert_eq!(app.accept(&keyless).await["duplicate"], false);
    // When the window is over, the key is new again.
    let deadline = std::time::Instant::now() + DEADLINE;
    let mut n = 10;
    loop {
        n += 1;
        let later = app.accept(&order(&n.to_string(), 7)).await;
        if later["duplicate"] == false {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{later}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    receiver.wait_for(4, DEADLINE).await;
    app.stop().await;
}

async fn a_schedule_makes_events(engine: TestEngine) {
    let receiver = Receiver::start().await;
    // Of seven fields the first are the seconds.
    let schedule = r#"schedule = { cron = "* * * * * * *", time_zone = "Europe/Berlin", type = "report.due", data = { kind = "daily" } }"#;
    let app = App::start(&engine, &config(&receiver, schedule, "")).await;
    let requests = receiver.wait_for(2, DEADLINE).await;
    let events: Vec<Value> = requests.iter().map(|request| request.json()).collect();
    assert_eq!(events[0]["type"], "report.due");
    assert_eq!(events[0]["source"], "/segno/schedules/r");
    assert_eq!(events[0]["subject"], "r");
    assert_eq!(events[0]["data"], json!({"kind": "daily"}));
    assert_eq!(events[0]["id"], events[0]["time"]);
    let mut ids: Vec<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "each time once: {ids:?}");
    app.stop().await;
}

/// The ids of the routes' schedules.
async fn schedules(app: &App) -> Vec<String> {
    use futures::StreamExt;

    let listed = app.client().list_schedules(Default::default());
    let mut ids: Vec<_> = listed
        .map(|schedule| schedule.unwrap().schedule_id().to_owned())
        .filter(|id| std::future::ready(id.starts_with("segno-route/")))
        .collect()
        .await;
    ids.sort_unstable();
    ids
}

async fn until_schedules(app: &App, expected: &[&str]) {
    // A cluster's lists are behind what happens.
    let deadline = std::time::Instant::now() + DEADLINE;
    while schedules(app).await != expected {
        assert!(std::time::Instant::now() < deadline, "{:?}", schedules(app).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn schedules_are_what_the_configuration_says(engine: TestEngine) {
    let receiver = Receiver::start().await;
    let with = |schedule: &str| config(&receiver, schedule, "");
    let app = App::start(&engine, &with("schedule = { cron = \"0 9 * * *\" }")).await;
    until_schedules(&app, &["segno-route/r"]).await;
    let token = |description: &temporalio_client::schedules::ScheduleDescription| {
        (
            description.update_time(),
            description.raw().schedule.as_ref().unwrap().spec.clone(),
        )
    };
    let handle = app.client().get_schedule_handle("segno-route/r");
    handle
        .pause(Some("holidays".to_owned()), Default::default())
        .await
        .unwrap();
    let before = handle.describe(Default::default()).await.unwrap();
    app.stop().await;

    // The same again changes nothing.
    let app = App::start(&engine, &with("schedule = { cron = \"0 9 * * *\" }")).await;
    let handle = app.client().get_schedule_handle("segno-route/r");
    let same = handle.describe(Default::default()).await.unwrap();
    assert_eq!(token(&same), token(&before));
    app.stop().await;

    // Other times do, and the pause stays.
    let app = App::start(&engine, &with("schedule = { cron = \"0 10 * * *\" }")).await;
    let handle = app.client().get_schedule_handle("segno-route/r");
    let changed = handle.describe(Default::default()).await.unwrap();
    assert_ne!(token(&changed).1, token(&before).1);
    assert!(changed.paused());
    assert_eq!(schedules(&app).await, ["segno-route/r"]);
    app.stop().await;

    let app = App::start(&engine, &with("on = \"*\"")).await;
    until_schedules(&app, &[]).await;
    app.stop().await;
}

async fn times_are_those_of_the_time_zone(engine: TestEngine) {
    let receiver = Receiver::start().await;
    // Tokyo is nine hours ahead of UTC all the year.
    let schedule = r#"schedule = { cron = "30 9 * * *", time_zone = "Asia/Tokyo" }"#;
    let app = App::start(&engine, &config(&receiver, schedule, "")).await;
    let handle = app.client().get_schedule_handle("segno-route/r");
    let described = handle.describe(Default::default()).await.unwrap();
    let times = &described.raw().info.as_ref().unwrap().future_action_times;
    assert!(!times.is_empty(), "{described:?}");
    for time in times {
        assert_eq!(time.seconds.rem_euclid(24 * 60 * 60), 30 * 60, "{times:?}");
    }
    app.stop().await;
}
