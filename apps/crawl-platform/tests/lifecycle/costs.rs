//! What a reconciliation costs: the calls to cluster and database do not grow with the tasks that are done.

use std::time::Duration;

use segno_crawl_platform::{
    cluster::Phase,
    lifecycle::rules::Intervals,
    store::{RunStatus, Trigger},
};
use uuid::Uuid;

use crate::world::{World, crawler, eventually, timing};

/// Calls to the cluster and to the database for each of some reconciliations while nothing changes.
async fn cost(world: &World, run: Uuid) -> (f64, f64) {
    let reconciled = async || world.store.run(run).await.unwrap().reconciled;
    let view = world.store.run(run).await.unwrap();
    let begin = view.reconciled;
    let (cluster, database) = (world.cluster.calls(), world.store.calls());
    // The test's own looks are calls, too.
    let mut looks = 0;
    eventually("it is reconciled", async || {
        looks += 1;
        reconciled().await >= begin + 10
    })
    .await;
    let count = (reconciled().await - begin) as f64;
    looks += 1;
    (
        (world.cluster.calls() - cluster) as f64 / count,
        (world.store.calls() - database - looks) as f64 / count,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_costs_the_same_however_many_tasks_are_done() {
    let mut world = World::embedded().await;
    let mut timing = timing();
    timing.intervals = Intervals::every(Duration::from_millis(50));
    world.set_timing(timing);
    let id = world
        .store
        .put_crawler(Uuid::new_v4(), &crawler(40))
        .await
        .unwrap()
        .id;
    let run = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap().run;
    world
        .until(run, "processing", |run| run.status == RunStatus::Processing)
        .await;
    let before = cost(&world, run).await;
    for process in 0..39 {
        world.leave_output(run, process, 1, 1).await;
        world.cluster.set(&world.job(run, process), Phase::Succeeded);
    }
    eventually("39 are done", async || {
        world.store.count_alive(run).await.unwrap() == 1
    })
    .await;
    let after = cost(&world, run).await;
    // One look at the cluster each, and the boundaries of the counting.
    assert!(before.0 < 1.5 && after.0 < 1.5, "cluster: {before:?} {after:?}");
    assert!(after.1 <= before.1 + 1.0, "database: {before:?} {after:?}");
    assert!(after.1 < 12.0, "database: {after:?}");
    world.leave_output(run, 39, 1, 1).await;
    world.cluster.set(&world.job(run, 39), Phase::Succeeded);
    assert_eq!(world.ended(run).await.status, RunStatus::Completed);
    world.stop().await;
}
