//! An AWS Lambda function that takes events in: what EventBridge, SQS, SNS and S3 invoke it with goes to a Segno.
//!
//! It hands events over by HTTP and does not start executions itself. So the routes are known in one place, the function
//! needs no access to the engine, and an invocation that AWS repeats starts nothing twice: an event is known by its id.
//!
//! It answers only when Segno has all events on disk. If not:
//!
//! - of a batch of SQS it names the messages that failed, and the others are done (the event source mapping needs
//!   `ReportBatchItemFailures`); of a FIFO queue everything of a message group that comes after a failure fails too;
//! - of all else the invocation fails, so that AWS repeats it and at last hands it to the function's dead-letter queue or
//!   destination. What is malformed fails likewise: the reason is in the log.
//!
//! | variable | meaning |
//! |---|---|
//! | `SEGNO_URL` | the Segno, such as `https://segno.example.com` |
//! | `SEGNO_AUTHORIZATION` | a value for the header `Authorization`, where something in front of Segno wants one |
//! | `SEGNO_MAP` | a jq expression from a message to events, in place of what is recognised by itself |

mod invocation;
mod segno;

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use segno_sources::{Codec, codec::Mapping};
use serde_json::{Value, json};

use invocation::{Invocation, Message};
use segno::{Refusal, Segno};

struct Function {
    segno: Segno,
    codec: Codec,
    /// Source of events that name none.
    origin: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let url = variable("SEGNO_URL").ok_or("SEGNO_URL names no Segno")?;
    let codec = match variable("SEGNO_MAP") {
        Some(map) => Codec::Map(Mapping::compile(&map).map_err(|error| format!("SEGNO_MAP: {error}"))?),
        None => Codec::Auto,
    };
    let name = variable("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|| "segno".to_owned());
    let function = Arc::new(Function {
        segno: Segno::new(&url, variable("SEGNO_AUTHORIZATION").as_deref())?,
        codec,
        origin: format!("/lambda/{name}"),
    });
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let function = Arc::clone(&function);
        async move { function.invoke(event.payload, &event.context.request_id).await }
    }))
    .await
}

impl Function {
    async fn invoke(&self, payload: Value, request: &str) -> Result<Value, Error> {
        match Invocation::of(payload, request) {
            Invocation::Queue { messages, fifo } => {
                let failed = self.queue(&messages, fifo).await;
                let failures: Vec<_> = failed.iter().map(|id| json!({"itemIdentifier": id})).collect();
                Ok(json!({"batchItemFailures": failures}))
            }
            Invocation::Whole(messages) => {
                let mut events = Vec::new();
                for message in &messages {
                    events.extend(self.decode(message)?);
                }
                self.segno
                    .take(&events)
                    .await
                    .map_err(|refusal| refusal.to_string())?;
                Ok(json!({"events": events.len()}))
            }
        }
    }

    fn decode(&self, message: &Message) -> Result<Vec<segno_event::Event>, String> {
        let decoded = self.codec.decode(&message.as_codec(), &self.origin);
        decoded.map_err(|malformed| format!("the message {}: {malformed}", message.id))
    }

    /// The ids of the messages that failed.
    async fn queue(&self, messages: &[Message], fifo: bool) -> Vec<String> {
        let decoded: Vec<_> = messages
            .iter()
            .map(|message| (message, self.decode(message)))
            .collect();
        // In one request first, as most batches are all right. Of a FIFO queue one after the other.
        let all: Vec<_> = decoded
            .iter()
            .filter_map(|(_, events)| events.as_ref().ok())
            .flatten()
            .cloned()
            .collect();
        let together = match fifo {
            true => None,
            false => Some(self.segno.take(&all).await),
        };
        let (mut failed, mut groups) = (Vec::new(), Vec::new());
        for (message, events) in decoded {
            let behind = fifo && message.group.as_ref().is_some_and(|group| groups.contains(group));
            let outcome = match (events, &together) {
                _ if behind => Err("an earlier message of its group failed".to_owned()),
                (Err(reason), _) => Err(reason),
                (Ok(_), Some(Ok(()))) => Ok(()),
                (Ok(_), Some(Err(Refusal::Passing(reason)))) => Err(reason.clone()),
                // By itself it may be taken.
                (Ok(events), Some(Err(Refusal::Content(_))) | None) => self
                    .segno
                    .take(&events)
                    .await
                    .map_err(|refusal| refusal.to_string()),
            };
            if let Err(reason) = outcome {
                log(&message.id, &reason);
                groups.extend(message.group.clone());
                failed.push(message.id.clone());
            }
        }
        failed
    }
}

/// A line in the function's log.
fn log(message: &str, reason: &str) {
    use std::io::Write;
    let line = json!({"level": "WARN", "message": "a message failed", "id": message, "reason": reason});
    drop(writeln!(std::io::stderr(), "{line}"));
}
