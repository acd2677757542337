//! `segno backup` of an engine that works in another process, and `segno restore` into another file.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use temporalio_client::{
    Client, UntypedSignal, UntypedWorkflow, WorkflowDescribeOptions, WorkflowExecutionStatus,
    WorkflowSignalOptions, WorkflowStartOptions, tonic::IntoRequest as _,
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{
        command::v1::{Command, CompleteWorkflowExecutionCommandAttributes, command::Attributes},
        enums::v1::CommandType,
        taskqueue::v1::TaskQueue,
        workflowservice::v1::{
            PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse, RespondWorkflowTaskCompletedRequest,
        },
    },
};
use tokio::time::{Instant, sleep};

use crate::support::{DEADLINE, Launch, TestEngine};

/// Clients that start workflows side by side.
const CLIENTS: usize = 4;
/// Executions before the copy is begun, and after it.
const ENOUGH: usize = 60;
const NAMESPACE: &str = "default";

/// Workflow ids that were acknowledged: started, and closed.
#[derive(Clone, Default)]
struct Acknowledged {
    started: Arc<Mutex<Vec<String>>>,
    closed: Arc<Mutex<Vec<String>>>,
}

async fn start(client: &Client, id: &str, queue: &str) {
    let options = WorkflowStartOptions::new(queue, id).build();
    client
        .start_workflow(UntypedWorkflow::new("Any"), RawValue::default(), options)
        .await
        .expect("a start");
}

/// A workflow task of this queue; none where none comes within a moment.
async fn poll(client: &Client, queue: &str) -> Option<PollWorkflowTaskQueueResponse> {
    let request = PollWorkflowTaskQueueRequest {
        namespace: NAMESPACE.to_owned(),
        task_queue: Some(TaskQueue {
            name: queue.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut request = request.into_request();
    request.set_timeout(Duration::from_secs(4));
    let task = client
        .connection()
        .workflow_service()
        .poll_workflow_task_queue(request)
        .await;
    task.ok()
        .map(|task| task.into_inner())
        .filter(|task| !task.task_token.is_empty())
}

async fn close(client: &Client, task: &PollWorkflowTaskQueueResponse) {
    let complete = CompleteWorkflowExecutionCommandAttributes::default();
    let request = RespondWorkflowTaskCompletedRequest {
        namespace: NAMESPACE.to_owned(),
        task_token: task.task_token.clone(),
        commands: vec![Command {
            command_type: CommandType::CompleteWorkflowExecution as i32,
            attributes: Some(Attributes::CompleteWorkflowExecutionCommandAttributes(complete)),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut service = client.connection().workflow_service();
    service
        .respond_workflow_task_completed(request.into_request())
        .await
        .expect("a completion");
}

fn workflow_id(task: &PollWorkflowTaskQueueResponse) -> String {
    task.workflow_execution.clone().unwrap_or_default().workflow_id
}

/// Starts two workflows again and again, and closes one of them.
async fn work(client: Client, number: usize, done: Acknowledged, enough: Arc<AtomicBool>) {
    let queue = format!("busy-{number}");
    for round in 0.. {
        if enough.load(Ordering::Relaxed) {
            return;
        }
        for (id, queue) in [
            (format!("closed-{number}-{round}"), queue.as_str()),
            (format!("open-{number}-{round}"), "open"),
        ] {
            start(&client, &id, queue).await;
            done.started.lock().push(id);
        }
        let task = poll(&client, &queue).await.expect("a task");
        close(&client, &task).await;
        done.closed.lock().push(workflow_id(&task));
    }
}

/// Runs `segno` to its end, and answers what it says.
async fn segno(arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_segno"))
        .args(arguments)
        .output()
        .await
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{arguments:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

async fn reach(done: &Acknowledged, count: usize) {
    let deadline = Instant::now() + DEADLINE;
    while done.closed.lock().len() < count {
        assert!(Instant::now() < deadline, "the load stands still");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_beside_a_busy_engine_goes_on_in_another_file() {
    let engine = TestEngine::embedded();
    let mut launch = Launch::engine(&engine);
    let mut program = launch.spawn();
    let client = program.engine_client(&launch).await;
    let (done, enough) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(work(client.clone(), number, done.clone(), enough.clone())))
        .collect();
    reach(&done, ENOUGH).await;
    let (started, closed) = (done.started.lock().clone(), done.closed.lock().clone());
    let copy = engine.folder().join("copy.db");
    let said = segno(&[
        "backup",
        "--db",
        text(&engine.folder().join("alone.db")),
        "--to",
        text(&copy),
    ])
    .await;
    assert!(said.contains("copy.db") && said.contains("checked"), "{said}");
    reach(&done, closed.len() + ENOUGH).await;
    enough.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("it works to the end");
    }
    let after = done
        .started
        .lock()
        .last()
        .cloned()
        .expect("a start after the copy");
    program.signal("KILL").await;
    program.ended().await;

    let other = TestEngine::embedded();
    let to = other.folder().join("alone.db");
    let said = segno(&["restore", "--from", text(&copy), "--db", text(&to)]).await;
    assert!(said.contains("alone.db") && said.contains("checked"), "{said}");
    let mut launch = Launch::engine(&other);
    let mut program = launch.spawn();
    let client = program.engine_client(&launch).await;
    let status = async |id: &str| {
        let handle = client.get_workflow_handle::<UntypedWorkflow>(id);
        handle
            .describe(WorkflowDescribeOptions::default())
            .await
            .map(|described| described.status())
    };
    for id in &started {
        let found = status(id)
            .await
            .unwrap_or_else(|error| panic!("{id} was acknowledged: {error}"));
        if id.starts_with("open-") {
            assert_eq!(found, WorkflowExecutionStatus::Running, "{id}");
        }
    }
    for id in &closed {
        assert_eq!(
            status(id).await.expect("it was acknowledged"),
            WorkflowExecutionStatus::Completed,
            "{id}"
        );
    }
    assert!(
        status(&after).await.is_err(),
        "{after} was started after the copy"
    );

    // What was open goes on: a signal reaches it, a worker gets its task and closes it.
    let open: Vec<_> = started.iter().filter(|id| id.starts_with("open-")).collect();
    for id in &open {
        let handle = client.get_workflow_handle::<UntypedWorkflow>(id.as_str());
        handle
            .signal(
                UntypedSignal::new("go"),
                RawValue::default(),
                WorkflowSignalOptions::default(),
            )
            .await
            .expect("a signal");
    }
    while let Some(task) = poll(&client, "open").await {
        close(&client, &task).await;
    }
    for id in &open {
        assert_eq!(
            status(id).await.expect("it is there"),
            WorkflowExecutionStatus::Completed,
            "{id}"
        );
    }
    program.signal("TERM").await;
    assert!(program.ended().await.success(), "{}", program.log());
}
