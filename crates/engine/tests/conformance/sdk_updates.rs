//! Updates through the official SDK's worker and client, with workflows cached and not cached.

use temporalio_client::{
    RpcOptions, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowIdConflictPolicy,
    WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions, WorkflowStartUpdateOptions,
    WorkflowUpdateWithStartOptions, errors::WorkflowUpdateWithStartError,
};
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType, workflowservice::v1::ResetWorkflowExecutionRequest,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    Runtime, SyncWorkflowContext, Worker, WorkerOptions, WorkflowContext, WorkflowContextView, WorkflowResult,
};

use crate::bed::{Bed, both_engines, execution, rpc};

/// A sum that goes up by updates and signals, to the end.
#[workflow]
#[derive(Default)]
struct Account {
    balance: i64,
    is_closed: bool,
}

#[workflow_methods]
impl Account {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, _input: ()) -> WorkflowResult<i64> {
        ctx.wait_condition(|state| state.is_closed).await?;
        Ok(ctx.state(|state| state.balance))
    }

    #[update_validator(deposit)]
    fn check_deposit(
        &self,
        _ctx: &WorkflowContextView,
        amount: &i64,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if *amount <= 0 {
            return Err(format!("{amount} is not a deposit").into());
        }
        Ok(())
    }

    #[update]
    fn deposit(&mut self, _ctx: &mut SyncWorkflowContext<Self>, amount: i64) -> i64 {
        self.balance += amount;
        self.balance
    }

    /// Takes its time, and other updates pass it.
    #[update]
    async fn deposit_slowly(ctx: &mut WorkflowContext<Self>, amount: i64) -> i64 {
        ctx.timer(std::time::Duration::from_millis(200)).await;
        ctx.state_mut(|state| {
            state.balance += amount;
            state.balance
        })
    }

    #[signal]
    fn give(&mut self, _ctx: &mut SyncWorkflowContext<Self>, amount: i64) {
        self.balance += amount;
    }

    #[signal]
    fn close(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _input: ()) {
        self.is_closed = true;
    }

    #[query]
    fn balance(&self, _ctx: &WorkflowContextView) -> i64 {
        self.balance
    }
}

/// Runs a worker that keeps at most so many workflows in memory, as long as `work` takes.
async fn with_worker<R>(bed: &Bed, cached: usize, work: impl Future<Output = R>) -> R {
    let runtime = Runtime::from_current_tokio(Default::default()).expect("a runtime");
    let options = WorkerOptions::new(&bed.queue)
        .max_cached_workflows(cached)
        .register_workflow::<Account>()
        .expect("a workflow")
        .build();
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

/// Updates, signals and queries side by side, to the workflow's end.
async fn an_account(bed: &Bed) {
    let options = WorkflowStartOptions::new(bed.queue.clone(), "w".to_owned()).build();
    let account = bed
        .client
        .start_workflow(Account::run, (), options)
        .await
        .expect("a start");
    let deposit = async |amount| {
        account
            .execute_update(Account::deposit, amount, WorkflowExecuteUpdateOptions::default())
            .await
    };
    assert_eq!(deposit(5).await.expect("an update"), 5);
    for amount in [0, -1] {
        let rejected = deposit(amount).await.expect_err("not a deposit");
        assert!(
            format!("{rejected:?}").contains("is not a deposit"),
            "{rejected:?}"
        );
    }
    account
        .signal(Account::give, 10, WorkflowSignalOptions::default())
        .await
        .expect("a signal");
    assert_eq!(
        deposit(1).await.expect("an update"),
        16,
        "it comes after the signal"
    );
    let balance = account
        .query(Account::balance, (), WorkflowQueryOptions::default())
        .await;
    assert_eq!(balance.expect("an answer"), 16);

    let slow = account
        .start_update(
            Account::deposit_slowly,
            100,
            WorkflowStartUpdateOptions::default(),
        )
        .await
        .expect("an accepted update");
    assert_eq!(
        deposit(1).await.expect("an update"),
        17,
        "the slow one waits for its timer"
    );
    assert_eq!(
        slow.get_result(RpcOptions::default()).await.expect("an outcome"),
        117
    );
    // Several at once, some of them rejected.
    let several = futures::future::join_all([1, -1, 1, 0, 1].map(&deposit)).await;
    assert_eq!(several.iter().filter(|updated| updated.is_ok()).count(), 3);
    account
        .signal(Account::close, (), WorkflowSignalOptions::default())
        .await
        .expect("a signal");
    let result = account.get_result(WorkflowGetResultOptions::default()).await;
    assert_eq!(result.expect("a result"), 120);
    let history = bed.history("w").await;
    let count = |wanted| {
        history
            .iter()
            .filter(|event| event.event_type() == wanted)
            .count()
    };
    assert_eq!(count(EventType::WorkflowExecutionUpdateAccepted), 7);
    assert_eq!(count(EventType::WorkflowExecutionUpdateCompleted), 7);
    assert_eq!(count(EventType::WorkflowTaskFailed), 0);
}

fn with_start(bed: &Bed, conflict: WorkflowIdConflictPolicy) -> WorkflowUpdateWithStartOptions {
    WorkflowUpdateWithStartOptions::new(bed.queue.clone(), "w", conflict).build()
}

both_engines! {
    async fn a_cached_workflow_takes_updates(bed: &Bed) {
        with_worker(bed, 100, an_account(bed)).await;
    }

    async fn a_workflow_that_is_not_cached_takes_updates(bed: &Bed) {
        with_worker(bed, 0, an_account(bed)).await;
    }

    async fn an_update_starts_its_workflow(bed: &Bed) {
        with_worker(bed, 100, async {
            let client = &bed.client;
            for (conflict, balance) in
                [(WorkflowIdConflictPolicy::Fail, 5), (WorkflowIdConflictPolicy::UseExisting, 10)]
            {
                let updated = client
                    .execute_update_with_start_workflow(
                        Account::run,
                        (),
                        Account::deposit,
                        5,
                        with_start(bed, conflict),
                    )
                    .await;
                assert_eq!(updated.expect("an update"), balance);
            }
            let in_the_way = client
                .execute_update_with_start_workflow(
                    Account::run,
                    (),
                    Account::deposit,
                    5,
                    with_start(bed, WorkflowIdConflictPolicy::Fail),
                )
                .await
                .expect_err("it runs");
            assert!(matches!(in_the_way, WorkflowUpdateWithStartError::Start(_)), "{in_the_way:?}");
            let rejected = client
                .execute_update_with_start_workflow(
                    Account::run,
                    (),
                    Account::deposit,
                    -5,
                    with_start(bed, WorkflowIdConflictPolicy::UseExisting),
                )
                .await
                .expect_err("not a deposit");
            assert!(matches!(rejected, WorkflowUpdateWithStartError::Update(_)), "{rejected:?}");
        })
        .await;
    }

    async fn a_reset_workflow_takes_its_updates_again(bed: &Bed) {
        with_worker(bed, 100, async {
            let options = WorkflowStartOptions::new(bed.queue.clone(), "w".to_owned()).build();
            let account = bed.client.start_workflow(Account::run, (), options).await.expect("a start");
            for (amount, balance) in [(5, 5), (2, 7)] {
                let updated = account.execute_update(Account::deposit, amount, WorkflowExecuteUpdateOptions::default());
                assert_eq!(updated.await.expect("an update"), balance);
            }
            let reset = ResetWorkflowExecutionRequest {
                namespace: bed.namespace.clone(),
                workflow_execution: Some(execution("w")),
                workflow_task_finish_event_id: 4,
                request_id: uuid::Uuid::new_v4().to_string(),
                ..Default::default()
            };
            rpc!(bed, reset_workflow_execution, reset).expect("a reset");
            let account = bed.client.get_workflow_handle::<Account>("w");
            let updated = account.execute_update(Account::deposit, 3, WorkflowExecuteUpdateOptions::default());
            assert_eq!(updated.await.expect("an update"), 10, "after those from before");
            account.signal(Account::close, (), WorkflowSignalOptions::default()).await.expect("a signal");
            let result = account.get_result(WorkflowGetResultOptions::default()).await;
            assert_eq!(result.expect("a result"), 10);
        })
        .await;
    }
}
