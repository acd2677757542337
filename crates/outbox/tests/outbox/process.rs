//! Processing an outbox inside a test.

use segno_event::Event;
use segno_outbox::{ProcessError, process_events};

use crate::support::{Db, World, event};

in_every_database!(in_order_until_empty);

async fn in_order_until_empty<D: Db>(world: World<D>) {
    for (id, key) in [("1", "a"), ("2", "b"), ("3", "a")] {
        world.emit(event(id, key)).await;
    }
    // What a consumer emits is processed as well.
    let consume = async |event: &Event| {
        if event.id == "2" {
            world.emit(crate::support::event("4", "c")).await;
        }
        Ok::<_, std::io::Error>(())
    };
    let processed = process_events(&world.outbox, &world.pool, consume).await.unwrap();
    let ids: Vec<_> = processed.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3", "4"]);

    world.emit(event("5", "a")).await;
    let fail = async |_: &Event| Err(std::io::Error::other("not now"));
    let error = process_events(&world.outbox, &world.pool, fail)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ProcessError::Consumer { id, .. } if id == "5"),
        "{error}"
    );
    let processed = process_events(&world.outbox, &world.pool, consume).await.unwrap();
    assert_eq!(processed.len(), 1, "it stays until it is processed");
}
