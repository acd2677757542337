//! Hints that jobs have changed: by watches, and by looking while the cluster cannot be watched.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use k8s_openapi::api::{batch::v1 as batch, core::v1 as core};
use kube::{
    Api, Resource, ResourceExt as _,
    runtime::{WatchStreamExt as _, utils::Backoff, watcher},
};
use serde::de::DeserializeOwned;
use tokio::time::MissedTickBehavior;

use super::{
    super::{Change, Cluster as _, JobName, JobState, MANAGED_BY, MANAGED_BY_LABEL},
    JOB_NAME_LABEL, Kubernetes, state,
};

/// The first pause after a failure; each is twice as long as the one before, up to the interval of looking.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// All hints, from now on.
pub(super) fn stream(cluster: Kubernetes) -> BoxStream<'static, Change> {
    let longest = cluster.options.poll_every().max(SHORTEST_PAUSE);
    let (jobs_seen, pods_seen) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let of_job = |job: &batch::Job| hint(job.metadata.name.as_deref(), job);
    let of_pod = |pod: &core::Pod| hint(pod.labels().get(JOB_NAME_LABEL).map(String::as_str), pod);
    let jobs = watched(cluster.jobs.clone(), longest, &jobs_seen, of_job);
    let pods = watched(cluster.pods.clone(), longest, &pods_seen, of_pod);
    let looked = looked(cluster, move || {
        jobs_seen.load(Ordering::Relaxed) && pods_seen.load(Ordering::Relaxed)
    });
    stream::select_all([jobs, pods, looked]).boxed()
}

fn hint<K: Resource>(name: Option<&str>, object: &K) -> Option<Change> {
    let name: JobName = name?.parse().ok()?;
    Some(Change {
        job: name,
        run: state::run_of(object.meta())?,
    })
}

/// The hints of a watch. It starts again for ever; whether it works now is in `works`.
fn watched<K>(
    api: Api<K>,
    longest: Duration,
    works: &Arc<AtomicBool>,
    hint: impl Fn(&K) -> Option<Change> + Send + 'static,
) -> BoxStream<'static, Change>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let works = Arc::clone(works);
    let config = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    watcher(api, config)
        .backoff(Pauses::new(longest))
        .filter_map(move |event| {
            let change = match event {
                // What is there when a watch begins may have changed while there was none.
                Ok(
                    watcher::Event::Apply(object)
                    | watcher::Event::Delete(object)
                    | watcher::Event::InitApply(object),
                ) => {
                    works.store(true, Ordering::Relaxed);
                    hint(&object)
                }
                Ok(watcher::Event::InitDone) => {
                    works.store(true, Ordering::Relaxed);
                    None
                }
                Ok(watcher::Event::Init) => None,
                Err(error) => {
                    if works.swap(false, Ordering::Relaxed) {
                        tracing::warn!(%error, "the cluster cannot be watched: its jobs are looked at instead");
                    }
                    None
                }
            };
            std::future::ready(change)
        })
        .boxed()
}

struct Looked<W> {
    cluster: Kubernetes,
    works: W,
    ticks: tokio::time::Interval,
    seen: HashMap<JobName, JobState>,
}

/// The hints of looking, which happens only while not all watches work.
fn looked(cluster: Kubernetes, works: impl Fn() -> bool + Send + 'static) -> BoxStream<'static, Change> {
    let mut ticks = tokio::time::interval(cluster.options.poll_every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looked = Looked {
        cluster,
        works,
        ticks,
        seen: HashMap::new(),
    };
    stream::unfold(looked, |mut looked| async move {
        looked.ticks.tick().await;
        let changed = if (looked.works)() {
            // What was seen then says nothing of what is hinted now.
            looked.seen.clear();
            Vec::new()
        } else {
            // Where this fails too, the next look will tell.
            let states = looked.cluster.all().await;
            states.map_or_else(|_| Vec::new(), |states| changed(&mut looked.seen, states))
        };
        Some((stream::iter(changed), looked))
    })
    .flatten()
    .boxed()
}

/// What is not as it was, and what is gone.
fn changed(seen: &mut HashMap<JobName, JobState>, states: Vec<JobState>) -> Vec<Change> {
    let now = states
        .into_iter()
        .map(|state| (state.name.clone(), state))
        .collect::<HashMap<_, _>>();
    let before = std::mem::take(seen);
    let gone = before.values().filter(|state| !now.contains_key(&state.name));
    let other = now
        .values()
        .filter(|state| before.get(&state.name) != Some(*state));
    let changes = other
        .chain(gone)
        .filter_map(|state| {
            Some(Change {
                job: state.name.clone(),
                run: state.run?,
            })
        })
        .collect();
    *seen = now;
    changes
}

/// Pauses that double.
struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    fn new(longest: Duration) -> Self {
        Self {
            next: SHORTEST_PAUSE,
            longest,
        }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        Some(pause)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.next = SHORTEST_PAUSE;
    }
}
