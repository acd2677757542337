//! Faults, made up from seeds: changes that are not told of, late, twice, in another order, or of what never happened; calls
//! to the cluster that fail; jobs that go without a word; a workflow that is terminated, and a process that ends, in between.
//! Whatever comes, the run ends as its jobs have.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use segno_crawl_platform::{
    cluster::{JobName, Phase},
    store::{RunStatus, TaskStatus, Trigger},
};
use temporalio_client::WorkflowTerminateOptions;
use tokio::time::sleep;
use uuid::Uuid;

use crate::world::{DEADLINE, World, crawler, eventually};

/// How many seeds are tried, unless this variable says another number.
const SEEDS: &str = "SEGNO_CRAWL_FAULT_SEEDS";
/// The first of them; the same seed does the same.
const SEED: &str = "SEGNO_CRAWL_FAULT_SEED";

/// What a job comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Succeeds,
    Fails,
    Vanishes,
}

async fn play(world: &mut World, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let processes = random.random_range(1..=6);
    let mut definition = crawler(processes);
    definition.parallel = random
        .random_bool(0.5)
        .then(|| random.random_range(1..=processes));
    let id = world
        .store
        .put_crawler(Uuid::new_v4(), &definition)
        .await
        .unwrap()
        .id;
    let asked = world.lifecycle.begin(id, Trigger::Api, None).await.unwrap();
    let run = asked.run;
    let fates: Vec<_> = (0..processes)
        .map(|_| match random.random_range(0..10) {
            0 => Fate::Vanishes,
            1..=2 => Fate::Fails,
            _ => Fate::Succeeds,
        })
        .collect();
    for process in 0..processes {
        world.leave_output(run, process, 1, 1).await;
    }
    world
        .until(run, "started", |run| run.status != RunStatus::Initializing)
        .await;
    let mut ended = vec![false; fates.len()];
    while ended.contains(&false) {
        if random.random_bool(0.3) {
            world.cluster.fail(random.random_range(1..4));
        }
        let mut order: Vec<u32> = (0..processes).collect();
        order.shuffle(&mut random);
        for process in order {
            let (job, at) = (JobName::of(run, process, 1), process as usize);
            if !ended[at] && world.cluster.made().contains(&job) && random.random_bool(0.5) {
                match fates[at] {
                    Fate::Succeeds => world.cluster.set(&job, Phase::Succeeded),
                    Fate::Fails => world.cluster.set(&job, Phase::Failed),
                    // Missed, found, and missed again: only a long absence counts.
                    Fate::Vanishes => world.cluster.lose(&job),
                }
                ended[at] = true;
            }
            // Told never, once or twice, of this job or of one that has not changed; also before and after the fact.
            for _ in 0..random.random_range(0..3) {
                let about = JobName::of(run, random.random_range(0..processes), 1);
                world.cluster.tell(&about, run);
                let record = world.store.run(run).await.unwrap();
                if random.random_bool(0.5) && !record.status.is_final() {
                    world.lifecycle.nudge(&asked.workflow_id).await.unwrap();
                }
            }
        }
        if random.random_bool(0.15) {
            let handle = world
                .client()
                .get_workflow_handle::<segno_crawl_platform::lifecycle::CrawlerRun>(
                    asked.workflow_id.clone(),
                );
            // It may have ended by now.
            drop(
                handle
                    .terminate(WorkflowTerminateOptions::builder().reason("a fault").build())
                    .await,
            );
            let record = world.store.run(run).await.unwrap();
            if !record.status.is_final() {
                world.lifecycle.resume(run).await.unwrap();
            }
        }
        if random.random_bool(0.05) {
            world.restart().await;
        }
        sleep(Duration::from_millis(random.random_range(0..120))).await;
    }
    let record = tokio::time::timeout(DEADLINE, world.ended(run)).await;
    let record = record.unwrap_or_else(|_| panic!("seed {seed}: the run does not end"));
    let all_good = fates.iter().all(|fate| *fate == Fate::Succeeds);
    let expected = if all_good {
        RunStatus::Completed
    } else {
        RunStatus::Failed
    };
    assert_eq!(record.status, expected, "seed {seed}: {fates:?}: {record:#?}");
    let tasks = world.store.tasks(run).await.unwrap();
    for (task, fate) in tasks.iter().zip(&fates) {
        let expected = match fate {
            Fate::Succeeds => TaskStatus::Succeeded,
            Fate::Fails | Fate::Vanishes => TaskStatus::Failed,
        };
        assert_eq!(task.status, expected, "seed {seed}: {fates:?}");
    }
    let mut made: Vec<_> = world
        .cluster
        .made()
        .into_iter()
        .filter(|job| is_of(job, run))
        .collect();
    made.sort();
    let count = made.len();
    made.dedup();
    assert_eq!(
        (made.len(), count),
        (fates.len(), fates.len()),
        "seed {seed}: every job was made once"
    );
    if all_good {
        eventually("the records are delivered", async || {
            world.store.count_records(run).await.unwrap() == u64::from(processes)
        })
        .await;
    }
}

fn is_of(job: &JobName, run: Uuid) -> bool {
    job.as_str().contains(&run.simple().to_string())
}

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_told_the_run_ends_as_its_jobs_have() {
    let (first, count) = (variable(SEED, 1), variable(SEEDS, 6));
    let mut world = World::embedded().await;
    for seed in first..first + count {
        play(&mut world, seed).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_on_temporal() {
    let first = variable(SEED, 101);
    let mut world = World::temporal().await;
    for seed in first..first + 2 {
        play(&mut world, seed).await;
    }
    world.stop().await;
}
