//! Encrypted payloads are readable for the relay and not in the table.

use segno_outbox::{Keyring, Outbox};

use crate::support::{Db, Recorder, World, event};

in_every_database!(encrypted, keys_rotated);

async fn encrypted<D: Db>(mut world: World<D>) {
    let plain = world.outbox.clone();
    world.outbox = Outbox::new().cipher(Keyring::new("k1", &[7; 32]).unwrap());
    world.emit(event("1", "a")).await;
    let stored = D::texts(&world.pool, "SELECT data FROM segno_outbox").await;
    assert!(!stored[0].contains("Quill"), "{stored:?}");
    assert_eq!(
        D::texts(&world.pool, "SELECT cipher_key FROM segno_outbox").await,
        ["k1"]
    );

    let recorder = Recorder::new();
    let relay = world.relay(&recorder).await;
    world.outbox = plain;
    world.relay(&recorder).await.drain().await.unwrap();
    let parked = world.outbox.parked(&world.pool, 1).await.unwrap();
    let reason = "`data` is encrypted with the key \"k1\", and the relay has no cipher";
    assert_eq!(parked[0].reason, reason);

    assert!(
        world
            .outbox
            .retry_parked(&world.pool, parked[0].position)
            .await
            .unwrap()
    );
    relay.drain().await.unwrap();
    assert_eq!(recorder.published()[0].event, event("1", "a"));
}

async fn keys_rotated<D: Db>(mut world: World<D>) {
    world.outbox = Outbox::new().cipher(Keyring::new("old", &[1; 32]).unwrap());
    world.emit(event("1", "a")).await;
    let both = Keyring::new("new", &[2; 32])
        .unwrap()
        .and("old", &[1; 32])
        .unwrap();
    world.outbox = Outbox::new().cipher(both);
    world.emit(event("2", "a")).await;
    let keys = D::texts(
        &world.pool,
        "SELECT cipher_key FROM segno_outbox ORDER BY position",
    )
    .await;
    assert_eq!(keys, ["old", "new"]);
    let recorder = Recorder::new();
    world.relay(&recorder).await.drain().await.unwrap();
    assert_eq!(recorder.ids(), ["1", "2"]);
}
