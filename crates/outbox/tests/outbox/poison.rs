//! A row that cannot be published holds back its own key and nothing else.

use std::time::Duration;

use segno_outbox::RelayOptions;

use crate::support::{Db, Recorder, World, event, quick};

in_every_database!(parked_tried_again, parked_discarded, written_wrong, given_up);

async fn parked_tried_again<D: Db>(world: World<D>) {
    for (id, key) in [("1", "a"), ("2", "a"), ("3", "a"), ("4", "b"), ("5", "c")] {
        world.emit(event(id, key)).await;
    }
    let recorder = Recorder::new();
    recorder.refuse(&["2"]);
    let relay = world.relay(&recorder).await;
    relay.drain().await.unwrap();
    let mut ids = recorder.ids();
    ids.sort();
    assert_eq!(ids, ["1", "4", "5"]);
    // What comes later for the key waits too; other keys do not.
    world.emit(event("6", "a")).await;
    world.emit(event("7", "b")).await;
    relay.drain().await.unwrap();
    assert_eq!(recorder.first_of("a"), ["1"]);
    assert_eq!(recorder.first_of("b"), ["4", "7"]);

    let stats = relay.stats().await.unwrap();
    assert_eq!((stats.pending, stats.parked, stats.held), (2, 1, 2), "{stats:?}");
    let parked = world.outbox.parked(&world.pool, 10).await.unwrap();
    assert_eq!(parked.len(), 1);
    let row = &parked[0];
    let shown = (&*row.id, row.key.as_deref(), &*row.reason, row.attempts);
    assert_eq!(shown, ("2", Some("a"), "the bus refuses it", 1));

    recorder.refuse(&[]);
    assert!(
        world
            .outbox
            .retry_parked(&world.pool, row.position)
            .await
            .unwrap()
    );
    assert!(
        !world
            .outbox
            .retry_parked(&world.pool, row.position)
            .await
            .unwrap()
    );
    relay.drain().await.unwrap();
    assert_eq!(recorder.first_of("a"), ["1", "2", "3", "6"]);
    assert_eq!(recorder.ids().len(), 7);
    let stats = relay.stats().await.unwrap();
    assert_eq!(stats, segno_outbox::Stats::default());
}

async fn parked_discarded<D: Db>(world: World<D>) {
    world.emit(event("1", "a")).await;
    world.emit(event("2", "a")).await;
    let recorder = Recorder::new();
    recorder.refuse(&["1"]);
    let relay = world.relay(&recorder).await;
    relay.drain().await.unwrap();
    let parked = world.outbox.parked(&world.pool, 10).await.unwrap();
    let discarded = world
        .outbox
        .discard_parked(&world.pool, parked[0].position, "nobody needs it");
    assert!(discarded.await.unwrap());
    relay.drain().await.unwrap();
    assert_eq!(recorder.ids(), ["2"]);
    let notes = D::texts(
        &world.pool,
        "SELECT last_error FROM segno_outbox WHERE state = 'discarded'",
    )
    .await;
    assert_eq!(notes, ["nobody needs it"]);
}

/// Rows that other programs wrote, and wrote wrong.
async fn written_wrong<D: Db>(world: World<D>) {
    D::execute(
        &world.pool,
        "INSERT INTO segno_outbox (id, source, type, aggregate_key, data) VALUES ('1', '/s', 't', 'a', '{\"secret\"')",
    )
    .await;
    D::execute(
        &world.pool,
        "INSERT INTO segno_outbox (id, source, type, aggregate_key, data) VALUES ('2', '/s', 't', 'b', '{}')",
    )
    .await;
    D::execute(
        &world.pool,
        "INSERT INTO segno_outbox (id, source, type, data) VALUES ('3', 'no uri', 't', NULL)",
    )
    .await;
    let recorder = Recorder::new();
    world.relay(&recorder).await.drain().await.unwrap();
    assert_eq!(recorder.ids(), ["2"]);
    let parked = world.outbox.parked(&world.pool, 10).await.unwrap();
    let reasons: Vec<_> = parked.iter().map(|row| row.reason.as_str()).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons[0].starts_with("`data` is not JSON"), "{reasons:?}");
    assert!(!reasons[0].contains("secret"), "{reasons:?}");
    assert!(reasons[1].contains("source"), "{reasons:?}");
}

async fn given_up<D: Db>(world: World<D>) {
    world.emit(event("1", "a")).await;
    let recorder = Recorder::new();
    recorder.set_away(true);
    let options = RelayOptions {
        max_attempts: Some(2),
        backoff: Duration::ZERO,
        ..quick()
    };
    let relay = world.relay_with(&recorder, options).await;
    // A pause of no time ends with the next millisecond.
    crate::support::until("it is parked", async || {
        relay.drain().await.unwrap();
        relay.stats().await.unwrap().parked == 1
    })
    .await;
    let parked = world.outbox.parked(&world.pool, 10).await.unwrap();
    assert_eq!(parked[0].reason, "given up after 2 attempts: the bus is away");
}
