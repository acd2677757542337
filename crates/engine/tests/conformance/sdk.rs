//! The official SDK's worker and client.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use temporalio_client::{
    ActivityCancelOptions, ActivityStartOptions, WorkflowCancelOptions, WorkflowGetResultOptions,
    WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityExecutionError, ActivityOptions, ContinueAsNewOptions, LocalActivityOptions, Runtime,
    SyncWorkflowContext, Worker, WorkerOptions, WorkflowContext, WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    runtime::{AutoscalingOptions, PollerBehavior, RuntimeOptions},
};

use crate::bed::{Bed, both_engines};

#[workflow]
#[derive(Default)]
pub(crate) struct Hello;

#[workflow_methods]
impl Hello {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        ctx.timer(Duration::from_millis(20)).await;
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok(ctx.execute_activity(Activities::greet, name, options).await?)
    }
}

#[workflow]
#[derive(Default)]
pub(crate) struct Counter {
    total: u64,
}

#[workflow_methods]
impl Counter {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, until: u64) -> WorkflowResult<u64> {
        ctx.wait_condition(|state| state.total >= until).await?;
        Ok(ctx.state(|state| state.total))
    }

    #[signal]
    pub(crate) fn add(&mut self, _ctx: &mut SyncWorkflowContext<Self>, amount: u64) {
        self.total += amount;
    }

    #[query]
    fn total(&self, _ctx: &WorkflowContextView) -> u64 {
        self.total
    }
}

#[workflow]
#[derive(Default)]
struct Patient;

#[workflow_methods]
impl Patient {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, _input: ()) -> WorkflowResult<String> {
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(300))
            .heartbeat_timeout(Duration::from_secs(5))
            .build();
        match ctx
            .execute_activity(Activities::until_canceled, (), options)
            .await
        {
            Err(ActivityExecutionError::Cancelled(_)) => Ok("canceled".to_owned()),
            Ok(()) => Ok("ended".to_owned()),
            Err(other) => Err(other.into()),
        }
    }
}

#[workflow]
#[derive(Default)]
struct Chain;

#[workflow_methods]
impl Chain {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, left: u32) -> WorkflowResult<String> {
        if left > 0 {
            ctx.continue_as_new(left - 1, ContinueAsNewOptions::default())?;
        }
        Ok("the last of the chain".to_owned())
    }
}

#[workflow]
#[derive(Default)]
struct Local;

#[workflow_methods]
impl Local {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        let options = LocalActivityOptions::builder()
            .start_to_close_timeout(Duration::from_secs(10))
            .build();
        let greeting = ctx
            .execute_local_activity(Activities::greet, name, options)
            .await?;
        ctx.timer(Duration::from_millis(20)).await;
        Ok(greeting)
    }
}

#[derive(Default)]
struct Activities {
    attempts: AtomicU32,
}

#[activities]
impl Activities {
    #[activity]
    async fn greet(
        self: std::sync::Arc<Self>,
        _ctx: ActivityContext,
        name: String,
    ) -> Result<String, ActivityError> {
        // The first attempt fails: the server tries again.
        if self.attempts.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err(std::io::Error::other("not yet").into());
        }
        Ok(format!("Hello, {name}!"))
    }

    #[activity]
    async fn until_canceled(
        self: std::sync::Arc<Self>,
        ctx: ActivityContext,
        _input: (),
    ) -> Result<(), ActivityError> {
        loop {
            if ctx.is_cancelled() {
                return Err(ActivityError::cancelled());
            }
            ctx.record_heartbeat(()).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Runs a worker as long as `work` takes.
pub(crate) async fn with_worker<R>(bed: &Bed, work: impl Future<Output = R>) -> R {
    with_worker_of(bed, RuntimeOptions::default(), |_| {}, work).await
}

/// The same, with options of the runtime's and the worker's.
pub(crate) async fn with_worker_of<R>(
    bed: &Bed,
    runtime: RuntimeOptions,
    change: impl FnOnce(&mut WorkerOptions),
    work: impl Future<Output = R>,
) -> R {
    let runtime = Runtime::from_current_tokio(runtime).expect("a runtime");
    let mut options = WorkerOptions::new(&bed.queue)
        .register_workflow::<Hello>()
        .expect("a workflow")
        .register_workflow::<Counter>()
        .expect("a workflow")
        .register_workflow::<Patient>()
        .expect("a workflow")
        .register_workflow::<Chain>()
        .expect("a workflow")
        .register_workflow::<Local>()
        .expect("a workflow")
        .register_activities(Activities::default())
        .build();
    change(&mut options);
    let mut worker = Worker::new(&runtime, bed.client.clone(), options).expect("a worker");
    let shutdown = worker.shutdown_handle();
    let (worked, result) = tokio::join!(worker.run(), async {
        let result = work.await;
        shutdown();
        result
    });
    worked.expect("a worker that ends well");
    result
}

fn options(bed: &Bed, id: &str) -> WorkflowStartOptions {
    WorkflowStartOptions::new(bed.queue.clone(), id.to_owned()).build()
}

both_engines! {
    async fn a_workflow_with_a_timer_and_an_activity_runs_to_its_end(bed: &Bed) {
        let result = with_worker(bed, async {
            let handle = bed.client.start_workflow(Hello::run, "Segno".to_owned(), options(bed, "w")).await;
            handle.expect("a start").get_result(WorkflowGetResultOptions::default()).await
        });
        assert_eq!(result.await.expect("a result"), "Hello, Segno!");
    }

    async fn signals_and_queries_reach_a_workflow(bed: &Bed) {
        with_worker(bed, async {
            let handle = bed.client.start_workflow(Counter::run, 6, options(bed, "w")).await.expect("a start");
            handle.signal(Counter::add, 5, WorkflowSignalOptions::default()).await.expect("a signal");
            let total = handle.query(Counter::total, (), WorkflowQueryOptions::default()).await;
            assert_eq!(total.expect("an answer"), 5, "a query sees all that was acknowledged");
            handle.signal(Counter::add, 1, WorkflowSignalOptions::default()).await.expect("a signal");
            let result = handle.get_result(WorkflowGetResultOptions::default()).await;
            assert_eq!(result.expect("a result"), 6);
            let total = handle.query(Counter::total, (), WorkflowQueryOptions::default()).await;
            assert_eq!(total.expect("an answer after the end"), 6);
        })
        .await;
    }

    async fn cancellation_reaches_a_running_activity(bed: &Bed) {
        with_worker(bed, async {
            let handle = bed.client.start_workflow(Patient::run, (), options(bed, "w")).await.expect("a start");
            bed.eventually("the activity runs", || async {
                bed.describe("w").await.pending_activities.first().filter(|a| a.last_started_time.is_some()).map(drop)
            })
            .await;
            handle.cancel(WorkflowCancelOptions::default()).await.expect("a cancel request");
            let result = handle.get_result(WorkflowGetResultOptions::default()).await;
            assert_eq!(result.expect("a result"), "canceled");
        })
        .await;
    }

    async fn a_chain_of_runs_is_followed_to_its_end(bed: &Bed) {
        with_worker(bed, async {
            let handle = bed.client.start_workflow(Chain::run, 3, options(bed, "w")).await.expect("a start");
            let result = handle.get_result(WorkflowGetResultOptions::default()).await;
            assert_eq!(result.expect("a result"), "the last of the chain");
        })
        .await;
    }

    async fn a_worker_may_scale_its_polls_and_limit_its_queues_activities(bed: &Bed) {
        let scaling = PollerBehavior::Autoscaling(AutoscalingOptions::builder().minimum(1).maximum(5).initial(2).build());
        let change = |options: &mut WorkerOptions| {
            options.workflow_task_poller_behavior = Some(scaling);
            options.activity_task_poller_behavior = Some(scaling);
            options.max_task_queue_activities_per_second = Some(100.0);
        };
        with_worker_of(bed, RuntimeOptions::default(), change, async {
            let mut handles = Vec::new();
            for n in 0..10 {
                let id = format!("w{n}");
                let handle = bed.client.start_workflow(Hello::run, id.clone(), options(bed, &id)).await;
                handles.push((id, handle.expect("a start")));
            }
            for (id, handle) in handles {
                let result = handle.get_result(WorkflowGetResultOptions::default()).await;
                assert_eq!(result.expect("a result"), format!("Hello, {id}!"));
            }
        })
        .await;
    }

    async fn a_local_activity_is_a_marker_of_its_workflow(bed: &Bed) {
        let result = with_worker(bed, async {
            let handle = bed.client.start_workflow(Local::run, "Segno".to_owned(), options(bed, "w")).await;
            handle.expect("a start").get_result(WorkflowGetResultOptions::default()).await
        });
        assert_eq!(result.await.expect("a result"), "Hello, Segno!", "after the retry of a failed attempt");
        let types = bed.event_types("w").await;
        assert_eq!(types.iter().filter(|name| **name == "MarkerRecorded").count(), 1);
        assert!(!types.contains(&"ActivityTaskScheduled"));
    }

    async fn an_activity_runs_without_a_workflow(bed: &Bed) {
        let ten_seconds = Duration::from_secs(10);
        with_worker(bed, async {
            let options = ActivityStartOptions::with_start_to_close_timeout(bed.queue.clone(), "a", ten_seconds);
            let handle = bed.client.start_activity(Activities::greet, "Segno".to_owned(), options.build()).await;
            let result = handle.expect("a start").result().await;
            assert_eq!(result.expect("a result"), "Hello, Segno!", "after the retry of a failed attempt");

            let options = ActivityStartOptions::with_start_to_close_timeout(bed.queue.clone(), "b", ten_seconds);
            let options = options.heartbeat_timeout(Duration::from_secs(5)).build();
            let handle = bed.client.start_activity(Activities::until_canceled, (), options).await.expect("a start");
            handle.cancel(ActivityCancelOptions::default()).await.expect("a cancel request");
            handle.result().await.expect_err("it is canceled");
        })
        .await;
    }
}
