//! The keyring as the SDK's codec.

use futures::{FutureExt, future, future::BoxFuture};
use temporalio_common::{
    data_converters::{
        DataConverter, DefaultFailureConverter, PayloadCodec, PayloadConversionError, PayloadConverter,
        SerializationContextData,
    },
    protos::temporal::api::common::v1::Payload,
};

use super::Keyring;

/// Encrypts and decrypts every payload of the SDK's client and worker. What cannot be decrypted is an error: a worker that
/// lacks a key fails its task, which is tried again, and does not take ciphertext for data.
struct Codec(Keyring);

impl PayloadCodec for Codec {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        let encrypted = payloads.into_iter().map(|payload| self.0.encrypt(payload));
        future::ready(encrypted.collect::<Result<_, _>>().map_err(failed)).boxed()
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        let decrypted = payloads.into_iter().map(|payload| self.0.decrypt(payload));
        future::ready(decrypted.collect::<Result<_, _>>().map_err(failed)).boxed()
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> PayloadConversionError {
    PayloadConversionError::EncodingError(Box::new(error))
}

/// What the SDK makes payloads by. With keys the texts of failures become payloads too, as they may quote from an event or
/// from what a receiver said to it.
pub(crate) fn data_converter(keyring: &Keyring) -> DataConverter {
    DataConverter::new(
        PayloadConverter::default(),
        DefaultFailureConverter::new(!keyring.is_empty()),
        Codec(keyring.clone()),
    )
}
