//! A program of its own on Segno: a consumer and a workflow in Rust, routed by name in its `segno.toml`.
//!
//! ```sh
//! cargo run -p segno --example ledger -- --config crates/segno/examples/ledger/segno.toml
//! curl -i localhost:8080/events -H 'content-type: application/cloudevents+json' -d \
//!   '{"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed", "subject": "ada",
//!     "data": {"total": 250}}'
//! ```
//!
//! The event's two executions are then at <http://localhost:8080/>.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use clap::Parser;
use segno::{Consumer, ConsumerError, Data, Event, cli::RunFlags};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ApplicationFailure, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

/// Books what each customer ordered. Events come at least once, so it remembers which it has booked.
#[derive(Default)]
struct Ledger {
    /// Totals by source and id of the event. A real one is a database with these as its key.
    booked: Mutex<HashMap<(String, String), u64>>,
}

impl Consumer for Ledger {
    async fn process(&self, event: &Event) -> Result<(), ConsumerError> {
        let total = match &event.data {
            Some(Data::Json(data)) => data["total"].as_u64(),
            _ => None,
        };
        // No retry makes a total appear: the execution fails at once, and stays as a dead letter.
        let total = total.ok_or_else(|| ConsumerError::permanent("the order has no total"))?;
        let mut booked = self.booked.lock().unwrap_or_else(PoisonError::into_inner);
        booked.insert((event.source.clone(), event.id.clone()), total);
        Ok(())
    }
}

/// Packs an order and hands it to a courier. Its state survives whatever happens to the process.
#[workflow]
#[derive(Default)]
struct Fulfilment;

#[workflow_methods]
impl Fulfilment {
    #[run(name = "Fulfilment")]
    async fn run(ctx: &mut WorkflowContext<Self>, event: Event) -> WorkflowResult<String> {
        let Some(customer) = event.subject else {
            return Err(ApplicationFailure::non_retryable("the order is nobody's").into());
        };
        // Packing takes its time.
        ctx.timer(Duration::from_millis(200)).await;
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok(ctx.execute_activity(Courier::book, customer, options).await?)
    }
}

/// The courier's API.
struct Courier;

#[activities]
impl Courier {
    #[activity(name = "book_courier")]
    async fn book(_ctx: ActivityContext, customer: String) -> Result<String, ActivityError> {
        Ok(format!("parcel for {customer}"))
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    flags: RunFlags,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let builder = Cli::parse().flags.builder()?;
    builder
        .consumer("ledger", Ledger::default())
        .workflow::<Fulfilment>()
        .activities(Courier)
        .run()
        .await?;
    Ok(())
}
