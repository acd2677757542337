//! Published rows do not stay for ever, and what is not published does.

use std::time::Duration;

use segno_outbox::RelayOptions;

use crate::support::{Db, Recorder, World, event, quick};

in_every_database!(purged_in_batches, kept_for_the_retention);

async fn purged_in_batches<D: Db>(world: World<D>) {
    for number in 0..7 {
        world.emit(event(number.to_string(), &number.to_string())).await;
    }
    let recorder = Recorder::new();
    recorder.refuse(&["3"]);
    let options = RelayOptions {
        retention: Duration::ZERO,
        purge_batch: 4,
        ..quick()
    };
    let relay = world.relay_with(&recorder, options).await;
    assert_eq!(relay.purge().await.unwrap(), 0, "nothing is published yet");
    relay.drain().await.unwrap();
    assert_eq!(relay.purge().await.unwrap(), 4);
    assert_eq!(relay.purge().await.unwrap(), 2);
    assert_eq!(relay.purge().await.unwrap(), 0);
    assert_eq!(D::texts(&world.pool, "SELECT id FROM segno_outbox").await, ["3"]);
    assert_eq!(relay.counters().purged(), 6);
}

async fn kept_for_the_retention<D: Db>(world: World<D>) {
    world.emit(event("1", "a")).await;
    let relay = world.relay(&Recorder::new()).await;
    relay.drain().await.unwrap();
    assert_eq!(relay.purge().await.unwrap(), 0);
    assert_eq!(world.count("SELECT COUNT(*) FROM segno_outbox").await, 1);
}
