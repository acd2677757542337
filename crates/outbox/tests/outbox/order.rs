//! Events of one key are published in the order in which they were committed, whoever writes and whoever publishes.

use std::collections::BTreeMap;

use segno_outbox::{Backend as _, Entry};

use crate::support::{Db, Recorder, Running, World, event, until};

in_every_database!(several_writers_and_relays, several_keys_in_one_transaction);

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
const WRITERS: i64 = 6;
const EVENTS: i64 = 25;

/// The ids of each key in the order of the commits: the change is written while the key's lock is held.
async fn committed<D: Db>(world: &World<D>) -> BTreeMap<&'static str, Vec<String>> {
    let mut of_key = BTreeMap::new();
    for line in D::texts(&world.pool, "SELECT what FROM changes ORDER BY number").await {
        let (key, id) = line.split_once(' ').unwrap();
        let key = *KEYS.iter().find(|known| **known == key).unwrap();
        of_key.entry(key).or_insert_with(Vec::new).push(id.to_owned());
    }
    of_key
}

/// A number that grows: only used under a key's lock.
fn tick() -> i64 {
    use std::sync::atomic::{AtomicI64, Ordering};
    static NEXT: AtomicI64 = AtomicI64::new(0);
    NEXT.fetch_add(1, Ordering::SeqCst)
}

async fn several_writers_and_relays<D: Db>(world: World<D>) {
    let recorder = Recorder::new();
    let mut relays = Vec::new();
    for _ in 0..3 {
        relays.push(Running::start(world.relay(&recorder).await));
    }
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (pool, outbox) = (world.pool.clone(), world.outbox.clone());
        writers.push(tokio::spawn(async move {
            for number in 0..EVENTS {
                let key = KEYS[usize::try_from(writer + number).unwrap() % KEYS.len()];
                let id = format!("{writer}-{number}");
                let mut tx = D::Sql::begin(&pool).await.unwrap();
                outbox.emit(&mut tx, event(&*id, key)).await.unwrap();
                // Others that have begun meanwhile may commit first, if their key is another.
                tokio::task::yield_now().await;
                let what = format!("{key} {id}");
                D::change(&mut tx, tick(), &what, key).await.unwrap();
                if number % 7 == 3 {
                    tx.rollback().await.unwrap();
                } else {
                    tx.commit().await.unwrap();
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let committed = committed(&world).await;
    let total: usize = committed.values().map(Vec::len).sum();
    until("all are published", async || recorder.ids().len() >= total).await;
    for relay in relays {
        relay.stop().await;
    }
    for (key, ids) in committed {
        assert_eq!(recorder.first_of(key), ids, "of the key {key}");
    }
    assert_eq!(recorder.ids().len(), total, "nothing is published twice");
}

async fn several_keys_in_one_transaction<D: Db>(world: World<D>) {
    // Each writes all keys, in an order of its own: none waits in a circle.
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (pool, outbox) = (world.pool.clone(), world.outbox.clone());
        writers.push(tokio::spawn(async move {
            for number in 0..5 {
                let mut keys = KEYS;
                keys.rotate_left(usize::try_from(writer).unwrap() % KEYS.len());
                let entries = keys
                    .map(|key| Entry::from(event(format!("{key}-{writer}-{number}"), "subject")).key(key));
                let mut tx = D::Sql::begin(&pool).await.unwrap();
                outbox.emit_all(&mut tx, entries).await.unwrap();
                for key in KEYS {
                    let what = format!("{key} {key}-{writer}-{number}");
                    D::change(&mut tx, tick(), &what, key).await.unwrap();
                }
                tx.commit().await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let recorder = Recorder::new();
    world.relay(&recorder).await.drain().await.unwrap();
    for (key, ids) in committed(&world).await {
        assert_eq!(recorder.first_of(key), ids, "of the key {key}");
    }
}
