//! What does not leave an outbox is counted, and how long the oldest has waited.

use std::time::Duration;

use segno_outbox::{RelayOptions, Stats};

use crate::support::{Db, Recorder, World, event, quick, until};

in_every_database!(what_stays_too_long_is_stranded);

async fn what_stays_too_long_is_stranded<D: Db>(world: World<D>) {
    let recorder = Recorder::new();
    let patient = world.relay(&recorder).await;
    assert_eq!(patient.stats().await.unwrap(), Stats::default());
    world.emit(event("1", "a")).await;
    world.emit(event("2", "a")).await;

    // Whether a row is stranded is a matter of its age.
    let age = Duration::from_millis(300);
    let options = RelayOptions {
        stranded_after: age,
        ..quick()
    };
    let relay = world.relay_with(&recorder, options).await;
    until("both are stranded", async || {
        relay.stats().await.unwrap().stranded == 2
    })
    .await;
    let stats = relay.stats().await.unwrap();
    assert_eq!(
        (stats.pending, stats.retrying, stats.parked),
        (2, 0, 0),
        "{stats:?}"
    );
    assert!(stats.lag >= age, "{stats:?}");
    assert_eq!(patient.stats().await.unwrap().stranded, 0, "a minute is not over");

    recorder.set_away(true);
    relay.drain().await.unwrap();
    let stats = relay.stats().await.unwrap();
    assert_eq!(
        (stats.pending, stats.retrying, stats.stranded),
        (2, 1, 2),
        "{stats:?}"
    );
    recorder.set_away(false);
    until("both are published", async || {
        relay.drain().await.unwrap();
        recorder.ids().len() == 2
    })
    .await;
    assert_eq!(relay.stats().await.unwrap(), Stats::default());
}
