//! Rows in Debezium's layout come out as events.

use segno_event::Data;
use segno_outbox::Debezium;
use serde_json::json;

use crate::support::{Db, Recorder, World};

in_every_database!(debezium);

async fn debezium<D: Db>(world: World<D>) {
    let debezium = Debezium::new("/legacy/it's").unwrap();
    world
        .outbox
        .connect_debezium(&world.pool, &debezium)
        .await
        .unwrap();
    world
        .outbox
        .connect_debezium(&world.pool, &debezium)
        .await
        .unwrap();
    // As with Debezium itself, the row is gone when its transaction ends.
    D::execute(
        &world.pool,
        "BEGIN; INSERT INTO outboxevent (id, aggregatetype, aggregateid, type, payload) VALUES \
         ('7f9c24e8-3b12-4fef-91e0-56a2d5a9d1c3', 'family', '100', 'family.updated', '{\"familyId\": 100}'); \
         DELETE FROM outboxevent; COMMIT",
    )
    .await;
    assert_eq!(world.count("SELECT COUNT(*) FROM outboxevent").await, 0);
    let recorder = Recorder::new();
    world.relay(&recorder).await.drain().await.unwrap();
    let published = recorder.published();
    assert_eq!(published.len(), 1);
    let (event, key) = (&published[0].event, published[0].key.as_deref());
    assert_eq!(event.id, "7f9c24e8-3b12-4fef-91e0-56a2d5a9d1c3");
    assert_eq!(event.source, "/legacy/it's");
    assert_eq!(event.ty, "family.updated");
    assert_eq!(event.subject.as_deref(), Some("100"));
    assert_eq!(event.data, Some(Data::Json(json!({"familyId": 100}))));
    assert_eq!(key, Some("family/100"));
}
