//! Handlers in Rust: consumers and workflows that a program registers, routed by name.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use segno::{Builder, Consumer, ConsumerError, Event, Segno};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ApplicationFailure, WorkflowContext, WorkflowResult};

use crate::support::{App, TestEngine, only_execution, order};

on_every_engine!(
    consumer,
    consumer_of_a_large_event,
    consumer_fails_for_good,
    workflow_by_name,
    not_registered
);

const CONSUMER: &str = r#"
    [[routes]]
    name = "consumed"
    on = "order.*"
    consumer = "ledger"
    retry = { initial = "20ms" }
    "#;

/// Keeps what it gets; fails as often as it is told first.
#[derive(Clone, Default)]
struct Ledger {
    events: Arc<Mutex<Vec<Event>>>,
    failures: Arc<AtomicU32>,
}

impl Consumer for Ledger {
    async fn process(&self, event: &Event) -> Result<(), ConsumerError> {
        if event.id == "poison" {
            return Err(ConsumerError::permanent("no ledger takes this"));
        }
        let left = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left.is_ok() {
            return Err(ConsumerError::retryable("the ledger is busy").after(Duration::from_millis(50)));
        }
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }
}

async fn consumer(engine: TestEngine) {
    let ledger = Ledger::default();
    ledger.failures.store(2, Ordering::SeqCst);
    let app = App::start_with(&engine, CONSUMER, |builder| {
        builder.consumer("ledger", ledger.clone())
    })
    .await;
    let accepted = app.accept(&order("1", 5)).await;
    let execution = app.closed(only_execution(&accepted)).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(execution["actions"][0]["type"], "consume");
    assert_eq!(execution["actions"][0]["attempts"], 3);
    let events = ledger.events.lock().unwrap().clone();
    assert_eq!(events.len(), 1);
    assert_eq!(serde_json::to_value(&events[0]).unwrap(), order("1", 5));
    app.stop().await;
}

async fn consumer_of_a_large_event(engine: TestEngine) {
    let ledger = Ledger::default();
    let app = App::start_with(&engine, CONSUMER, |builder| {
        builder.consumer("ledger", ledger.clone())
    })
    .await;
    let mut event = order("1", 5);
    event["data"]["note"] = "x".repeat(900_000).into();
    let execution = app.closed(only_execution(&app.accept(&event).await)).await;
    assert_eq!(execution["status"], "Completed", "{:#}", execution["failure"]);
    let events = ledger.events.lock().unwrap().clone();
    assert_eq!(serde_json::to_value(&events[0]).unwrap(), event);
    app.stop().await;
}

async fn consumer_fails_for_good(engine: TestEngine) {
    let app = App::start_with(&engine, CONSUMER, |builder| {
        builder.consumer("ledger", Ledger::default())
    })
    .await;
    let execution = app
        .closed(only_execution(&app.accept(&order("poison", 5)).await))
        .await;
    assert_eq!(execution["status"], "Failed", "{execution:#}");
    let message = execution["failure"]["message"].as_str().unwrap();
    assert_eq!(message, "1 of 1 actions failed: ledger: no ledger takes this");
    assert_eq!(execution["actions"][0]["attempts"], 1);
    app.stop().await;
}

/// Takes the event as its input, and a little time.
#[workflow]
#[derive(Default)]
struct Fulfil;

#[workflow_methods]
impl Fulfil {
    #[run(name = "Fulfil")]
    async fn run(ctx: &mut WorkflowContext<Self>, event: Event) -> WorkflowResult<String> {
        ctx.timer(Duration::from_millis(100)).await;
        match event.subject {
            Some(subject) => Ok(format!("{} for {subject}", event.id)),
            None => Err(ApplicationFailure::non_retryable("nobody to fulfil for").into()),
        }
    }
}

/// A program with the workflow `Fulfil`, which waits a moment.
pub(crate) fn with_fulfil(builder: Builder) -> Builder {
    builder.workflow::<Fulfil>()
}

const WORKFLOW: &str = r#"
    [[routes]]
    name = "fulfilment"
    on = "order.placed"
    workflow = "Fulfil"
    "#;

async fn workflow_by_name(engine: TestEngine) {
    let app = App::start_with(&engine, WORKFLOW, |builder| builder.workflow::<Fulfil>()).await;
    let accepted = app.accept(&order("1", 5)).await;
    let id = only_execution(&accepted);
    assert_eq!(id, "fulfilment//shop/1");
    let execution = app.closed(id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(execution["type"], "Fulfil");
    assert_eq!(execution["route"], "fulfilment");
    assert_eq!(execution["input"], order("1", 5), "the event itself");
    assert_eq!(execution["result"], "1 for customer-7");
    assert_eq!(app.accept(&order("1", 5)).await["duplicate"], true);
    app.stop().await;
}

async fn not_registered(engine: TestEngine) {
    for (config, name) in [(CONSUMER, "ledger"), (WORKFLOW, "Fulfil")] {
        let config = engine.parse(config);
        let error = Segno::builder()
            .config(config)
            .start()
            .await
            .err()
            .expect("it cannot start")
            .to_string();
        assert!(error.contains(name), "{error}");
        assert!(error.contains("route"), "{error}");
    }
}
