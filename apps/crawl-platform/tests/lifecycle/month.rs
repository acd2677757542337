//! Thirty days of schedules, on an engine whose clock the test moves from one time at which something is due to the next. All
//! times are as they are set by default: the poll every 6 s, reconciliations every 1 to 15 minutes. The sweeper comes at its
//! interval, every 5 minutes, for two hours, and else once a day: it does each time the same, and a day of it takes longer than
//! all the rest of the month.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use segno::config::Config;
use segno_crawl_platform::{
    clock::Clock,
    cluster::{JobName, JobState, Phase},
    lifecycle::Timing,
    platform::{Options, Platform},
    store::{Run, RunFilter, RunStatus},
    sweeper::{SCHEDULE, SweepSettings},
};
use segno_engine::{
    Engine,
    clock::{Clock as _, ManualClock, Nanos},
};
use serde_json::{Value, json};
use temporalio_client::schedules::{ScheduleIntervalSpec, ScheduleSpec, ScheduleUpdate};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{cluster::Memory, world::DEADLINE};

const BEGIN: OffsetDateTime = datetime!(2026-03-15 0:00 UTC);
const DAYS: i64 = 30;
const END: OffsetDateTime = datetime!(2026-04-14 0:00 UTC);
/// From then on, for so long, the sweeper comes at its interval: from the first poll of the longest run, while that is at work.
const SWEPT: (OffsetDateTime, time::Duration) =
    (datetime!(2026-03-20 12:00:06 UTC), time::Duration::hours(2));
const DAY: time::Duration = time::Duration::DAY;
/// Between two polls of a job that has not started.
const POLL: time::Duration = time::Duration::seconds(6);
/// What is due then overlaps.
const CROWDED: OffsetDateTime = datetime!(2026-03-16 3:00 UTC);
/// The minutes after it.
const DUES: [i64; 3] = [0, 1, 2];

/// A crawler with a schedule.
struct Plan {
    crawler: Uuid,
    schedule: String,
    /// Whether what is due makes the run before end.
    impatient: bool,
    /// Whether what is due waits for the run before.
    patient: bool,
    /// Whether the engine knows which of its runs go on: with `allow_all` it need not.
    watched: bool,
    /// How long its jobs wait for a node.
    waits: time::Duration,
    /// How long its jobs take, with that.
    jobs: time::Duration,
    /// Its runs that had not ended when the engine was last asked about its schedule.
    open: BTreeSet<Uuid>,
    /// When it wants something next.
    next: OffsetDateTime,
}

/// A run that has not ended.
struct Open {
    plan: usize,
    /// When it looks at the cluster next; None if that is to be asked.
    next: Option<OffsetDateTime>,
    /// When its job starts.
    starts: OffsetDateTime,
    /// When its job is over.
    over: OffsetDateTime,
}

/// The platform on an engine whose time is the test's.
struct Month {
    clock: ManualClock,
    engine: Engine,
    stop: CancellationToken,
    platform: Platform,
    cluster: Memory,
    http: reqwest::Client,
    plans: Vec<Plan>,
    open: BTreeMap<Uuid, Open>,
    /// When each run was due, as the workflow says that its schedule has started.
    due: BTreeMap<Uuid, OffsetDateTime>,
    /// When each run was reconciled.
    looks: BTreeMap<Uuid, Vec<OffsetDateTime>>,
    /// When the sweeper comes next.
    sweep: OffsetDateTime,
    /// Whether it comes at its interval.
    often: bool,
    _folder: tempfile::TempDir,
}

impl Month {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(i64::try_from(BEGIN.unix_timestamp_nanos()).unwrap());
        let options = segno_engine::Options::new(folder.path().join("engine.db")).with_clock(clock.clone());
        let engine = Engine::open(options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (handle, stop) = (engine.handle(), CancellationToken::new());
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move { segno_engine::serve(&handle, listener, stopped).await.unwrap() });
        let config =
            format!("engine = {{ temporal = {{ address = \"{address}\", namespace = \"default\" }} }}\n");
        let own = clock.clone();
        let time = Clock::new(move || time_of(own.now()));
        let cluster = Memory::by(time.clone());
        let options = Options {
            clock: time,
            config: Config::parse("test", &config, folder.path()).unwrap(),
            timing: Timing::default(),
            sweep: SweepSettings {
                every: DAY.unsigned_abs(),
                ..SweepSettings::default()
            },
            ..Options::in_folder(folder.path(), Arc::new(cluster.clone()))
        };
        Self {
            clock,
            engine,
            stop,
            platform: Platform::start(options).await.unwrap(),
            cluster,
            http: reqwest::Client::new(),
            plans: Vec::new(),
            open: BTreeMap::new(),
            due: BTreeMap::new(),
            looks: BTreeMap::new(),
            sweep: BEGIN,
            often: false,
            _folder: folder,
        }
    }

    fn now(&self) -> OffsetDateTime {
        time_of(self.clock.now())
    }

    async fn post(&self, path: &str, body: Value) -> String {
        let url = format!("http://{}{path}", self.platform.address());
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// A crawler whose jobs take so many minutes, with a schedule, which this completes. Its number.
    async fn schedule(&mut self, minutes: i64, mut schedule: Value) -> usize {
        let crawler = json!({ "name": "books", "command": ["crawl-books"] });
        let crawler = self.post("/crawlers", crawler).await;
        schedule["crawlerId"] = json!(crawler);
        let watched = schedule["overlap"] != "allow_all";
        let impatient = ["cancel_other", "terminate_other"]
            .map(Some)
            .contains(&schedule["overlap"].as_str());
        let patient = schedule["overlap"]
            .as_str()
            .is_some_and(|policy| policy.starts_with("buffer"));
        let id = self.post("/schedules", schedule).await;
        self.plans.push(Plan {
            crawler: crawler.parse().unwrap(),
            schedule: format!("crawler-schedule/{id}"),
            impatient,
            patient,
            watched,
            waits: time::Duration::ZERO,
            jobs: time::Duration::minutes(minutes),
            open: BTreeSet::new(),
            next: BEGIN,
        });
        self.plans.len() - 1
    }

    /// All runs of a crawler, the newest first.
    async fn runs_of(&self, plan: usize) -> Vec<Run> {
        let filter = RunFilter {
            crawler: Some(self.plans[plan].crawler),
            ..RunFilter::default()
        };
        let store = self.platform.lifecycle().store();
        store.runs(&filter, None, 500).await.unwrap().unwrap().runs
    }

    /// What the platform and the engine do by themselves at this time, as far as it has gone; whether it is done.
    async fn is_quiet(&mut self) -> bool {
        let now = self.now();
        let lifecycle = self.platform.lifecycle().clone();
        let (client, store) = (lifecycle.client(), lifecycle.store());
        // The engine looks at its clock when it is asked something.
        let running = client.count_workflows("ExecutionStatus = 'Running'", Default::default());
        let running = running.await.unwrap().count();
        let far = now + time::Duration::days(1);
        let listed = store.open_runs(far, Duration::ZERO, 500).await.unwrap();
        let listed: BTreeSet<Uuid> = listed.into_iter().map(|run| run.id).collect();
        for id in &listed {
            if !self.open.contains_key(id) {
                let run = store.run(*id).await.unwrap();
                let plan = self.plans.iter().position(|plan| plan.crawler == run.crawler_id);
                let plan = plan.unwrap();
                let starts = now + self.plans[plan].waits;
                let over = now + self.plans[plan].jobs;
                let workflow = run.workflow_id.unwrap();
                let due = OffsetDateTime::parse(&workflow[workflow.len() - 20..], &Rfc3339).unwrap();
                self.due.insert(*id, due);
                self.open.insert(
                    *id,
                    Open {
                        plan,
                        next: None,
                        starts,
                        over,
                    },
                );
            }
        }
        let often = (SWEPT.0..SWEPT.0 + SWEPT.1).contains(&now);
        if (self.sweep <= now || self.often != often) && !self.has_swept(now, often).await {
            return false;
        }
        let ended: Vec<_> = self
            .open
            .keys()
            .filter(|id| !listed.contains(id))
            .copied()
            .collect();
        for id in ended {
            self.open.remove(&id);
            let run = store.run(id).await.unwrap();
            self.look(id, run.reconciled, now);
        }
        for plan in 0..self.plans.len() {
            let open = self.open.iter().filter(|(_, open)| open.plan == plan);
            let open: BTreeSet<_> = open.map(|(id, _)| *id).collect();
            if self.plans[plan].next > now && self.plans[plan].open == open {
                continue;
            }
            for id in &open {
                // It may have been told something.
                self.open.get_mut(id).unwrap().next = None;
            }
            let handle = client.get_schedule_handle(&self.plans[plan].schedule);
            let described = handle.describe(Default::default()).await.unwrap();
            let waiting = described.raw().info.as_ref().unwrap().buffer_size > 0;
            let next = OffsetDateTime::from(described.future_action_times()[0]);
            let starts = usize::try_from(described.action_count()).unwrap();
            if next <= now
                || self.plans[plan].watched && described.running_actions().len() != open.len()
                || waiting && (open.is_empty() || self.plans[plan].impatient)
                || self.runs_of(plan).await.len() != starts
            {
                return false;
            }
            self.plans[plan].next = next;
            self.plans[plan].open = open;
        }
        for id in listed {
            if self.open[&id].next.is_some_and(|next| next > now) {
                continue;
            }
            let run = store.run(id).await.unwrap();
            let Some(view) = lifecycle.view(&run).await else {
                return false;
            };
            let Some(next) = view.next_look_at.filter(|next| *next > now) else {
                return false;
            };
            self.look(id, view.reconciliations, now);
            self.open.get_mut(&id).unwrap().next = Some(next);
        }
        // Nor is the sweeper at work, or what ends a run whose status is there.
        running == self.open.len()
    }

    /// Whether the sweep that was due is done, and the sweeper comes as often as it is to; then its next time is known.
    async fn has_swept(&mut self, now: OffsetDateTime, often: bool) -> bool {
        let client = self.platform.lifecycle().client();
        let handle = client.get_schedule_handle(SCHEDULE);
        let described = handle.describe(Default::default()).await.unwrap();
        let next = OffsetDateTime::from(described.future_action_times()[0]);
        let begun = usize::try_from(described.action_count()).unwrap();
        if next <= now || begun != self.cluster.sweeps().len() || !described.running_actions().is_empty() {
            return false;
        }
        if often == self.often {
            self.sweep = next;
            return true;
        }
        self.often = often;
        let every = if often {
            SweepSettings::default().every
        } else {
            DAY.unsigned_abs()
        };
        let change = move |update: &mut ScheduleUpdate| {
            let interval = ScheduleIntervalSpec::new(every, None);
            update.set_spec(ScheduleSpec::builder().intervals(vec![interval]).build());
        };
        handle.update(change, Default::default()).await.unwrap();
        // When it comes next is to be asked.
        self.sweep = now;
        false
    }

    fn look(&mut self, run: Uuid, looks: u64, now: OffsetDateTime) {
        let noted = self.looks.entry(run).or_default();
        if usize::try_from(looks).unwrap() == noted.len() + 1 {
            noted.push(now);
        }
    }

    async fn pass(&mut self) {
        loop {
            let deadline = Instant::now() + DEADLINE;
            while !self.is_quiet().await {
                assert!(
                    Instant::now() < deadline,
                    "something goes on for ever at {}",
                    self.now()
                );
                tokio::time::sleep(Duration::from_millis(8)).await;
            }
            let looks = self.open.values().filter_map(|open| open.next);
            let next = looks
                .chain(self.plans.iter().map(|plan| plan.next))
                .min()
                .unwrap()
                .min(self.sweep);
            if self.open.is_empty() && self.now() >= END {
                return;
            }
            let next = if self.open.is_empty() { next.min(END) } else { next };
            // Nobody is told of it: the next look finds it.
            for (run, open) in self.open.iter().filter(|(_, open)| open.starts > next) {
                let since = self.now() - (open.starts - self.plans[open.plan].waits);
                self.cluster
                    .saturate(&JobName::of(*run, 0, 1), "no node is free", since.unsigned_abs());
            }
            for (run, _) in self.open.iter().filter(|(_, open)| open.starts <= next) {
                self.cluster.set(&JobName::of(*run, 0, 1), Phase::Running);
            }
            for (run, _) in self.open.iter().filter(|(_, open)| open.over <= next) {
                self.cluster.set(&JobName::of(*run, 0, 1), Phase::Succeeded);
            }
            self.clock.advance(Duration::try_from(next - self.now()).unwrap());
        }
    }

    /// When a crawler's runs were due, in order, with whether each was completed; those that were not have failed.
    async fn became(&self, plan: usize) -> Vec<(OffsetDateTime, bool)> {
        let runs = self.runs_of(plan).await;
        let mut became: Vec<_> = runs
            .iter()
            .map(|run| {
                assert!(run.status.is_final(), "{run:?}");
                let due = self.due[&run.id];
                assert!(
                    run.created_at == due || self.plans[plan].patient && run.created_at > due,
                    "{run:?}"
                );
                // It was polled until its job was found at work, and then no more.
                let starts = run.created_at + self.plans[plan].waits;
                let times = (1..).map(|time| run.created_at + POLL * time);
                let mut polls: Vec<_> = times.clone().take_while(|time| *time < starts).collect();
                polls.extend(times.clone().nth(polls.len()));
                assert_eq!(self.cluster.polls(&JobName::of(run.id, 0, 1)), polls, "{run:?}");
                assert_eq!(run.started_at.as_ref(), polls.last(), "{run:?}");
                (due, run.status == RunStatus::Completed)
            })
            .collect();
        became.sort();
        became
    }

    /// Holds each completed run's looks against the intervals; how often each interval was kept, by minutes.
    async fn intervals(&self) -> BTreeMap<i64, usize> {
        let mut kept = BTreeMap::new();
        for plan in 0..self.plans.len() {
            for run in self.runs_of(plan).await {
                let looks = &self.looks[&run.id];
                if run.status != RunStatus::Completed {
                    continue;
                }
                assert_eq!(looks.len() as u64, run.reconciled, "{run:?}");
                for pair in looks.windows(2) {
                    let every = match (pair[0] - looks[0]).whole_minutes() {
                        ..5 => 1,
                        5..15 => 2,
                        15..30 => 3,
                        30..60 => 5,
                        60..180 => 8,
                        180.. => 15,
                    };
                    assert_eq!(pair[1] - pair[0], time::Duration::minutes(every), "{run:?}");
                    *kept.entry(every).or_default() += 1;
                }
            }
        }
        kept
    }

    async fn end(self) {
        self.platform.stop().await.unwrap();
        self.stop.cancel();
        self.engine.shutdown().await;
    }
}

fn time_of(nanos: Nanos) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(nanos.into()).unwrap()
}

/// Each day of the thirty at this time of UTC.
fn daily(hour: i64, minute: i64) -> Vec<OffsetDateTime> {
    let first = BEGIN + time::Duration::hours(hour) + time::Duration::minutes(minute);
    (0..DAYS).map(|day| first + time::Duration::days(day)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_days_pass() {
    let mut month = Month::begin().await;
    let cron = |cron: &str, zone: &str| json!({ "cron": cron, "timeZone": zone, "overlap": "skip" });
    let five_days = json!({ "everySeconds": 5 * 24 * 3600, "overlap": "skip" });
    let five_days = month.schedule(0, five_days).await;
    let berlin = month.schedule(0, cron("30 2 * * *", "Europe/Berlin")).await;
    let sydney = month.schedule(0, cron("30 2 * * 0", "Australia/Sydney")).await;
    let long = month.schedule(220, cron("0 12 20 3 *", "UTC")).await;
    // For longer than it is to wait: a quarter of a minute more than five.
    let waiting = month.schedule(7, cron("0 6 20 3 *", "UTC")).await;
    month.plans[waiting].waits = time::Duration::seconds(315);
    let mut crowded = Vec::new();
    for (policy, completed) in [
        // Each takes two minutes, and is looked at some seconds later.
        ("skip", &[(0, true)][..]),
        ("buffer_one", &[(0, true), (1, true)]),
        ("buffer_all", &[(0, true), (1, true), (2, true)]),
        ("allow_all", &[(0, true), (1, true), (2, true)]),
        ("cancel_other", &[(0, false), (1, false), (2, true)]),
        ("terminate_other", &[(0, false), (1, false), (2, true)]),
    ] {
        let minutes = DUES.map(|minute| minute.to_string()).join(",");
        let mut schedule = cron(&format!("{minutes} 3 16 3 *"), "UTC");
        schedule["overlap"] = json!(policy);
        crowded.push((policy, completed, month.schedule(2, schedule).await));
    }
    month.pass().await;

    let all = |dues: Vec<OffsetDateTime>| dues.into_iter().map(|due| (due, true)).collect::<Vec<_>>();
    // Intervals are counted from 1970.
    let first = BEGIN + time::Duration::days(5 - (BEGIN.unix_timestamp() / 86_400) % 5);
    let every = (0..6).map(|time| first + time::Duration::days(5 * time));
    assert_eq!(month.became(five_days).await, all(every.collect()));
    // Half past two is skipped in the night to 29 March, when clocks are put forward,
    let (winter, summer) = (daily(1, 30), daily(0, 30));
    let expected = [&winter[..14], &summer[15..]].concat();
    assert_eq!(expected.len(), 29);
    assert_eq!(month.became(berlin).await, all(expected));
    // and comes twice where they are put back on Sunday, 5 April, which begins on the 4th by UTC.
    let expected = vec![
        datetime!(2026-03-21 15:30 UTC),
        datetime!(2026-03-28 15:30 UTC),
        datetime!(2026-04-04 15:30 UTC),
        datetime!(2026-04-04 16:30 UTC),
        datetime!(2026-04-11 16:30 UTC),
    ];
    assert_eq!(month.became(sydney).await, all(expected));
    assert_eq!(
        month.became(long).await,
        all(vec![datetime!(2026-03-20 12:00 UTC)])
    );
    let due = datetime!(2026-03-20 6:00 UTC);
    assert_eq!(month.became(waiting).await, all(vec![due]));
    let waited = &month.runs_of(waiting).await[0];
    assert_eq!(month.cluster.polls(&JobName::of(waited.id, 0, 1)).len(), 53);
    assert_eq!(waited.saturated_at, Some(due + time::Duration::minutes(5)));
    for (policy, completed, plan) in crowded {
        let at = |(minute, completed): &(i64, bool)| (CROWDED + time::Duration::minutes(*minute), *completed);
        let expected: Vec<_> = completed.iter().map(at).collect();
        assert_eq!(month.became(plan).await, expected, "{policy}");
    }

    let kept = month.intervals().await;
    assert_eq!(
        kept.keys().copied().collect::<Vec<_>>(),
        [1, 2, 3, 5, 8, 15],
        "{kept:?}"
    );
    let often = SweepSettings::default().every;
    let mut sweeps: Vec<_> = (1..=DAYS)
        .map(|day| BEGIN + DAY * i32::try_from(day).unwrap())
        .collect();
    let first = datetime!(2026-03-20 12:05 UTC);
    sweeps.extend((0..24).map(|time| first + often * time));
    sweeps.sort_unstable();
    assert_eq!(month.cluster.sweeps(), sweeps);
    // Each run had one job, which has ended; the sweeper has left those of the last day alone.
    let made = month.cluster.made();
    let once: BTreeSet<_> = made.iter().collect();
    assert_eq!(once.len(), made.len());
    let left = month.cluster.jobs();
    let late = |job: &JobState| job.ended_at.is_some_and(|at| at > END - time::Duration::days(2));
    assert!(left.iter().all(late), "{left:?}");
    month.end().await;
}
