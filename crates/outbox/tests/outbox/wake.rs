//! PostgreSQL wakes its relays.

use std::time::Duration;

use segno_outbox::RelayOptions;
use segno_test_support::servers::Postgres;

use crate::support::{Recorder, Running, World, event, quick, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn woken_by_a_commit() {
    let world = World::<Postgres>::new().await;
    let recorder = Recorder::new();
    // It would look again in an hour.
    let options = RelayOptions {
        min_pause: Duration::from_secs(3600),
        max_pause: Duration::from_secs(3600),
        ..quick()
    };
    let relay = Running::start(world.relay_with(&recorder, options).await);
    for number in 1..=3 {
        let mut tx = world.pool.begin().await.unwrap();
        world
            .outbox
            .emit(&mut tx, event(number.to_string(), "a"))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        until("it is published", async || recorder.ids().len() == number).await;
    }
    relay.stop().await;
}
