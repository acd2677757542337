//! An event is there if and only if its transaction was committed.

use segno_event::Event;
use segno_outbox::{Error, action_with_events};

use crate::support::{Db, Recorder, World, event};

in_every_database!(committed, rolled_back, migrated_twice, twice_the_same);

const ROWS: &str = "SELECT COUNT(*) FROM segno_outbox";
const CHANGES: &str = "SELECT COUNT(*) FROM changes";

async fn committed<D: Db>(world: World<D>) {
    let events = [event("1", "a"), event("2", "b")];
    let done = action_with_events(&world.pool, events.clone(), async |tx| {
        D::change(tx, 1, "made", "a").await.map_err(Error::from)?;
        Ok::<_, Error>("done")
    });
    assert_eq!(done.await.unwrap(), "done");
    assert_eq!(world.count(CHANGES).await, 1);

    let recorder = Recorder::new();
    let relay = world.relay(&recorder).await;
    assert_eq!(relay.drain().await.unwrap(), 2);
    assert_eq!(relay.drain().await.unwrap(), 0, "each is published once");
    let mut published: Vec<Event> = recorder.published().into_iter().map(|o| o.event).collect();
    published.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(published, events);
}

async fn rolled_back<D: Db>(world: World<D>) {
    let outbox = &world.outbox;
    let refused = outbox
        .action_with_events(&world.pool, [event("1", "a")], async |tx| {
            D::change(tx, 1, "made", "a").await.map_err(Error::from)?;
            Err::<(), _>(Error::TableName("the action fails".to_owned()))
        })
        .await;
    assert!(matches!(refused, Err(Error::TableName(_))));

    // The action is done, and the event is none.
    let invalid = [event("2", "a"), Event::new("no uri", "3", "t")];
    let refused = outbox.action_with_events(&world.pool, invalid, async |tx| {
        D::change(tx, 1, "made", "a").await.map_err(Error::from)
    });
    assert!(matches!(refused.await, Err(Error::Invalid(_))));

    // The transaction is dropped before its end.
    let mut tx = world.pool.begin().await.unwrap();
    D::change(&mut tx, 1, "made", "a").await.unwrap();
    outbox.emit(&mut tx, event("4", "a")).await.unwrap();
    drop(tx);

    assert_eq!(world.count(CHANGES).await, 0);
    assert_eq!(world.count(ROWS).await, 0);
}

async fn migrated_twice<D: Db>(world: World<D>) {
    world.emit(event("1", "a")).await;
    world.outbox.migrate(&world.pool).await.unwrap();
    assert_eq!(world.count(ROWS).await, 1);
}

async fn twice_the_same<D: Db>(world: World<D>) {
    world.emit(event("1", "a")).await;
    let again = world
        .outbox
        .action_with_events(&world.pool, [event("1", "b")], async |tx| {
            D::change(tx, 1, "made", "b").await.map_err(Error::from)
        });
    let error = again.await.unwrap_err();
    let expected = "the outbox has an event with the source \"/families\" and the id \"1\" already";
    assert_eq!(error.to_string(), expected);
    assert_eq!(world.count(CHANGES).await, 0);
    assert_eq!(world.count(ROWS).await, 1);
}

/// What servers spawn has to be able to move between threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned() {
    let world = World::<segno_test_support::servers::Postgres>::new().await;
    let (pool, outbox) = (world.pool.clone(), world.outbox.clone());
    let spawned = tokio::spawn(async move {
        let action = async |tx: &mut sqlx::PgConnection| {
            sqlx::query("INSERT INTO changes VALUES (1, 'made', 'a')")
                .execute(tx)
                .await?;
            Ok::<_, Error>(())
        };
        outbox.action_with_events(&pool, [event("1", "a")], action).await
    });
    spawned.await.unwrap().unwrap();
    assert_eq!(world.count(ROWS).await, 1);
}
