//! The metrics by name: all there are, in one table.
//!
//! `prometheus` keeps them: the SDK brings it along anyway, and of the crates that can do this it adds nothing to the
//! program.

use std::sync::LazyLock;

use prometheus::{
    CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, core::Collector,
};

/// Upper bounds of the buckets of all histograms, in seconds: from a delivery on the same machine to one that waited for an
/// hour and for a day.
const BUCKETS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0,
    86_400.0,
];

/// The labels of a metric that has none.
pub(super) const NONE: [&str; 0] = [];

/// A metric as people are told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    /// As Prometheus calls it.
    pub(crate) kind: &'static str,
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "for the test that compares them with the list for people"
        )
    )]
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

macro_rules! type_of {
    (counter) => {
        IntCounterVec
    };
    (seconds) => {
        CounterVec
    };
    (gauge) => {
        GaugeVec
    };
    (histogram) => {
        HistogramVec
    };
}

macro_rules! kind_of {
    (counter) => {
        "counter"
    };
    (seconds) => {
        "counter"
    };
    (gauge) => {
        "gauge"
    };
    (histogram) => {
        "histogram"
    };
}

macro_rules! made {
    (counter, $name:literal, $help:literal, $labels:expr) => {
        IntCounterVec::new(Opts::new($name, $help), $labels)
    };
    (seconds, $name:literal, $help:literal, $labels:expr) => {
        CounterVec::new(Opts::new($name, $help), $labels)
    };
    (gauge, $name:literal, $help:literal, $labels:expr) => {
        GaugeVec::new(Opts::new($name, $help), $labels)
    };
    (histogram, $name:literal, $help:literal, $labels:expr) => {
        HistogramVec::new(
            HistogramOpts::new($name, $help).buckets(BUCKETS.to_vec()),
            $labels,
        )
    };
}

macro_rules! metrics {
    ($($field:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        /// All metrics.
        // The list of names is the same for every build, also one without what some of them count.
        #[cfg_attr(not(all(feature = "embedded", feature = "outbox")), allow(dead_code))]
        pub(crate) struct Metrics {
            registry: Registry,
            $(pub(crate) $field: type_of!($kind),)+
        }

        /// The same for people, in the order of this table.
        pub(crate) const DEFINITIONS: &[Definition] = &[
            $(Definition { name: $name, kind: kind_of!($kind), labels: &[$($label),*], help: $help },)+
        ];

        impl Metrics {
            fn new() -> Result<Self, prometheus::Error> {
                let registry = Registry::new();
                $(let $field = registered(&registry, made!($kind, $name, $help, &[$($label),*])?)?;)+
                Ok(Self { registry, $($field,)+ })
            }
        }
    };
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

metrics! {
    build_info: gauge "segno_build_info" ["version", "engine"]
        "Always 1; says which version runs, on the embedded engine or a cluster.";

    events: counter "segno_events_total" ["kind", "source", "outcome"]
        "Events that were handed in, by where they came from and what became of them.";
    intake_seconds: histogram "segno_intake_duration_seconds" ["kind"]
        "Time from events being handed in to all of their executions being on disk.";
    route_matches: counter "segno_route_matches_total" ["route"]
        "Events that a route took.";
    executions_started: counter "segno_executions_started_total" ["route", "outcome"]
        "Executions that were to be started: those that were, and those that were there already.";
    executions_closed: counter "segno_executions_closed_total" ["route", "outcome"]
        "Executions of events that came to their end, by how.";
    executions_running: gauge "segno_executions_running" ["route"]
        "Executions of events that run or wait.";
    dead_letters_total: counter "segno_dead_letters_total" ["route"]
        "Executions that failed for good.";
    dead_letters: gauge "segno_failed_executions" ["route"]
        "Runs on record that failed for good, dealt with or not.";

    open_letters: gauge "segno_dead_letters" []
        "Dead letters that nobody has dealt with, among the 200 runs that failed last.";

    actions: counter "segno_action_attempts_total" ["route", "sink", "outcome"]
        "Attempts of actions, by what became of them.";
    deliveries: counter "segno_deliveries_total" ["sink", "outcome"]
        "Payloads handed to a sink, by whether it took them.";
    delivery_seconds: histogram "segno_delivery_duration_seconds" ["sink"]
        "Time that a sink had one payload in hand, its limits included.";
    accepted_to_delivered: histogram "segno_accepted_to_delivered_seconds" ["route"]
        "Time from an execution's start to each of its payloads being taken by its sink.";
    consumed: counter "segno_consumer_attempts_total" ["consumer", "outcome"]
        "Attempts of consumers, by what became of them.";
    alerts: counter "segno_alert_attempts_total" ["sink", "outcome"]
        "Attempts to tell a sink of a dead letter.";
    breaker_open: gauge "segno_sink_breaker_open" ["sink"]
        "1 while the sink's circuit breaker leaves its target alone.";
    paused: gauge "segno_paused" ["kind", "name"]
        "1 while somebody holds up the route or sink.";

    flows: gauge "segno_flows_running" ["route"]
        "Flows at work: one for each key that has anything waiting or running.";
    flows_full: gauge "segno_flows_full" []
        "Flows in which so much waits that intake refuses more.";
    keys_parked: gauge "segno_flows_with_parked_keys" ["route"]
        "Flows in which a key waits behind an event that failed for good.";
    executions_held: gauge "segno_executions_held" ["kind", "name"]
        "Executions that wait for the end of a pause.";
    backlog: gauge "segno_task_queue_backlog" ["type"]
        "Tasks that wait for a worker, as the engine estimates them.";
    backlog_age: gauge "segno_task_queue_backlog_age_seconds" ["type"]
        "How long the oldest of them has waited.";

    source_up: gauge "segno_source_up" ["source"]
        "1 while the source runs, 0 while it waits to be run again.";
    source_failures: counter "segno_source_failures_total" ["source"]
        "How often a source could not go on and was run again.";
    source_rejected: counter "segno_source_rejected_messages_total" ["source"]
        "Messages of a source that were no events, or events that were refused for good.";
    source_lag: gauge "segno_source_lag_messages" ["source"]
        "Messages that wait at the broker, where it says how many.";

    outbox_rows: gauge "segno_outbox_rows" ["outbox", "state"]
        "Rows that are not published, by how they stand.";
    outbox_lag: gauge "segno_outbox_lag_seconds" ["outbox"]
        "Age of the oldest row that waits.";
    outbox_up: gauge "segno_outbox_up" ["outbox"]
        "1 if the outbox's database answered when it was last asked.";
    outbox_work: counter "segno_outbox_rows_total" ["outbox", "outcome"]
        "Rows that the relay has worked on, by what became of them.";

    timer_lateness: histogram "segno_timer_lateness_seconds" []
        "Time from a timer's deadline to its first call.";

    http_requests: counter "segno_http_requests_total" ["method", "route", "status"]
        "Requests served, by the route's pattern.";
    http_seconds: histogram "segno_http_request_duration_seconds" ["method", "route"]
        "Time to the answer's head.";
    http_in_flight: gauge "segno_http_requests_in_flight" []
        "Requests that are being served.";

    ready: gauge "segno_ready" []
        "1 while the process takes work, as at /readyz.";
    sampled: gauge "segno_metrics_sample_success" []
        "1 if all that is looked at for the metrics could be looked at in time.";

    reloads: counter "segno_config_reloads_total" ["outcome"]
        "How often the configuration was to be taken on again, by whether it was.";
    reload_success: gauge "segno_config_last_reload_success" []
        "1 if the last time it was, or there was none.";
    reload_time: gauge "segno_config_last_reload_success_timestamp_seconds" []
        "When it last was, or the process started, in seconds since 1970.";

    engine_file: gauge "segno_engine_file_bytes" ["file"]
        "Size of the embedded engine's file and of its log.";

    engine_requests: counter "segno_engine_requests_total" []
        "Requests that the embedded engine has applied.";
    engine_batches: counter "segno_engine_batches_total" ["outcome"]
        "Batches of changes that the embedded engine was to put on disk, by whether it could.";
    engine_write_seconds: seconds "segno_engine_write_seconds_total" []
        "Time that these batches took to get there, one after the other.";
    engine_in_memory: gauge "segno_engine_executions_in_memory" []
        "Executions that the embedded engine has in memory.";
    engine_waiting: gauge "segno_engine_waiting_for_time" []
        "Executions and schedules that wait for a time.";
    engine_journal: gauge "segno_engine_journal_bytes" []
        "Changes that are on disk in the engine's journal and not yet in its tables.";

    process_cpu: seconds "process_cpu_seconds_total" []
        "Processor time of the process.";
    process_memory: gauge "process_resident_memory_bytes" []
        "Memory of the process that is in use.";
    process_files: gauge "process_open_fds" []
        "File descriptors that are open.";
    process_most_files: gauge "process_max_fds" []
        "File descriptors that may be open.";
    process_threads: gauge "process_threads" []
        "Threads.";
    process_started: gauge "process_start_time_seconds" []
        "When the process started, in seconds since 1970.";
}

impl Metrics {
    /// The process's.
    pub(crate) fn global() -> &'static Self {
        static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
            #[expect(
                clippy::expect_used,
                reason = "the table is a constant, and a test makes all of it"
            )]
            Metrics::new().expect("a table of metrics without two of one name")
        });
        &METRICS
    }

    pub(super) fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.registry.gather()
    }
}
