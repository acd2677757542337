//! What the `temporal` command line prints as JSON where somebody works: queries, updates, batch operations, activities
//! and workers. The same from both engines, see `cli_json`.

use std::{collections::HashMap, convert::Infallible};

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    command::v1::Command,
    common::v1::{Payload, Payloads},
    enums::v1::{QueryResultType, WorkerStatus},
    history::v1::history_event::Attributes,
    protocol::v1::Message,
    query::v1::WorkflowQueryResult,
    workflowservice::v1::*,
};

use crate::{
    activities::{fail, succeed},
    bed::{Bed, commands, execution, payloads, queue, rpc},
    cli_json::{Pair, Side},
    update_messages::{acceptance, place, rejection, request_of, response},
    workers::{heartbeat, record},
};

/// In this order, with a worker that does what its messages are called.
const WORKED: [&str; 38] = [
    "workflow start --type T --task-queue queue --workflow-id w --input 1",
    "workflow query -w w --name state",
    "workflow query -w w --name broken",
    "workflow query -w nobody --name state",
    "workflow query -w w --name state --reject-condition not_open",
    "workflow stack -w w",
    "workflow metadata -w w",
    "workflow update execute -w w --name change --update-id u1 --input 1",
    "workflow update execute -w w --name reject --update-id u2",
    "workflow update start -w w --name later --update-id u3 --wait-for-stage accepted",
    "workflow update describe -w w --update-id u1",
    "workflow update describe -w w --update-id u2",
    "workflow update describe -w w --update-id u3",
    "workflow update result -w w --update-id u1",
    "workflow signal -w w --name finish",
    "workflow update result -w w --update-id u3",
    "workflow update describe -w w --update-id u3",
    "workflow update execute -w w --name change --update-id u1 --input 1",
    "workflow update execute -w nobody --name change --update-id u1",
    "workflow show -w w",
    "workflow execute-update-with-start --type T --task-queue queue --workflow-id v --id-conflict-policy UseExisting \
     --update-name change --update-id v1 --update-input 2",
    "workflow start-update-with-start --type T --task-queue queue --workflow-id v --id-conflict-policy UseExisting \
     --update-name later --update-id v2 --update-wait-for-stage accepted",
    "workflow execute-update-with-start --type T --task-queue queue --workflow-id v --id-conflict-policy Fail \
     --update-name change --update-id v3",
    "workflow update result -w v --update-id v1",
    "workflow describe -w v",
    "workflow show -w v",
    "workflow signal -w w --name end",
    "workflow result -w w",
    "workflow query -w w --name state",
    "workflow query -w w --name state --reject-condition not_open",
    "workflow stack -w w",
    "workflow update execute -w w --name change --update-id u4",
    "workflow update result -w w --update-id u1",
    "workflow show -w w",
    "workflow describe -w w",
    "workflow execute --type Quick --task-queue queue --workflow-id q",
    "activity execute --activity-id a --type Act --task-queue queue --start-to-close-timeout 10s",
    "activity execute --activity-id b --type Broken --task-queue queue --start-to-close-timeout 10s",
];

/// What is done to many workflows at once, and what becomes of it.
const BATCHES: [&str; 17] = [
    "workflow start --type B --task-queue q --workflow-id b1",
    "workflow start --type B --task-queue q --workflow-id b2",
    "workflow start --type B --task-queue q --workflow-id b3",
    "workflow count --query WorkflowType='B'",
    "workflow signal --query WorkflowType='B' --name s --reason r --yes",
    "batch describe --job-id {job}",
    "workflow show -w b1",
    "workflow cancel --query WorkflowType='B' --reason r --yes",
    "batch describe --job-id {job}",
    "workflow show -w b2",
    "workflow terminate --query WorkflowType='B' --reason r --yes",
    "batch describe --job-id {job}",
    "workflow count --query ExecutionStatus='Terminated'",
    "batch list",
    "batch terminate --job-id {job} --reason late",
    "workflow terminate --query Nothing='B' --reason r --yes",
    "workflow delete --query WorkflowType='B' --reason r --yes",
];

/// Activities of a workflow, which is `w`: `a` and `b` are scheduled, on a queue without workers.
const ACTIVITIES: [&str; 15] = [
    "workflow describe -w w",
    "activity pause -a a -w w --reason r",
    "workflow describe -w w",
    "activity update-options -a a -w w --start-to-close-timeout 20s --task-queue other",
    "activity reset -a a -w w",
    "activity unpause -a a -w w",
    "workflow describe -w w",
    "activity complete -a a -w w --result 5",
    "activity complete -a a -w w --result 5",
    "activity fail -a b -w w --reason broken --detail 7",
    "activity fail -a nobody -w w --reason broken",
    "activity pause -a nobody -w w --reason r",
    "activity complete -a a -w nobody --result 5",
    "workflow show -w w",
    "workflow describe -w w",
];

/// Workers that have told of themselves: `one` and `two`.
const WORKERS: [&str; 6] = [
    "worker count",
    "worker list",
    "worker list --query TaskQueue='queue'",
    "worker list --limit 1 --query WorkerInstanceKey='two'",
    "worker describe --worker-instance-key one",
    "worker describe --worker-instance-key three",
];

/// What a worker says to a query, by its name.
fn answer(query: &str) -> Result<Payloads, String> {
    match query {
        "broken" => Err("no such query".to_owned()),
        "__temporal_workflow_metadata" => {
            let metadata = [
                ("encoding", "json/protobuf"),
                ("messageType", "temporal.api.sdk.v1.WorkflowMetadata"),
            ];
            let own = |(name, value): (&str, &str)| (name.to_owned(), value.as_bytes().to_vec());
            let data = br#"{"definition":{"type":"T","queryDefinitions":[{"name":"state"}]},"currentDetails":"here"}"#;
            Ok(Payloads {
                payloads: vec![Payload {
                    metadata: metadata.map(own).into(),
                    data: data.to_vec(),
                    ..Default::default()
                }],
            })
        }
        name => Ok(payloads(name)),
    }
}

/// Answers a query that came by itself.
async fn answer_query(bed: &Bed, task: PollWorkflowTaskQueueResponse, name: &str) {
    let answer = answer(name);
    let completed_type = match answer {
        Ok(_) => QueryResultType::Answered,
        Err(_) => QueryResultType::Failed,
    };
    let request = RespondQueryTaskCompletedRequest {
        namespace: bed.namespace.clone(),
        task_token: task.task_token,
        completed_type: completed_type as i32,
        error_message: answer.clone().err().unwrap_or_default(),
        query_result: answer.ok(),
        ..Default::default()
    };
    rpc!(bed, respond_query_task_completed, request).expect("an answer");
}

/// What a worker does with a workflow task: updates are answered as they are called; the signal `finish` completes the
/// accepted ones, and `end` the workflow.
async fn complete_task(bed: &Bed, task: PollWorkflowTaskQueueResponse, accepted: &mut Vec<Message>) {
    let mut answers = Vec::new();
    let mut close = None;
    for event in task.history.iter().flat_map(|history| &history.events) {
        match &event.attributes {
            Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
                let is_quick = started
                    .workflow_type
                    .as_ref()
                    .is_some_and(|of| of.name == "Quick");
                close = is_quick.then(|| commands::complete("at once"));
            }
            Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal))
                if event.event_id > task.previous_started_event_id =>
            {
                match signal.signal_name.as_str() {
                    "finish" => {
                        answers.extend(accepted.drain(..).map(|message| response(&message, "finished")))
                    }
                    _ => close = Some(commands::complete("ended")),
                }
            }
            _ => {}
        }
    }
    let mut rejections = Vec::new();
    for message in &task.messages {
        match request_of(message).input.expect("an input").name.as_str() {
            "reject" => rejections.push(rejection(message, "not today")),
            "later" => {
                answers.push(acceptance(message));
                accepted.push(message.clone());
            }
            _ => answers.extend([acceptance(message), response(message, "changed")]),
        }
    }
    let placed: Vec<Command> = answers.iter().map(place).chain(close).collect();
    let mut request = bed.completion(&task, placed);
    request.messages = answers.into_iter().chain(rejections).collect();
    let asked = task.queries.iter().map(|(id, query)| {
        let result = match answer(&query.query_type) {
            Ok(answer) => WorkflowQueryResult {
                result_type: QueryResultType::Answered as i32,
                answer: Some(answer),
                ..Default::default()
            },
            Err(error_message) => WorkflowQueryResult {
                result_type: QueryResultType::Failed as i32,
                error_message,
                ..Default::default()
            },
        };
        (id.clone(), result)
    });
    request.query_results = asked.collect::<HashMap<_, _>>();
    rpc!(bed, respond_workflow_task_completed, request).expect("a completion");
}

async fn works_on_workflows(bed: &Bed) -> Infallible {
    let mut accepted = Vec::new();
    loop {
        let task = bed.poll(queue(&bed.queue)).await;
        if task.task_token.is_empty() {
            continue;
        }
        match task.query.as_ref().map(|query| query.query_type.clone()) {
            Some(name) => answer_query(bed, task, &name).await,
            None => complete_task(bed, task, &mut accepted).await,
        }
    }
}

async fn works_on_activities(bed: &Bed) -> Infallible {
    loop {
        let task = bed.activity_task().await;
        if task.activity_type.as_ref().is_some_and(|of| of.name == "Act") {
            succeed(bed, &task, "out").await;
        } else {
            fail(bed, &task, commands::failure("broken", true)).await;
        }
    }
}

/// Waits until the worker has nothing to do for these workflows.
async fn settled(side: &Side) {
    for id in ["w", "v"] {
        side.bed
            .eventually("the worker is done", || async {
                let request = DescribeWorkflowExecutionRequest {
                    namespace: side.bed.namespace.clone(),
                    execution: Some(execution(id)),
                };
                match rpc!(side.bed, describe_workflow_execution, request) {
                    Ok(described) => described.pending_workflow_task.is_none().then_some(()),
                    Err(status) if status.code() == Code::NotFound => Some(()),
                    Err(status) => panic!("{status}"),
                }
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_print_the_same_of_a_worker_s_answers() {
    let mut pair = Pair::start().await;
    let (embedded, temporal) = (pair.embedded.clone(), pair.temporal.clone());
    let workers = async {
        tokio::join!(
            works_on_workflows(&embedded.bed),
            works_on_activities(&embedded.bed),
            works_on_workflows(&temporal.bed),
            works_on_activities(&temporal.bed)
        )
    };
    let asks = async {
        for command in WORKED {
            pair.run(command).await;
            tokio::join!(settled(&pair.embedded), settled(&pair.temporal));
        }
    };
    tokio::select! {
        () = asks => {}
        _ = workers => {}
    }
    pair.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_print_the_same_of_batch_operations() {
    let mut pair = Pair::start().await;
    for command in BATCHES {
        pair.run(command).await;
    }
    pair.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_print_the_same_of_a_workflow_s_activities() {
    let mut pair = Pair::start().await;
    for side in [&pair.embedded, &pair.temporal] {
        side.bed.start("w").await;
        let task = side.bed.task().await;
        let activities = ["a", "b"].map(|id| commands::schedule(commands::activity(id, "nobody")));
        side.bed.complete(&task, activities.into()).await;
    }
    for command in ACTIVITIES {
        pair.run(command).await;
    }
    pair.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_print_the_same_of_workers() {
    let mut pair = Pair::start().await;
    for side in [&pair.embedded, &pair.temporal] {
        let told = ["one", "two"].map(|key| heartbeat(key, "queue", WorkerStatus::Running));
        record(&side.bed, told.into()).await;
    }
    for command in WORKERS {
        pair.run(command).await;
    }
    pair.check();
}
