//! What the sinks of AWS share: how AWS is reached, and what its errors mean.

use std::{error::Error, fmt::Write, sync::OnceLock, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials as Keys;
use aws_smithy_http_client::{Builder, tls};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::{Confidential, Failure};

#[cfg(any(feature = "sns", feature = "sqs"))]
mod attributes;
#[cfg(any(feature = "sns", feature = "sqs"))]
mod body;
#[cfg(any(feature = "sns", feature = "sqs"))]
mod entries;
#[cfg(any(feature = "sns", feature = "sqs"))]
mod messages;

#[cfg(any(feature = "sns", feature = "sqs"))]
pub(crate) use attributes::Attributes;
#[cfg(any(feature = "sns", feature = "sqs"))]
pub(crate) use entries::{Told, outcomes};
#[cfg(any(feature = "sns", feature = "sqs"))]
pub(crate) use messages::{Message, Messages};

/// How long one call may take; `limits.timeout` can only make it shorter.
const CALL: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The region in the signature where none is given and the endpoint is not AWS's.
const ANY_REGION: &str = "us-east-1";

/// An access key. Without one, it is AWS's usual ways: the variables `AWS_ACCESS_KEY_ID` and so on, a profile, a web
/// identity, the container's or the machine's role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Its id.
    pub access_key_id: Confidential,
    /// Its secret.
    pub secret_access_key: Confidential,
    /// The token that belongs to keys for a time.
    pub session_token: Option<Confidential>,
}

/// How AWS is reached. What is not given comes from AWS's usual variables and files.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) credentials: Option<Credentials>,
    config: OnceCell<SdkConfig>,
}

impl Connection {
    pub(crate) fn check(endpoint: Option<&str>) -> Result<(), OptionError> {
        let is_url = |text| url::Url::parse(text).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
        match endpoint {
            Some(endpoint) if !is_url(endpoint) => Err(OptionError::Endpoint(endpoint.to_owned())),
            _ => Ok(()),
        }
    }

    pub(crate) fn new(
        endpoint: Option<String>,
        region: Option<String>,
        profile: Option<String>,
        credentials: Option<Credentials>,
    ) -> Self {
        Self {
            endpoint,
            region,
            profile,
            credentials,
            config: OnceCell::new(),
        }
    }

    /// The configuration for clients, found out once. A call is one attempt: the caller tries again.
    pub(crate) async fn config(&self) -> Result<&SdkConfig, Failure> {
        self.config.get_or_try_init(|| self.load()).await
    }

    async fn load(&self) -> Result<SdkConfig, Failure> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_timeout(CALL);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build());
        if let Some(client) = base().http_client() {
            loader = loader.http_client(client);
        }
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(Credentials {
            access_key_id,
            secret_access_key,
            session_token,
        }) = &self.credentials
        {
            let token = session_token.as_ref().map(|token| token.expose().to_owned());
            let (id, secret) = (access_key_id.expose(), secret_access_key.expose());
            loader = loader.credentials_provider(Keys::new(id, secret, token, None, "segno"));
        }
        let config = loader.load().await;
        if config.region().is_some() {
            return Ok(config);
        }
        if config.endpoint_url().is_some() {
            return Ok(config.into_builder().region(Region::new(ANY_REGION)).build());
        }
        Err(Failure::retryable(
            "no AWS region is known: set `region` of the sink, or AWS_REGION",
        ))
    }
}

/// Options that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// The endpoint is none.
    #[error("endpoint {0:?} is no http or https URL")]
    Endpoint(String),
    /// AWS takes no attribute of this name.
    #[error(
        "an attribute cannot be named {0:?}: a name has 1 to 256 letters, digits, underscores, hyphens and full stops, \
        none at an end or twice in a row, and does not begin with `AWS.` or `Amazon.`"
    )]
    AttributeName(String),
    /// AWS takes no more attributes.
    #[error("{0} attributes are too many: a message has at most 10")]
    Attributes(usize),
    /// The delay is too long.
    #[error("a delay of {} is too long: SQS delays up to 15 minutes", humantime::format_duration(*.0))]
    Delay(Duration),
    /// FIFO queues delay as a whole.
    #[error("a FIFO queue takes no delay of single messages: set its own delay")]
    FifoDelay,
    /// The topic is no ARN of one.
    #[error("topic {0:?} is no ARN of a topic, such as arn:aws:sns:eu-central-1:123456789012:orders")]
    Topic(String),
    /// The thing has no name.
    #[error("`{0}` is empty")]
    Empty(&'static str),
}

/// What all configurations have in common: one HTTP client, as the root certificates take their time to load.
fn base() -> &'static SdkConfig {
    static BASE: OnceLock<SdkConfig> = OnceLock::new();
    BASE.get_or_init(|| {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let client = Builder::new().tls_provider(ring).build_https();
        SdkConfig::builder().http_client(client).build()
    })
}

/// A failed call, as every SDK of AWS tells it.
pub(crate) struct Refusal<'a> {
    pub(crate) code: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
    pub(crate) status: Option<u16>,
    pub(crate) error: &'a (dyn Error + 'static),
}

/// The [`Refusal`] in an error of one of the SDKs.
macro_rules! refusal {
    ($error:expr) => {{
        let error = $error;
        $crate::aws::Refusal {
            code: error.code(),
            message: error.message(),
            status: error.raw_response().map(|response| response.status().as_u16()),
            error,
        }
    }};
}
pub(crate) use refusal;

impl Refusal<'_> {
    /// What it means for the deliveries of the call. Permanent is only what is wrong with the messages themselves, by the
    /// codes that say so: a missing queue, a missing right or an outage is mended without touching them.
    pub(crate) fn failure(&self, service: &str) -> Failure {
        let Some(code) = self.code else {
            let mut reason = format!("{service} cannot be reached: {}", self.error);
            let mut source = self.error.source();
            while let Some(error) = source {
                let _ = write!(reason, ": {error}");
                source = error.source();
            }
            return Failure::Retryable {
                reason,
                status: self.status,
                retry_after: None,
            };
        };
        failure(service, code, self.message, is_permanent(code), self.status)
    }
}

/// The failure of one entry or call with this code.
pub(crate) fn failure(
    service: &str,
    code: &str,
    message: Option<&str>,
    permanent: bool,
    status: Option<u16>,
) -> Failure {
    let reason = match message {
        Some(message) if !message.is_empty() => format!("{service} answers {code}: {message}"),
        _ => format!("{service} answers {code}"),
    };
    if permanent {
        Failure::Permanent { reason, status }
    } else {
        Failure::Retryable {
            reason,
            status,
            retry_after: None,
        }
    }
}

/// Whether the code says that the message is wrong.
pub(crate) fn is_permanent(code: &str) -> bool {
    // Some services put their name first: `AWS.SimpleQueueService.BatchRequestTooLong`.
    let code = code.rsplit('.').next().unwrap_or(code);
    matches!(
        code.trim_end_matches("Exception"),
        "BatchRequestTooLong"
            | "InvalidArgument"
            | "InvalidAttributeValue"
            | "InvalidMessageContents"
            | "InvalidParameter"
            | "InvalidParameterCombination"
            | "InvalidParameterValue"
            | "MalformedDetail"
            | "MessageTooLong"
            | "MissingParameter"
            | "NotAuthorizedForDetailType"
            | "NotAuthorizedForSource"
            | "ParameterValueInvalid"
            | "UnsupportedOperation"
            | "Validation"
            | "ValidationError"
    )
}

/// Whether the code says that something about the sender other than the message is in the way: it is called the sender's
/// fault and passes all the same.
#[cfg(any(feature = "sns", feature = "sqs"))]
pub(crate) fn is_passing(code: &str) -> bool {
    const PASSING: [&str; 8] = [
        "Throttl",
        "AccessDenied",
        "AuthorizationError",
        "DoesNotExist",
        "NonExistent",
        "NotFound",
        "Kms",
        "KMS",
    ];
    PASSING.iter().any(|part| code.contains(part))
}
