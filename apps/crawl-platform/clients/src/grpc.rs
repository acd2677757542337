//! One gRPC call to a service and what its status means.

use std::{future::Future, time::Duration};

use segno_sinks::Failure;
use serde::Deserialize;
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint as Address},
};

use crate::{Confidential, Endpoint, Error, error::told, http::TIMEOUT};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest key that is sent, in bytes.
const LONGEST_KEY: usize = 200;

/// Options of a client of one of the platform's services.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where it is, such as `http://platform:50051`.
    pub url: Endpoint,
    /// The token that is sent as `authorization: Bearer …`, if the service asks for one.
    pub token: Option<Confidential>,
    /// How long a call may take, in seconds. Default 30.
    #[serde(default, deserialize_with = "crate::endpoint::seconds")]
    pub timeout: Option<Duration>,
}

/// The way to one service. It connects at the first call, and again when the connection is lost.
#[derive(Clone, Debug)]
pub(crate) struct Grpc {
    pub(crate) channel: Channel,
    service: &'static str,
    authorization: Option<MetadataValue<Ascii>>,
    token: Option<Confidential>,
    timeout: Duration,
}

impl Grpc {
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub(crate) fn new(service: &'static str, options: &Options) -> Result<Self, Error> {
        let wrong = |reason: String| Error {
            service,
            operation: "begin",
            failure: Failure::permanent(reason),
        };
        let address = Address::from_shared(options.url.to_string())
            .map_err(|error| wrong(format!("its URL cannot be used: {error}")))?;
        let authorization = match &options.token {
            Some(token) => {
                let value = MetadataValue::try_from(format!("Bearer {}", token.expose()));
                let mut value = value.map_err(|_| wrong("its token cannot stand in a header".to_owned()))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Self {
            channel: address.connect_timeout(CONNECT).connect_lazy(),
            service,
            authorization,
            token: options.token.clone(),
            timeout: options.timeout.unwrap_or(TIMEOUT),
        })
    }

    /// Makes one attempt; with a key, one that changes something once.
    pub(crate) async fn call<T, R, F>(
        &self,
        operation: &'static str,
        key: Option<&str>,
        message: T,
        call: impl FnOnce(Request<T>) -> F,
    ) -> Result<R, Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let failed = |failure| Error {
            service: self.service,
            operation,
            failure,
        };
        let mut request = Request::new(message);
        // The server is told too, so that it need not go on for nobody.
        request.set_timeout(self.timeout);
        if let Some(authorization) = &self.authorization {
            request
                .metadata_mut()
                .insert("authorization", authorization.clone());
        }
        if let Some(key) = key {
            let key = header(key);
            let value = MetadataValue::try_from(key)
                .map_err(|_| failed(Failure::permanent("the idempotency key cannot stand in a header")))?;
            request.metadata_mut().insert("idempotency-key", value);
        }
        match tokio::time::timeout(self.timeout, call(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(failed(self.explain(&status))),
            Err(_) => Err(failed(Failure::retryable(format!(
                "no answer within {:?}",
                self.timeout
            )))),
        }
    }

    fn explain(&self, status: &Status) -> Failure {
        let secret = self.token.as_ref().map(Confidential::expose);
        let said = told(status.message(), secret);
        let reason = match said.is_empty() {
            true => format!("it answered {:?}", status.code()),
            false => format!("it answered {:?}: {said}", status.code()),
        };
        let (status, may_pass) = meaning(status.code());
        let status = Some(status);
        if may_pass {
            return Failure::Retryable {
                reason,
                status,
                retry_after: None,
            };
        }
        Failure::Permanent { reason, status }
    }
}

/// A key as a header can have it: what is long, or has other characters, by its digest.
fn header(key: &str) -> String {
    let plain = key.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && !key.is_empty() && key.len() <= LONGEST_KEY {
        return key.to_owned();
    }
    segno_sinks::signature::digest(key)
}

/// The HTTP status that stands for a code (as `google.rpc.Code` has them), and whether it may pass.
fn meaning(code: Code) -> (u16, bool) {
    match code {
        Code::Ok => (200, true),
        Code::Cancelled => (499, true),
        Code::DeadlineExceeded => (504, true),
        Code::Internal | Code::Unknown => (500, true),
        Code::Unavailable => (503, true),
        Code::Aborted => (409, true),
        Code::ResourceExhausted => (429, true),
        Code::AlreadyExists => (409, false),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => (400, false),
        Code::NotFound => (404, false),
        Code::PermissionDenied => (403, false),
        Code::Unauthenticated => (401, false),
        Code::Unimplemented => (501, false),
        Code::DataLoss => (500, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_into_headers() {
        assert_eq!(header("route/source/1"), "route/source/1");
        for odd in ["", "é", "a b", &"x".repeat(201)] {
            assert_eq!(header(odd), segno_sinks::signature::digest(odd));
        }
    }

    #[tokio::test]
    async fn no_secret_is_shown() {
        let options = Options {
            url: "http://127.0.0.1:1".parse().unwrap(),
            token: Some(Confidential::from("hunter2".to_owned())),
            timeout: None,
        };
        let grpc = Grpc::new("It", &options).unwrap();
        assert!(!format!("{options:?} {grpc:?}").contains("hunter2"));
        let failure = grpc.explain(&Status::unauthenticated("token hunter2 is not known"));
        assert_eq!(
            failure.to_string(),
            "it answered Unauthenticated: token *** is not known"
        );
    }
}
