//! Updates in a plan: a client's call, and the worker's answers to the messages that its tasks bring.

use std::{collections::HashSet, pin::pin};

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::{
    enums::v1::UpdateWorkflowExecutionLifecycleStage as Stage, history::v1::history_event::Attributes,
    protocol::v1::Message, workflowservice::v1::PollWorkflowTaskQueueResponse,
};
use tokio::time::sleep;

use super::{
    plan::{TaskEnd, UpdateEnd},
    runner::Runner,
    settle::LOOK,
    transcript::mask,
};
use crate::bed::rpc;
use crate::update_messages::{acceptance, completion, poll, rejection, response, update};

impl Runner<'_> {
    /// An update from the call to its answer. One that is left in the air would time out by the clock, and the engines'
    /// clocks do not go alike.
    pub(super) async fn update(&mut self, id: usize, how: UpdateEnd) {
        if self.held.contains_key(&id) {
            let nothing = TaskEnd::Complete {
                commands: Vec::new(),
                force_new: false,
            };
            self.end_task(id, &nothing).await;
        }
        self.commands += 1;
        let (bed, name, update_id) = (self.bed, self.name(id), format!("update-{}", self.commands));
        let stage = match how {
            UpdateEnd::Complete | UpdateEnd::FailFirst => Stage::Completed,
            UpdateEnd::Accept | UpdateEnd::Reject => Stage::Accepted,
        };
        let mut call = pin!(update(bed, &name, &update_id, stage));
        let known = async {
            while let Err(status) = poll(bed, &name, &update_id, Stage::Unspecified).await {
                assert_eq!(status.code(), Code::NotFound, "{status:?}");
                sleep(LOOK).await;
            }
        };
        let refused = tokio::select! {
            biased;
            result = &mut call => Some(result),
            () = known => None,
        };
        let result = match refused {
            Some(result) => result,
            None => {
                if how == UpdateEnd::FailFirst {
                    self.end_task(id, &TaskEnd::Fail).await;
                }
                // The call goes on meanwhile, so that what the answer sets free has somebody to go to.
                let (result, ()) = tokio::join!(call, self.answer(id, how));
                result
            }
        };
        self.note_outcome("update", &result);
        if let Ok(answer) = result {
            let line = format!("  {:?} {:?}", answer.stage(), answer.outcome);
            self.note(mask(&line, &bed.namespace));
        }
    }

    /// Takes the task that brings the update and answers it.
    async fn answer(&mut self, id: usize, how: UpdateEnd) {
        self.take_task(id).await;
        let Some(task) = self.held.remove(&id) else { return };
        let request = completion(self.bed, &task, Vec::new(), answers(&task, how));
        let result = rpc!(self.bed, respond_workflow_task_completed, request);
        self.note_outcome("answered", &result);
    }
}

/// Answers to all updates that the task brings.
pub(super) fn answers(task: &PollWorkflowTaskQueueResponse, how: UpdateEnd) -> Vec<Message> {
    let answers = |message: &Message| match how {
        UpdateEnd::Complete | UpdateEnd::FailFirst => vec![acceptance(message), response(message, "updated")],
        UpdateEnd::Accept => vec![acceptance(message)],
        UpdateEnd::Reject => vec![rejection(message, "not now")],
    };
    task.messages.iter().flat_map(answers).collect()
}

/// The completion of an update that was accepted before and is still open; `pick` chooses one.
pub(super) fn completed(
    task: &PollWorkflowTaskQueueResponse,
    pick: usize,
    answers: &[Message],
) -> Option<Message> {
    let answered: HashSet<_> = answers
        .iter()
        .map(|message| message.protocol_instance_id.clone())
        .collect();
    let mut open: Vec<String> = Vec::new();
    for event in task.history.iter().flat_map(|history| &history.events) {
        match &event.attributes {
            Some(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(accepted)) => {
                open.push(accepted.protocol_instance_id.clone());
            }
            Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(completed)) => {
                let id = completed.meta.as_ref().map(|meta| meta.update_id.as_str());
                open.retain(|open| Some(open.as_str()) != id);
            }
            _ => {}
        }
    }
    open.retain(|id| !answered.contains(id));
    let chosen = open.get(pick)?;
    let to = Message {
        protocol_instance_id: chosen.clone(),
        ..Default::default()
    };
    Some(response(&to, "updated later"))
}
