//! What happens, one struct each.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry::{KeyValue, trace::SpanKind};
use segno_event::Event;
use tokio::time::Instant;

use super::{
    Metrics, Observation, TraceContext,
    spans::{Span, attribute},
};
use crate::reload::{self, Reloaded};

const NONE: [&str; 0] = [];

/// Where events come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `http`, `source`, `outbox`, `schedule`, `program` or `segno`.
    pub(crate) kind: &'static str,
    /// The source's or outbox's name; empty where there is none.
    pub(crate) source: Arc<str>,
}

impl Entry {
    pub(crate) fn of(kind: &'static str, source: &str) -> Self {
        Self {
            kind,
            source: source.into(),
        }
    }
}

/// What became of an event that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TakenIn {
    /// Something was started for it.
    Accepted,
    /// It was there already.
    Duplicate,
    /// No route took it.
    Unrouted,
    /// It will never be taken.
    Refused,
    /// It is not taken now.
    NotNow,
}

impl TakenIn {
    fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Unrouted => "unrouted",
            Self::Refused => "refused",
            Self::NotNow => "unavailable",
        }
    }
}

/// Events were handed in.
pub(crate) struct EventsTaken<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) outcome: TakenIn,
    pub(crate) count: u64,
}

impl Observation for EventsTaken<'_> {
    fn count(&self, metrics: &Metrics) {
        let Entry { kind, source } = self.entry;
        let labels = [*kind, source, self.outcome.label()];
        metrics.events.with_label_values(&labels).inc_by(self.count);
    }
}

/// An event was handed in: the span of it.
pub(crate) struct EventReceived<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) event: &'a Event,
    pub(crate) outcome: TakenIn,
    pub(crate) began: SystemTime,
    pub(crate) ended: SystemTime,
}

impl Observation for EventReceived<'_> {
    fn count(&self, _: &Metrics) {}

    fn span(&self) -> Option<Span> {
        let context = TraceContext::of(self.event);
        let id = intake_span(&context, self.event);
        let mut attributes = of_event(self.event);
        attributes.push(attribute("segno.entry", self.entry.kind));
        if !self.entry.source.is_empty() {
            attributes.push(attribute("segno.source", self.entry.source.to_string()));
        }
        attributes.push(attribute("segno.outcome", self.outcome.label()));
        let failed = matches!(self.outcome, TakenIn::Refused | TakenIn::NotNow);
        Some(Span {
            context,
            id,
            name: "segno intake",
            kind: if self.entry.kind == "http" {
                SpanKind::Server
            } else {
                SpanKind::Consumer
            },
            start: self.began,
            end: self.ended,
            failed: failed.then(|| self.outcome.label().to_owned()),
            attributes,
        })
    }
}

/// The span of an event's being taken in: the same one whenever it comes.
fn intake_span(context: &TraceContext, event: &Event) -> [u8; 8] {
    context.span(&["intake", &event.source, &event.id])
}

/// As OpenTelemetry names what identifies an event.
fn of_event(event: &Event) -> Vec<KeyValue> {
    vec![
        attribute("cloudevents.event_id", event.id.clone()),
        attribute("cloudevents.event_source", event.source.clone()),
        attribute("cloudevents.event_type", event.ty.clone()),
    ]
}

/// An execution in its event's trace.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    /// The trace, after the event's being taken in.
    context: TraceContext,
    workflow_id: String,
    run_id: String,
    attributes: Vec<KeyValue>,
}

impl Traced {
    pub(crate) fn new(event: &Event, workflow_id: &str, run_id: &str) -> Self {
        let context = TraceContext::of(event);
        let intake = intake_span(&context, event);
        Self {
            context: context.after(intake),
            workflow_id: workflow_id.to_owned(),
            run_id: run_id.to_owned(),
            attributes: of_event(event),
        }
    }

    fn id(&self) -> [u8; 8] {
        self.context.span(&["execution", &self.workflow_id, &self.run_id])
    }

    fn action_id(&self, action: &str) -> [u8; 8] {
        self.context
            .span(&["action", &self.workflow_id, &self.run_id, action])
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = self.attributes.clone();
        attributes.push(attribute("segno.execution", self.workflow_id.clone()));
        attributes.push(attribute("segno.run", self.run_id.clone()));
        attributes
    }

    /// The trace's id.
    pub(crate) fn trace_id(&self) -> String {
        self.context.trace_id()
    }

    /// An attempt of an action, for whoever takes what it delivers.
    pub(crate) fn attempt(&self, action: &str, attempt: u32) -> TraceContext {
        self.context.after(self.attempt_id(action, attempt))
    }

    fn attempt_id(&self, action: &str, attempt: u32) -> [u8; 8] {
        let attempt = attempt.to_string();
        self.context
            .span(&["attempt", &self.workflow_id, &self.run_id, action, &attempt])
    }
}

/// An action, or a consumer, came to its end, after however many attempts.
pub(crate) struct ActionEnded<'a> {
    pub(crate) of: &'a Traced,
    pub(crate) action: &'a str,
    pub(crate) began: SystemTime,
    pub(crate) ended: SystemTime,
    pub(crate) failed: bool,
}

impl Observation for ActionEnded<'_> {
    fn count(&self, _: &Metrics) {}

    fn span(&self) -> Option<Span> {
        let mut attributes = self.of.attributes();
        attributes.push(attribute("segno.action", self.action.to_owned()));
        Some(Span {
            context: self.of.context.after(self.of.id()),
            id: self.of.action_id(self.action),
            name: "segno action",
            kind: SpanKind::Internal,
            start: self.began,
            end: self.ended,
            failed: self.failed.then(|| "it failed for good".to_owned()),
            attributes,
        })
    }
}

/// The intake answered.
pub(crate) struct IntakeTook<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) time: Duration,
}

impl Observation for IntakeTook<'_> {
    fn count(&self, metrics: &Metrics) {
        let histogram = metrics.intake_seconds.with_label_values(&[self.entry.kind]);
        histogram.observe(self.time.as_secs_f64());
    }
}

/// An execution of an event on a route is there.
pub(crate) struct ExecutionStarted<'a> {
    pub(crate) route: &'a str,
    /// It was there already.
    pub(crate) duplicate: bool,
}

impl Observation for ExecutionStarted<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics.route_matches.with_label_values(&[self.route]).inc();
        let outcome = if self.duplicate { "duplicate" } else { "started" };
        metrics
            .executions_started
            .with_label_values(&[self.route, outcome])
            .inc();
    }
}

/// How an event's execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// All that was planned is done.
    Done,
    /// Something failed for good: a dead letter.
    Failed,
    /// A later event ran in its place.
    Superseded,
    /// It ran as part of a batch.
    Batched,
    /// It was cancelled.
    Cancelled,
    /// Somebody decided about its dead letter, and nothing was run.
    Settled,
}

impl Closed {
    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Batched => "batched",
            Self::Cancelled => "cancelled",
            Self::Settled => "settled",
        }
    }
}

/// An event's execution ended.
pub(crate) struct ExecutionClosed<'a> {
    pub(crate) route: &'a str,
    pub(crate) how: Closed,
    /// Its place in the trace, and its times by the engine's clock, where these are known.
    pub(crate) traced: Option<(&'a Traced, SystemTime, SystemTime)>,
}

impl Observation for ExecutionClosed<'_> {
    fn count(&self, metrics: &Metrics) {
        let outcome = self.how.label();
        metrics
            .executions_closed
            .with_label_values(&[self.route, outcome])
            .inc();
        if self.how == Closed::Failed {
            metrics.dead_letters_total.with_label_values(&[self.route]).inc();
        }
    }

    fn span(&self) -> Option<Span> {
        let (traced, start, end) = self.traced?;
        let mut attributes = traced.attributes();
        attributes.push(attribute("segno.route", self.route.to_owned()));
        attributes.push(attribute("segno.outcome", self.how.label()));
        Some(Span {
            context: traced.context.clone(),
            id: traced.id(),
            name: "segno execution",
            kind: SpanKind::Internal,
            start,
            end,
            failed: (self.how == Closed::Failed).then(|| "a dead letter".to_owned()),
            attributes,
        })
    }
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempted {
    /// It did what it was to do.
    Ok,
    /// There was nothing to do for this event.
    Skipped,
    /// Another attempt may succeed.
    Retryable,
    /// No attempt will.
    Permanent,
}

impl Attempted {
    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Retryable => "retryable",
            Self::Permanent => "permanent",
        }
    }

    /// Of one that failed.
    pub(crate) fn failed(stays: bool) -> Self {
        if stays { Self::Permanent } else { Self::Retryable }
    }
}

/// Which attempt of which action of which execution: what the log names.
#[derive(Clone, Debug)]
pub(crate) struct ActionRef {
    pub(crate) execution: String,
    pub(crate) route: String,
    /// The event's id.
    pub(crate) event: String,
    /// The event's trace.
    pub(crate) trace: String,
    /// Its execution's place in it.
    pub(crate) traced: Traced,
    /// When it began, by the engine's clock and by this process's.
    pub(crate) started: Option<SystemTime>,
    pub(crate) began: Instant,
    pub(crate) action: String,
    pub(crate) sink: String,
    /// From 1.
    pub(crate) attempt: u32,
}

/// An attempt of an action begins.
pub(crate) struct ActionBegun<'a> {
    pub(crate) action: &'a ActionRef,
    pub(crate) category: Option<&'a str>,
    pub(crate) entity: Option<&'a str>,
}

impl Observation for ActionBegun<'_> {
    fn count(&self, _: &Metrics) {}

    fn log(&self) {
        let at = self.action;
        tracing::info!(
            execution = at.execution,
            route = at.route,
            event = at.event,
            trace_id = at.trace,
            action = at.action,
            sink = at.sink,
            attempt = at.attempt,
            category = self.category,
            entity = self.entity,
            "action begins"
        );
    }
}

/// The event was made into payloads.
pub(crate) struct ActionTransformed<'a> {
    pub(crate) action: &'a ActionRef,
    pub(crate) payloads: u64,
}

impl Observation for ActionTransformed<'_> {
    fn count(&self, _: &Metrics) {}

    fn log(&self) {
        let at = self.action;
        tracing::info!(
            execution = at.execution,
            event = at.event,
            trace_id = at.trace,
            action = at.action,
            payloads = self.payloads,
            "action transformed the event"
        );
    }
}

/// A sink had a payload in hand.
pub(crate) struct PayloadDelivered<'a> {
    pub(crate) action: &'a ActionRef,
    /// Its number among those of the action, from 0.
    pub(crate) payload: usize,
    pub(crate) outcome: Attempted,
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
    /// Since the execution began, where that is known.
    pub(crate) since_accepted: Option<Duration>,
}

impl Observation for PayloadDelivered<'_> {
    fn count(&self, metrics: &Metrics) {
        let ActionRef { sink, route, .. } = self.action;
        metrics
            .deliveries
            .with_label_values(&[sink.as_str(), self.outcome.label()])
            .inc();
        metrics
            .delivery_seconds
            .with_label_values(&[sink])
            .observe(self.took.as_secs_f64());
        if let (Attempted::Ok, Some(since)) = (self.outcome, self.since_accepted) {
            metrics
                .accepted_to_delivered
                .with_label_values(&[route])
                .observe(since.as_secs_f64());
        }
    }

    fn log(&self) {
        let at = self.action;
        // That it failed is told by the attempt, with the reason.
        if self.outcome == Attempted::Ok {
            tracing::info!(
                execution = at.execution,
                route = at.route,
                event = at.event,
                trace_id = at.trace,
                action = at.action,
                sink = at.sink,
                attempt = at.attempt,
                payload = self.payload,
                status = self.status,
                "action delivered a payload"
            );
        }
    }
}

/// An attempt of an action ended without a failure.
pub(crate) struct ActionDone<'a> {
    pub(crate) action: &'a ActionRef,
    /// How many payloads there were; or why it was skipped.
    pub(crate) how: Result<u64, &'a str>,
}

impl Observation for ActionDone<'_> {
    fn count(&self, metrics: &Metrics) {
        let outcome = if self.how.is_ok() {
            Attempted::Ok
        } else {
            Attempted::Skipped
        };
        count_action(self.action, outcome, metrics);
    }

    fn span(&self) -> Option<Span> {
        let outcome = if self.how.is_ok() {
            Attempted::Ok
        } else {
            Attempted::Skipped
        };
        self.action.span(outcome, None)
    }

    fn log(&self) {
        let at = self.action;
        match self.how {
            Ok(payloads) => tracing::info!(
                execution = at.execution,
                route = at.route,
                event = at.event,
                trace_id = at.trace,
                action = at.action,
                attempt = at.attempt,
                payloads,
                "action done"
            ),
            Err(reason) => tracing::info!(
                execution = at.execution,
                route = at.route,
                event = at.event,
                trace_id = at.trace,
                action = at.action,
                reason,
                "action skipped"
            ),
        }
    }
}

/// An attempt of an action failed.
pub(crate) struct ActionFailed<'a> {
    pub(crate) action: &'a ActionRef,
    pub(crate) reason: &'a str,
    /// No other attempt will be made.
    pub(crate) stays: bool,
}

impl Observation for ActionFailed<'_> {
    fn count(&self, metrics: &Metrics) {
        count_action(self.action, Attempted::failed(self.stays), metrics);
    }

    fn span(&self) -> Option<Span> {
        self.action.span(Attempted::failed(self.stays), Some(self.reason))
    }

    fn log(&self) {
        let at = self.action;
        tracing::warn!(
            execution = at.execution,
            route = at.route,
            event = at.event,
            trace_id = at.trace,
            action = at.action,
            sink = at.sink,
            attempt = at.attempt,
            reason = self.reason,
            stays = self.stays,
            "action's attempt failed"
        );
    }
}

impl ActionRef {
    fn span(&self, outcome: Attempted, failed: Option<&str>) -> Option<Span> {
        let start = self.started?;
        let mut attributes = self.traced.attributes();
        attributes.push(attribute("segno.route", self.route.clone()));
        attributes.push(attribute("segno.action", self.action.clone()));
        attributes.push(attribute("segno.sink", self.sink.clone()));
        attributes.push(attribute("segno.attempt", i64::from(self.attempt)));
        attributes.push(attribute("segno.outcome", outcome.label()));
        Some(Span {
            context: self.traced.context.after(self.traced.action_id(&self.action)),
            id: self.traced.attempt_id(&self.action, self.attempt),
            name: "segno attempt",
            kind: SpanKind::Producer,
            start,
            end: start + self.began.elapsed(),
            failed: failed.map(str::to_owned),
            attributes,
        })
    }
}

fn count_action(action: &ActionRef, outcome: Attempted, metrics: &Metrics) {
    metrics
        .actions
        .with_label_values(&[action.route.as_str(), &action.sink, outcome.label()])
        .inc();
}

/// A consumer made an attempt.
pub(crate) struct ConsumerAttempted<'a> {
    pub(crate) consumer: &'a str,
    pub(crate) outcome: Attempted,
}

impl Observation for ConsumerAttempted<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics
            .consumed
            .with_label_values(&[self.consumer, self.outcome.label()])
            .inc();
    }
}

/// A sink was to be told of a dead letter.
pub(crate) struct AlertAttempted<'a> {
    pub(crate) sink: &'a str,
    pub(crate) outcome: Attempted,
}

impl Observation for AlertAttempted<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics
            .alerts
            .with_label_values(&[self.sink, self.outcome.label()])
            .inc();
    }
}

/// A source runs.
pub(crate) struct SourceStarted<'a> {
    pub(crate) source: &'a str,
}

impl Observation for SourceStarted<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics.source_up.with_label_values(&[self.source]).set(1.0);
        // So that it is there before anything is wrong.
        metrics
            .source_failures
            .with_label_values(&[self.source])
            .inc_by(0);
        metrics
            .source_rejected
            .with_label_values(&[self.source])
            .inc_by(0);
    }

    fn log(&self) {
        tracing::info!(source = self.source, "a source starts");
    }
}

/// A source cannot go on.
pub(crate) struct SourceFailed<'a> {
    pub(crate) source: &'a str,
    pub(crate) error: &'a str,
    pub(crate) again_in: Duration,
}

impl Observation for SourceFailed<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics.source_up.with_label_values(&[self.source]).set(0.0);
        metrics.source_failures.with_label_values(&[self.source]).inc();
    }

    fn log(&self) {
        tracing::warn!(source = self.source, error = self.error, again_in = ?self.again_in, "a source does not go on");
    }
}

/// A source was told to stop, and has.
pub(crate) struct SourceEnded<'a> {
    pub(crate) source: &'a str,
}

impl Observation for SourceEnded<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics.source_up.with_label_values(&[self.source]).set(0.0);
    }

    fn log(&self) {
        tracing::info!(source = self.source, "a source has ended");
    }
}

/// Messages of a source were rejected.
pub(crate) struct MessagesRejected<'a> {
    pub(crate) source: &'a str,
    pub(crate) count: u64,
}

impl Observation for MessagesRejected<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics
            .source_rejected
            .with_label_values(&[self.source])
            .inc_by(self.count);
    }
}

/// A broker said how many messages of a source wait.
pub(crate) struct MessagesWaiting<'a> {
    pub(crate) source: &'a str,
    pub(crate) messages: u64,
}

impl Observation for MessagesWaiting<'_> {
    fn count(&self, metrics: &Metrics) {
        metrics
            .source_lag
            .with_label_values(&[self.source])
            .set(self.messages as f64);
    }
}

/// A timer is called for the first time.
pub(crate) struct TimerFired {
    /// So long after its deadline.
    pub(crate) late: Duration,
}

impl Observation for TimerFired {
    fn count(&self, metrics: &Metrics) {
        metrics
            .timer_lateness
            .with_label_values(&NONE)
            .observe(self.late.as_secs_f64());
    }
}

/// The configuration was to be taken on again.
pub(crate) struct ConfigReloaded<'a>(pub(crate) Result<&'a Reloaded, &'a reload::Error>);

impl Observation for ConfigReloaded<'_> {
    fn count(&self, metrics: &Metrics) {
        let outcome = if self.0.is_ok() { "ok" } else { "refused" };
        metrics.reloads.with_label_values(&[outcome]).inc();
        let success = f64::from(u8::from(self.0.is_ok()));
        metrics.reload_success.with_label_values(&NONE).set(success);
        if self.0.is_ok() {
            taken_on(metrics);
        }
    }

    fn log(&self) {
        match self.0 {
            Ok(reloaded) => {
                let Reloaded {
                    routes,
                    sinks,
                    needs_restart,
                } = reloaded;
                tracing::info!(?routes, ?sinks, "the configuration is taken on");
                if !needs_restart.is_empty() {
                    tracing::warn!(tables = ?needs_restart, "what has changed in these tables takes a restart");
                }
            }
            Err(error) => {
                let codes: Vec<_> = error.codes().iter().map(ToString::to_string).collect();
                tracing::error!(codes = codes.join(" "), %error, "the configuration is not taken on; it stays as it was");
                for mistake in error.lines() {
                    tracing::error!("{mistake}");
                }
            }
        }
    }
}

/// The process has started with its configuration.
pub(crate) struct ConfigLoaded;

impl Observation for ConfigLoaded {
    fn count(&self, metrics: &Metrics) {
        metrics.reload_success.with_label_values(&NONE).set(1.0);
        taken_on(metrics);
    }
}

fn taken_on(metrics: &Metrics) {
    let now = time::OffsetDateTime::now_utc().unix_timestamp() as f64;
    metrics.reload_time.with_label_values(&NONE).set(now);
}

/// A request was answered.
pub(crate) struct RequestServed<'a> {
    pub(crate) method: &'a str,
    /// The route's pattern; none where nothing is served.
    pub(crate) route: Option<&'a str>,
    /// The path as it came, without the query.
    pub(crate) path: &'a str,
    /// The request's id.
    pub(crate) id: &'a str,
    pub(crate) status: u16,
    pub(crate) took: Duration,
}

impl Observation for RequestServed<'_> {
    fn count(&self, metrics: &Metrics) {
        let method = match self.method {
            known @ ("GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS") => known,
            // Anybody can make one up.
            _ => "other",
        };
        let route = self.route.unwrap_or("none");
        let status = self.status.to_string();
        metrics
            .http_requests
            .with_label_values(&[method, route, &status])
            .inc();
        metrics
            .http_seconds
            .with_label_values(&[method, route])
            .observe(self.took.as_secs_f64());
    }

    fn log(&self) {
        let Self {
            method,
            path,
            id,
            status,
            ..
        } = self;
        let ms = self.took.as_secs_f64() * 1000.0;
        // What looks at the process all the time would be most of the log.
        if matches!(self.route, Some("/livez" | "/readyz" | "/metrics")) {
            tracing::debug!(target: "segno::access", method, path, id, status, ms, "request");
        } else {
            tracing::info!(target: "segno::access", method, path, id, status, ms, "request");
        }
    }
}

/// A request that is being served, until it is dropped.
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn begin() -> Self {
        Metrics::global().http_in_flight.with_label_values(&NONE).inc();
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        Metrics::global().http_in_flight.with_label_values(&NONE).dec();
    }
}
