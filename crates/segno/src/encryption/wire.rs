//! Requests and answers that do not pass through the SDK's own calls.

use futures::{FutureExt, future::BoxFuture};
use temporalio_client::{Client, tonic::Status};
use temporalio_common::{
    data_converters::{
        PayloadCodec, PayloadConversionError, SerializationContextData, WorkflowSerializationContext,
    },
    payload_visitor::{
        AsyncPayloadVisitor, PayloadField, PayloadFieldData, PayloadVisitable, encode_payloads,
    },
    protos::temporal::api::common::v1::Payload,
};

use super::keyring::{Unreadable, key_of};

/// Metadata, of this process alone, with the reason why a payload is still encrypted.
const REASON: &str = "segno-unreadable";

fn context() -> SerializationContextData {
    SerializationContextData::Workflow(WorkflowSerializationContext::new())
}

/// A request with its payloads as they are to be stored. Search attributes stay as they are.
pub(crate) async fn seal<M: PayloadVisitable>(client: &Client, mut request: M) -> Result<M, Status> {
    encode_payloads(&mut request, client.options().data_converter.codec(), &context())
        .await
        .map_err(|error| Status::internal(error.to_string()))?;
    Ok(request)
}

/// An answer with its payloads as they were before. One that cannot be decrypted stays, and [`unreadable`] says why: the
/// others around it are to be seen all the same.
pub(crate) async fn open<M: PayloadVisitable>(client: &Client, mut answer: M) -> M {
    let mut visitor = Open(client.options().data_converter.codec());
    // The visitor never refuses.
    let _ = answer.visit_payloads_mut(&mut visitor).await;
    answer
}

/// Why a payload is no data here, if it is none.
pub(crate) fn unreadable(payload: &Payload) -> Option<String> {
    let key = key_of(payload)?;
    let reason = payload.metadata.get(REASON);
    let reason = reason.map(|reason| String::from_utf8_lossy(reason).into_owned());
    Some(reason.unwrap_or_else(|| Unreadable::NoKey(key).to_string()))
}

struct Open<'a>(&'a (dyn PayloadCodec + Send + Sync));

impl Open<'_> {
    async fn one(&self, payload: &mut Payload) {
        if key_of(payload).is_none() {
            return;
        }
        match self.0.decode(&context(), vec![payload.clone()]).await {
            Ok(decrypted) => {
                if let Some(decrypted) = decrypted.into_iter().next() {
                    *payload = decrypted;
                }
            }
            Err(error) => {
                let reason = match error {
                    PayloadConversionError::EncodingError(error) => error.to_string(),
                    other => other.to_string(),
                };
                payload.metadata.insert(REASON.to_owned(), reason.into_bytes());
            }
        }
    }
}

impl AsyncPayloadVisitor for Open<'_> {
    fn visit<'a>(&'a mut self, field: PayloadField<'a>) -> BoxFuture<'a, Result<(), PayloadConversionError>> {
        async move {
            let payloads = match field.data {
                PayloadFieldData::Single(payload) => std::slice::from_mut(payload),
                PayloadFieldData::Repeated(payloads) => payloads.as_mut_slice(),
                PayloadFieldData::Payloads(payloads) => payloads.payloads.as_mut_slice(),
            };
            for payload in payloads {
                self.one(payload).await;
            }
            Ok(())
        }
        .boxed()
    }
}
