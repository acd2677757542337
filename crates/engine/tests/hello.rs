//! The official SDK's worker and client, in process, on an engine.

mod common;

use std::time::Duration;

use common::TestEngine;
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, Runtime, Worker, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

#[workflow]
#[derive(Default)]
struct Hello;

#[workflow_methods]
impl Hello {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        ctx.timer(Duration::from_millis(20)).await;
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok(ctx.execute_activity(Greetings::greet, name, options).await?)
    }
}

struct Greetings;

#[activities]
impl Greetings {
    #[activity]
    async fn greet(_ctx: ActivityContext, name: String) -> Result<String, ActivityError> {
        Ok(format!("Hello, {name}!"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_with_a_timer_and_an_activity_runs_to_its_end() {
    let engine = TestEngine::start().await;
    let client = engine.client().await;
    let runtime = Runtime::from_current_tokio(Default::default()).expect("a runtime");
    let options = WorkerOptions::new("hello")
        .register_workflow::<Hello>()
        .expect("a workflow")
        .register_activities(Greetings)
        .build();
    let mut worker = Worker::new(&runtime, client.clone(), options).expect("a worker");
    let shutdown = worker.shutdown_handle();

    let caller = async move {
        let start = WorkflowStartOptions::new("hello", "hello-1").build();
        let handle = client.start_workflow(Hello::run, "Segno".to_owned(), start).await.expect("a start");
        let result = handle.get_result(WorkflowGetResultOptions::default()).await.expect("a result");
        shutdown();
        result
    };
    let (worked, result) = tokio::join!(worker.run(), caller);
    worked.expect("a worker that ends well");
    assert_eq!(result, "Hello, Segno!");
}
