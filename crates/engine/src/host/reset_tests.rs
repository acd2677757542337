//! What a reset run waits for comes, whatever the runs before it were at.

use std::sync::Arc;

use tempfile::TempDir;
use temporalio_protos::temporal::api::{
    command::v1::{
        Command, RequestCancelExternalWorkflowExecutionCommandAttributes,
        SignalExternalWorkflowExecutionCommandAttributes, StartChildWorkflowExecutionCommandAttributes,
        command::Attributes,
    },
    common::v1::{WorkflowExecution, WorkflowType},
    enums::v1::{CommandType, EventType},
};

use super::{
    Host,
    matching::{QueueId, QueueKind},
};
use crate::{
    clock::{ManualClock, SECOND},
    core::{Completion, NewRun, Reset, ResetTarget, Run, RunKey, Signal, normal_queue},
    limits::Limits,
    store::Store,
};

struct World {
    host: Host,
    namespace: u32,
    _folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = Store::open(&folder.path().join("engine.db")).expect("a store");
        let clock = ManualClock::new(1_700_000_000 * SECOND);
        let host = Host::open(store, Arc::new(clock), Limits::usual()).expect("a host");
        Self {
            namespace: host.namespaces.key_of("default").expect("the namespace"),
            host,
            _folder: folder,
        }
    }

    fn start(&mut self) -> RunKey {
        let new = NewRun {
            namespace_key: self.namespace,
            workflow_id: "w".to_owned(),
            run_id: uuid::Uuid::new_v4().to_string(),
            workflow_type: "Test".to_owned(),
            task_queue: "queue".to_owned(),
            ..Default::default()
        };
        self.host.create(new).expect("a run")
    }

    fn run(&mut self, key: RunKey) -> &Run {
        self.host.run(key).expect("the run")
    }

    fn signal(&mut self, key: RunKey) {
        let signal = |run: &mut Run, now| run.signal(now, Signal::default());
        self.host.change(key, signal).expect("a signal");
    }

    /// A worker completes the run's workflow task, while a signal comes in.
    fn work(&mut self, key: RunKey, commands: Vec<Command>) {
        let queue = QueueId::new(self.namespace, QueueKind::Workflow, "queue".to_owned());
        let task = self.host.start_workflow_task(&queue, key, None, "worker");
        let (task, _) = task.expect("the run").expect("a task");
        self.signal(key);
        let completion = Completion {
            started_event_id: task.message.started_event_id,
            attempt: task.message.attempt,
            commands,
            ..Default::default()
        };
        let completed = self.host.complete_workflow_task(key, completion);
        completed.expect("a completion");
        self.host.settle(key).expect("a change");
    }

    /// Resets the run to this event.
    fn reset(&mut self, key: RunKey, event_id: i64) -> RunKey {
        let run_id = self.run(key).state.run_id.clone();
        let reset = Reset {
            run_id: uuid::Uuid::new_v4().to_string(),
            request_id: uuid::Uuid::new_v4().to_string(),
            event_id,
            ..Default::default()
        };
        let execution = WorkflowExecution {
            workflow_id: "w".to_owned(),
            run_id,
        };
        let reset = self.host.reset(self.namespace, &execution, reset, Vec::new());
        reset.expect("a reset")
    }

    /// The first event after the last workflow task was scheduled.
    fn last_scheduled(&mut self, key: RunKey) -> i64 {
        let mut events = self.run(key).history.iter();
        let scheduled = events.rfind(|event| event.event_type() == EventType::WorkflowTaskScheduled);
        scheduled.expect("a task").event_id + 1
    }
}

fn command(command_type: CommandType, attributes: Attributes) -> Command {
    Command {
        command_type: command_type as i32,
        attributes: Some(attributes),
        ..Default::default()
    }
}

fn start_child() -> Command {
    let attributes = StartChildWorkflowExecutionCommandAttributes {
        workflow_id: "child".to_owned(),
        workflow_type: Some(WorkflowType {
            name: "Test".to_owned(),
        }),
        task_queue: Some(normal_queue("queue")),
        ..Default::default()
    };
    command(
        CommandType::StartChildWorkflowExecution,
        Attributes::StartChildWorkflowExecutionCommandAttributes(attributes),
    )
}

fn signal_other() -> Command {
    let attributes = SignalExternalWorkflowExecutionCommandAttributes {
        execution: Some(WorkflowExecution {
            workflow_id: "other".to_owned(),
            run_id: String::new(),
        }),
        signal_name: "go".to_owned(),
        ..Default::default()
    };
    command(
        CommandType::SignalExternalWorkflowExecution,
        Attributes::SignalExternalWorkflowExecutionCommandAttributes(attributes),
    )
}

fn cancel_other() -> Command {
    let attributes = RequestCancelExternalWorkflowExecutionCommandAttributes {
        workflow_id: "other".to_owned(),
        ..Default::default()
    };
    command(
        CommandType::RequestCancelExternalWorkflowExecution,
        Attributes::RequestCancelExternalWorkflowExecutionCommandAttributes(attributes),
    )
}

/// The messages of a batch are delivered at its end: they may find their sender replaced.
#[test]
fn what_the_replaced_run_had_just_sent_is_sent_by_the_new_one() {
    let mut world = World::new();
    let base = world.start();
    world.work(base, vec![start_child(), signal_other(), cancel_other()]);
    world.signal(base);
    let point = world.last_scheduled(base);
    let new = world.reset(base, point);
    assert_eq!(
        world.run(new).state.children.len(),
        1,
        "it has what was initiated"
    );
    world.host.end_batch();
    let state = &world.run(new).state;
    assert!(!state.children[0].run_id.is_empty(), "the child has started");
    assert!(state.outgoing_signals.is_empty() && state.outgoing_cancels.is_empty());
}

/// The child's workflow id is another child's by now, whose end is not the one that the run waits for.
#[test]
fn a_child_that_ended_with_another_run_of_the_parent_is_reported() {
    let mut world = World::new();
    let base = world.start();
    world.work(base, vec![start_child()]);
    world.host.end_batch();
    let first = world.run(base).reset_event(ResetTarget::FirstWorkflowTask);
    let second = world.reset(base, first.expect("a task"));
    world.host.end_batch();
    world.work(second, vec![start_child()]);
    world.host.end_batch();
    assert_eq!(world.run(second).state.children.len(), 1);

    let point = world.last_scheduled(base);
    let third = world.reset(base, point);
    world.host.end_batch();
    let run = world.run(third);
    let is_ended = |of| of == EventType::ChildWorkflowExecutionTerminated;
    assert!(run.history.iter().any(|event| is_ended(event.event_type())));
    assert!(run.state.children.is_empty());
}
