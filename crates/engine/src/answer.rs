//! Answers with a history in them: its events are encoded already, and copied as they are.

use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};
use temporalio_protos::temporal::api::{
    history::v1::History,
    workflowservice::v1::{GetWorkflowExecutionHistoryResponse, PollWorkflowTaskQueueResponse},
};

/// What an RPC answers with.
pub(crate) trait Answer {
    /// The bytes of the message.
    fn into_bytes(self) -> Vec<u8>;
}

impl<M: Message> Answer for M {
    fn into_bytes(self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

/// A message with a field for a history.
pub(crate) trait HasHistory: Message {
    /// The field's number.
    const FIELD: u32;

    fn set_history(&mut self, history: History);
}

impl HasHistory for PollWorkflowTaskQueueResponse {
    const FIELD: u32 = 8;

    fn set_history(&mut self, history: History) {
        self.history = Some(history);
    }
}

impl HasHistory for GetWorkflowExecutionHistoryResponse {
    const FIELD: u32 = 1;

    fn set_history(&mut self, history: History) {
        self.history = Some(history);
    }
}

/// A message and its history.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WithHistory<M> {
    /// Without the history.
    pub(crate) message: M,
    /// The history, encoded; none: it has none.
    pub(crate) history: Option<Vec<u8>>,
}

impl<M: HasHistory> WithHistory<M> {
    /// The message with its history in it: for those that travel inside another message.
    pub(crate) fn whole(self) -> M {
        let mut message = self.message;
        if let Some(history) = self.history {
            // The engine has encoded it.
            message.set_history(History::decode(history.as_slice()).unwrap_or_default());
        }
        message
    }
}

impl<M: HasHistory> Answer for WithHistory<M> {
    /// The fields of a message may come in any order: the history is the last.
    fn into_bytes(self) -> Vec<u8> {
        let history = self.history.as_ref().map_or(0, |history| history.len() + 16);
        let mut bytes = Vec::with_capacity(self.message.encoded_len() + history);
        self.message.encode_raw(&mut bytes);
        if let Some(history) = self.history {
            encode_key(M::FIELD, WireType::LengthDelimited, &mut bytes);
            encode_varint(history.len() as u64, &mut bytes);
            bytes.extend_from_slice(&history);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use temporalio_protos::temporal::api::{
        history::v1::{History, HistoryEvent},
        workflowservice::v1::{GetWorkflowExecutionHistoryResponse, PollWorkflowTaskQueueResponse},
    };

    use super::{Answer as _, HasHistory, WithHistory};

    fn check<M: HasHistory + Default + Clone + PartialEq + std::fmt::Debug>(message: M) {
        let history = History {
            events: vec![
                HistoryEvent {
                    event_id: 1,
                    ..Default::default()
                },
                HistoryEvent {
                    event_id: 2,
                    ..Default::default()
                },
            ],
        };
        let mut expected = message.clone();
        expected.set_history(history.clone());
        let answer = WithHistory {
            message: message.clone(),
            history: Some(history.encode_to_vec()),
        };
        let whole = answer.clone().whole();
        assert_eq!(whole, expected);
        let decoded = M::decode(answer.into_bytes().as_slice()).expect("it decodes");
        assert_eq!(decoded, expected);
        let without = WithHistory {
            message: message.clone(),
            history: None,
        };
        assert_eq!(without.into_bytes(), message.encode_to_vec());
    }

    #[test]
    fn the_history_is_in_its_field() {
        check(PollWorkflowTaskQueueResponse {
            task_token: vec![1, 2],
            attempt: 3,
            ..Default::default()
        });
        check(GetWorkflowExecutionHistoryResponse {
            next_page_token: vec![4],
            archived: true,
            ..Default::default()
        });
    }
}
