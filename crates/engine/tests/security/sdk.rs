//! The official SDK's worker and client, on a connection that a test has made.

use temporalio_client::{Client, Connection, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, Runtime, Worker, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    runtime::RuntimeOptions,
};

use crate::bed::{DEADLINE, client};

#[workflow]
#[derive(Default)]
struct Hello;

#[workflow_methods]
impl Hello {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        let options = ActivityOptions::start_to_close_timeout(DEADLINE);
        Ok(ctx.execute_activity(Activities::greet, name, options).await?)
    }
}

struct Activities;

#[activities]
impl Activities {
    #[activity]
    async fn greet(_ctx: ActivityContext, name: String) -> Result<String, ActivityError> {
        Ok(format!("Hello, {name}!"))
    }
}

/// A worker and a client on this connection run a workflow with an activity.
pub(crate) async fn works(connection: Connection, namespace: &str) {
    let client = client(connection, namespace);
    let runtime = Runtime::from_current_tokio(RuntimeOptions::default()).expect("a runtime");
    let options = WorkerOptions::new("sdk")
        .register_workflow::<Hello>()
        .expect("a workflow")
        .register_activities(Activities)
        .build();
    let mut worker = Worker::new(&runtime, client.clone(), options).expect("a worker");
    let shutdown = worker.shutdown_handle();
    let (worked, result) = tokio::join!(worker.run(), async {
        let result = tokio::time::timeout(DEADLINE, hello(&client)).await;
        shutdown();
        result
    });
    worked.expect("a worker that ends well");
    assert_eq!(result.expect("a result within the deadline"), "Hello, you!");
}

async fn hello(client: &Client) -> String {
    let options = WorkflowStartOptions::new("sdk", uuid::Uuid::new_v4().to_string()).build();
    let handle = client
        .start_workflow(Hello::run, "you".to_owned(), options)
        .await
        .expect("a start");
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    result.expect("a result")
}
