//! Payloads that a history only refers to: SDKs may keep large ones elsewhere, and say so in what they send.

use temporalio_protos::temporal::api::{
    common::v1::{Header, Memo, Payload, Payloads},
    failure::v1::{Failure, failure::FailureInfo},
    history::v1::{HistoryEvent, history_event::Attributes},
    sdk::v1::UserMetadata,
    update::v1::{Outcome, Request, outcome},
};

use super::state::RunState;

/// How many external payloads something refers to, and how many bytes they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ExternalPayloads {
    pub(super) count: i64,
    pub(super) size: i64,
}

impl ExternalPayloads {
    /// Those of an event, search attributes aside, as the real server counts them.
    pub(super) fn of(event: &HistoryEvent) -> Self {
        let mut all = Self::default();
        all.metadata(event.user_metadata.as_ref());
        if let Some(attributes) = &event.attributes {
            all.attributes(attributes);
        }
        all
    }

    #[allow(deprecated, reason = "clients may still send it")]
    fn attributes(&mut self, attributes: &Attributes) {
        use Attributes as A;
        match attributes {
            A::WorkflowExecutionStartedEventAttributes(a) => {
                self.payloads(a.input.as_ref());
                self.payloads(a.last_completion_result.as_ref());
                self.failure(a.continued_failure.as_ref());
                self.memo(a.memo.as_ref());
                self.header(a.header.as_ref());
            }
            A::WorkflowExecutionCompletedEventAttributes(a) => self.payloads(a.result.as_ref()),
            A::WorkflowExecutionFailedEventAttributes(a) => self.failure(a.failure.as_ref()),
            A::WorkflowExecutionCanceledEventAttributes(a) => self.payloads(a.details.as_ref()),
            A::WorkflowExecutionTerminatedEventAttributes(a) => self.payloads(a.details.as_ref()),
            A::WorkflowExecutionContinuedAsNewEventAttributes(a) => {
                self.payloads(a.input.as_ref());
                self.payloads(a.last_completion_result.as_ref());
                self.failure(a.failure.as_ref());
                self.memo(a.memo.as_ref());
                self.header(a.header.as_ref());
            }
            A::WorkflowExecutionSignaledEventAttributes(a) => {
                self.payloads(a.input.as_ref());
                self.header(a.header.as_ref());
            }
            A::WorkflowTaskFailedEventAttributes(a) => self.failure(a.failure.as_ref()),
            A::ActivityTaskScheduledEventAttributes(a) => {
                self.payloads(a.input.as_ref());
                self.header(a.header.as_ref());
            }
            A::ActivityTaskStartedEventAttributes(a) => self.failure(a.last_failure.as_ref()),
            A::ActivityTaskCompletedEventAttributes(a) => self.payloads(a.result.as_ref()),
            A::ActivityTaskFailedEventAttributes(a) => self.failure(a.failure.as_ref()),
            A::ActivityTaskTimedOutEventAttributes(a) => self.failure(a.failure.as_ref()),
            A::ActivityTaskCanceledEventAttributes(a) => self.payloads(a.details.as_ref()),
            A::MarkerRecordedEventAttributes(a) => {
                for details in a.details.values() {
                    self.payloads(Some(details));
                }
                self.header(a.header.as_ref());
                self.failure(a.failure.as_ref());
            }
            A::SignalExternalWorkflowExecutionInitiatedEventAttributes(a) => {
                self.payloads(a.input.as_ref());
                self.header(a.header.as_ref());
            }
            A::StartChildWorkflowExecutionInitiatedEventAttributes(a) => {
                self.payloads(a.input.as_ref());
                self.memo(a.memo.as_ref());
                self.header(a.header.as_ref());
            }
            A::ChildWorkflowExecutionStartedEventAttributes(a) => self.header(a.header.as_ref()),
            A::ChildWorkflowExecutionCompletedEventAttributes(a) => self.payloads(a.result.as_ref()),
            A::ChildWorkflowExecutionFailedEventAttributes(a) => self.failure(a.failure.as_ref()),
            A::ChildWorkflowExecutionCanceledEventAttributes(a) => self.payloads(a.details.as_ref()),
            A::WorkflowExecutionUpdateAcceptedEventAttributes(a) => self.request(a.accepted_request.as_ref()),
            A::WorkflowExecutionUpdateAdmittedEventAttributes(a) => self.request(a.request.as_ref()),
            A::WorkflowExecutionUpdateCompletedEventAttributes(a) => self.outcome(a.outcome.as_ref()),
            A::WorkflowPropertiesModifiedEventAttributes(a) => self.memo(a.upserted_memo.as_ref()),
            _ => {}
        }
    }

    fn payload(&mut self, payload: &Payload) {
        for external in &payload.external_payloads {
            self.count += 1;
            self.size = self.size.saturating_add(external.size_bytes);
        }
    }

    fn each<'a>(&mut self, payloads: impl IntoIterator<Item = &'a Payload>) {
        for payload in payloads {
            self.payload(payload);
        }
    }

    fn payloads(&mut self, payloads: Option<&Payloads>) {
        self.each(payloads.iter().flat_map(|payloads| &payloads.payloads));
    }

    fn header(&mut self, header: Option<&Header>) {
        self.each(header.iter().flat_map(|header| header.fields.values()));
    }

    fn memo(&mut self, memo: Option<&Memo>) {
        self.each(memo.iter().flat_map(|memo| memo.fields.values()));
    }

    fn metadata(&mut self, metadata: Option<&UserMetadata>) {
        let Some(metadata) = metadata else { return };
        self.each(metadata.summary.iter().chain(&metadata.details));
    }

    fn request(&mut self, request: Option<&Request>) {
        let Some(input) = request.and_then(|request| request.input.as_ref()) else {
            return;
        };
        self.payloads(input.args.as_ref());
        self.header(input.header.as_ref());
    }

    fn outcome(&mut self, outcome: Option<&Outcome>) {
        match outcome.and_then(|outcome| outcome.value.as_ref()) {
            Some(outcome::Value::Success(result)) => self.payloads(Some(result)),
            Some(outcome::Value::Failure(failure)) => self.failure(Some(failure)),
            None => {}
        }
    }

    fn failure(&mut self, failure: Option<&Failure>) {
        let mut next = failure;
        while let Some(failure) = next {
            self.each(&failure.encoded_attributes);
            match &failure.failure_info {
                Some(FailureInfo::ApplicationFailureInfo(info)) => self.payloads(info.details.as_ref()),
                Some(FailureInfo::TimeoutFailureInfo(info)) => {
                    self.payloads(info.last_heartbeat_details.as_ref())
                }
                Some(FailureInfo::CanceledFailureInfo(info)) => self.payloads(info.details.as_ref()),
                Some(FailureInfo::ResetWorkflowFailureInfo(info)) => {
                    self.payloads(info.last_heartbeat_details.as_ref());
                }
                _ => {}
            }
            next = failure.cause.as_deref();
        }
    }
}

impl RunState {
    /// Counts those of an event that has become part of the history.
    pub(super) fn count_external_payloads(&mut self, event: &HistoryEvent) {
        let external = ExternalPayloads::of(event);
        self.external_payload_count += external.count;
        self.external_payload_size = self.external_payload_size.saturating_add(external.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use temporalio_protos::temporal::api::{
        common::v1::payload::ExternalPayloadDetails,
        failure::v1::{ApplicationFailureInfo, CanceledFailureInfo},
        history::v1::WorkflowExecutionFailedEventAttributes,
    };

    fn payload(sizes: &[i64]) -> Payload {
        Payload {
            external_payloads: sizes
                .iter()
                .map(|size_bytes| ExternalPayloadDetails {
                    size_bytes: *size_bytes,
                })
                .collect(),
            ..Default::default()
        }
    }

    #[test]
    fn those_in_the_causes_of_a_failure_count_too() {
        let details = |sizes: &[i64]| {
            Some(Payloads {
                payloads: vec![payload(sizes)],
            })
        };
        let cause = Failure {
            failure_info: Some(FailureInfo::CanceledFailureInfo(CanceledFailureInfo {
                details: details(&[5]),
                ..Default::default()
            })),
            encoded_attributes: Some(payload(&[7])),
            ..Default::default()
        };
        let failure = Failure {
            failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
                details: details(&[1, 2]),
                ..Default::default()
            })),
            cause: Some(Box::new(cause)),
            ..Default::default()
        };
        let event = HistoryEvent {
            user_metadata: Some(UserMetadata {
                summary: Some(payload(&[100])),
                details: None,
            }),
            attributes: Some(Attributes::WorkflowExecutionFailedEventAttributes(
                WorkflowExecutionFailedEventAttributes {
                    failure: Some(failure),
                    ..Default::default()
                },
            )),
            ..Default::default()
        };
        assert_eq!(
            ExternalPayloads::of(&event),
            ExternalPayloads { count: 5, size: 115 }
        );
    }
}
