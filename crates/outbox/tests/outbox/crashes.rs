//! Nothing is lost, whatever dies; and what comes twice comes under the same id.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use segno_outbox::{Backend as _, Batch, Publisher, Relay, RelayOptions};
use segno_test_support::Cut;
use tokio::sync::Semaphore;

use crate::support::{DEADLINE, Db, Recorder, Running, World, event, quick, until};

in_every_database!(a_relay_dies_before_it_marks, the_bus_is_away);
in_databases!(postgres_dies, segno_test_support::servers::Postgres: the_database_dies);
in_databases!(mariadb_dies, segno_test_support::servers::MariaDb: the_database_dies);
in_databases!(postgres_is_cut_off, segno_test_support::servers::Postgres: the_database_is_cut_off);
in_databases!(mariadb_is_cut_off, segno_test_support::servers::MariaDb: the_database_is_cut_off);

/// Publishes, and then never says so.
#[derive(Debug)]
struct Silent {
    recorder: Arc<Recorder>,
    published: Semaphore,
}

#[async_trait]
impl Publisher for Silent {
    async fn publish(&self, batch: &Batch) {
        for outgoing in batch.events() {
            self.recorder.record(outgoing);
        }
        self.published.add_permits(1);
        std::future::pending().await
    }
}

async fn a_relay_dies_before_it_marks<D: Db>(world: World<D>) {
    for id in ["1", "2", "3"] {
        world.emit(event(id, "a")).await;
    }
    let recorder = Recorder::new();
    let silent = Arc::new(Silent {
        recorder: recorder.clone(),
        published: Semaphore::new(0),
    });
    // In SQLite another relay waits until the lease ends.
    let short = RelayOptions {
        publish_timeout: std::time::Duration::from_millis(500),
        ..quick()
    };
    let first = Running::start(world.relay_with(&silent, short).await);
    let published = silent.published.acquire();
    published.await.unwrap().forget();
    let second = Running::start(world.relay(&recorder).await);
    first.crash().await;
    until("all are published again", async || recorder.ids().len() >= 6).await;
    second.stop().await;
    assert_eq!(recorder.ids(), ["1", "2", "3", "1", "2", "3"]);
    assert_eq!(
        world
            .count("SELECT COUNT(*) FROM segno_outbox WHERE state = 'published'")
            .await,
        3
    );
}

async fn the_bus_is_away<D: Db>(world: World<D>) {
    let recorder = Recorder::new();
    recorder.set_away(true);
    let relay = world.relay(&recorder).await;
    let counters = relay.counters();
    let relay = Running::start(relay);
    for number in 0..20 {
        world.emit(event(number.to_string(), "a")).await;
    }
    until("it was tried", async || counters.failed() > 2).await;
    recorder.set_away(false);
    until("all are published", async || recorder.ids().len() >= 20).await;
    relay.stop().await;
    let ids: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(recorder.ids(), ids);
    assert_eq!(counters.parked(), 0);
}

async fn the_database_dies<D: Db>(mut world: World<D>) {
    let recorder = Recorder::new();
    let relays = [
        Running::start(world.relay(&recorder).await),
        Running::start(world.relay(&recorder).await),
    ];
    // Writes until it is told to stop, and says what was acknowledged.
    let enough = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (pool, outbox, enough) = (world.pool.clone(), world.outbox.clone(), enough.clone());
        async move {
            let mut acknowledged = BTreeSet::new();
            for number in 0.. {
                if enough.load(Ordering::SeqCst) {
                    break;
                }
                let id = format!("{number:06}");
                let written = async {
                    let mut tx = D::Sql::begin(&pool).await?;
                    outbox.emit(&mut tx, event(&*id, ["a", "b"][number % 2])).await?;
                    tx.commit().await?;
                    Ok::<_, segno_outbox::Error>(())
                };
                match tokio::time::timeout(DEADLINE, written)
                    .await
                    .expect("an answer or an error")
                {
                    Ok(()) => drop(acknowledged.insert(id)),
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                }
            }
            acknowledged
        }
    });
    for round in 1..=2 {
        let before = recorder.ids().len();
        until("events flow", async || recorder.ids().len() > before + 40).await;
        let server = world.server.server().expect("a server");
        server.kill();
        server.start_again().await;
        let after = recorder.ids().len();
        let what = format!("events flow again after crash {round}");
        until(&what, async || recorder.ids().len() > after + 40).await;
    }
    enough.store(true, Ordering::SeqCst);
    let acknowledged = writer.await.unwrap();
    until("nothing is pending", async || {
        world
            .count("SELECT COUNT(*) FROM segno_outbox WHERE state = 'pending'")
            .await
            == 0
    })
    .await;
    for relay in relays {
        relay.stop().await;
    }
    let published: BTreeSet<_> = recorder.ids().into_iter().collect();
    let rows = D::texts(&world.pool, "SELECT id FROM segno_outbox").await;
    assert_eq!(
        published,
        rows.into_iter().collect(),
        "what is committed is published, and nothing else"
    );
    assert!(published.is_superset(&acknowledged));
    for key in ["a", "b"] {
        let ids = recorder.first_of(key);
        assert!(ids.is_sorted(), "the order of the key {key}: {ids:?}");
    }
}

/// The network between a relay and its database is cut, while it asks for rows and while it marks them.
async fn the_database_is_cut_off<D: Db>(mut world: World<D>) {
    let port = world.server.server().expect("a server").port();
    let cut = Cut::to(port).await;
    let recorder = Recorder::new();
    let pool = world.server.connect_by(cut.port()).await;
    let relay = Relay::with(world.outbox.clone(), pool, recorder.clone(), quick());
    let relay = Running::start(relay);
    let mut number = 0;
    let mut emit = async |count: usize| {
        for _ in 0..count {
            let id = format!("{number:06}");
            world.emit(event(&*id, ["a", "b"][number % 2])).await;
            number += 1;
        }
        number
    };
    let published = || recorder.ids().into_iter().collect::<BTreeSet<_>>();
    for answers in [true, false] {
        let all = emit(40).await;
        let before = all - 20;
        until("events flow", async || published().len() >= before).await;
        if answers {
            cut.cut_answers();
        } else {
            cut.cut();
        }
        let all = emit(20).await;
        cut.mend();
        until("events flow again", async || published().len() >= all).await;
    }
    until("nothing is pending", async || {
        world
            .count("SELECT COUNT(*) FROM segno_outbox WHERE state = 'pending'")
            .await
            == 0
    })
    .await;
    relay.stop().await;
    let rows = D::texts(&world.pool, "SELECT id FROM segno_outbox").await;
    assert_eq!(published(), rows.into_iter().collect());
    for key in ["a", "b"] {
        let ids = recorder.first_of(key);
        assert!(ids.is_sorted(), "the order of the key {key}: {ids:?}");
    }
}
