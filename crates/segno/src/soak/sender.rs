//! Sends events at a constant rate, each until it is accepted.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::StatusCode;
use serde_json::json;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

/// Requests under way at once; while so many are, no more are sent.
const AT_ONCE: usize = 256;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The pause before an event that was not accepted is sent again.
const AGAIN: Duration = Duration::from_millis(200);
/// Events come in groups so often a second, which timers can keep.
const GROUPS: f64 = 50.0;

/// The events that were accepted.
#[derive(Default)]
pub(super) struct Sent(Mutex<HashSet<u64>>);

impl Sent {
    pub(super) fn accepted(&self) -> usize {
        self.0.lock().len()
    }

    /// All of them.
    pub(super) fn take(&self) -> HashSet<u64> {
        std::mem::take(&mut self.0.lock())
    }
}

/// Sends until it is told to stop, and then what it has begun.
pub(super) async fn send(api: String, rate: f64, sent: Arc<Sent>, stop: CancellationToken) {
    let Ok(client) = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build() else {
        return;
    };
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let groups = GROUPS.min(rate);
    let mut ticks = interval(Duration::from_secs_f64(1.0 / groups));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut n, mut due) = (0, 0.0);
    let mut sending = JoinSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => break,
        }
        due += rate / groups;
        while due >= 1.0 {
            due -= 1.0;
            let Ok(permit) = room.clone().acquire_owned().await else {
                return;
            };
            let (client, api, sent, number) = (client.clone(), api.clone(), sent.clone(), n);
            n += 1;
            sending.spawn(async move {
                until_accepted(&client, &api, number).await;
                sent.0.lock().insert(number);
                drop(permit);
            });
        }
        while sending.try_join_next().is_some() {}
    }
    while sending.join_next().await.is_some() {}
}

async fn until_accepted(client: &reqwest::Client, api: &str, n: u64) {
    let event = json!({
        "specversion": "1.0", "source": "/soak", "id": n.to_string(), "type": "soak.event",
        "subject": format!("subject-{}", n % 1_000), "data": { "n": n, "text": "x".repeat(200) },
    });
    loop {
        let answer = client
            .post(format!("{api}/events"))
            .header("content-type", "application/cloudevents+json")
            .body(event.to_string())
            .send()
            .await;
        if answer.is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED) {
            return;
        }
        sleep(AGAIN).await;
    }
}
