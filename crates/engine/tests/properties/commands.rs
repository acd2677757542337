//! The commands of the script's operations, as the SDK sends them.

use temporalio_common::protos::temporal::api::{
    command::v1::{
        Command, CompleteWorkflowExecutionCommandAttributes, ProtocolMessageCommandAttributes,
        RequestCancelExternalWorkflowExecutionCommandAttributes, ScheduleActivityTaskCommandAttributes,
        SignalExternalWorkflowExecutionCommandAttributes, StartChildWorkflowExecutionCommandAttributes,
        StartTimerCommandAttributes, command::Attributes,
    },
    common::v1::{ActivityType, RetryPolicy, WorkflowExecution, WorkflowType},
    enums::v1::CommandType,
    taskqueue::v1::TaskQueue,
};

use crate::script::{self, Acts, OTHER};

fn command(command_type: CommandType, attributes: Attributes) -> Command {
    Command {
        command_type: command_type as i32,
        attributes: Some(attributes),
        ..Default::default()
    }
}

pub(crate) fn complete() -> Command {
    let attributes = CompleteWorkflowExecutionCommandAttributes {
        result: Some(script::json("null")),
    };
    let attributes = Attributes::CompleteWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::CompleteWorkflowExecution, attributes)
}

pub(crate) fn start_timer(number: usize, millis: u64) -> Command {
    let timeout = prost_types::Duration {
        seconds: (millis / 1_000) as i64,
        nanos: (millis % 1_000) as i32 * 1_000_000,
    };
    let attributes = StartTimerCommandAttributes {
        timer_id: number.to_string(),
        start_to_fire_timeout: Some(timeout),
    };
    let attributes = Attributes::StartTimerCommandAttributes(attributes);
    command(CommandType::StartTimer, attributes)
}

pub(crate) fn schedule(number: usize, attempts: u32) -> Command {
    let attributes = ScheduleActivityTaskCommandAttributes {
        activity_id: number.to_string(),
        activity_type: Some(ActivityType {
            name: Acts::act.name().to_owned(),
        }),
        task_queue: Some(queue()),
        start_to_close_timeout: Some(prost_types::Duration {
            seconds: 10,
            nanos: 0,
        }),
        retry_policy: Some(RetryPolicy {
            maximum_attempts: attempts as i32,
            ..Default::default()
        }),
        ..Default::default()
    };
    let attributes = Attributes::ScheduleActivityTaskCommandAttributes(attributes);
    command(CommandType::ScheduleActivityTask, attributes)
}

pub(crate) fn start_child(number: usize) -> Command {
    let attributes = StartChildWorkflowExecutionCommandAttributes {
        workflow_id: script::child_id(number),
        workflow_type: Some(WorkflowType {
            name: script::workflow_type(),
        }),
        task_queue: Some(queue()),
        input: Some(script::input(&[])),
        ..Default::default()
    };
    let attributes = Attributes::StartChildWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::StartChildWorkflowExecution, attributes)
}

pub(crate) fn signal_other() -> Command {
    let attributes = SignalExternalWorkflowExecutionCommandAttributes {
        execution: Some(WorkflowExecution {
            workflow_id: OTHER.to_owned(),
            run_id: String::new(),
        }),
        signal_name: "go".to_owned(),
        input: Some(script::json("null")),
        ..Default::default()
    };
    let attributes = Attributes::SignalExternalWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::SignalExternalWorkflowExecution, attributes)
}

pub(crate) fn cancel_other() -> Command {
    let attributes = RequestCancelExternalWorkflowExecutionCommandAttributes {
        workflow_id: OTHER.to_owned(),
        ..Default::default()
    };
    let attributes = Attributes::RequestCancelExternalWorkflowExecutionCommandAttributes(attributes);
    command(CommandType::RequestCancelExternalWorkflowExecution, attributes)
}

/// The place among the commands at which a message has its effect.
pub(crate) fn place(message_id: &str) -> Command {
    let attributes = ProtocolMessageCommandAttributes {
        message_id: message_id.to_owned(),
    };
    let attributes = Attributes::ProtocolMessageCommandAttributes(attributes);
    command(CommandType::ProtocolMessage, attributes)
}

fn queue() -> TaskQueue {
    TaskQueue {
        name: "queue".to_owned(),
        ..Default::default()
    }
}
