//! How AWS is reached.

use std::{sync::OnceLock, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials as Keys;
use aws_sdk_sqs::config::SharedHttpClient;
use aws_smithy_http_client::{Builder, tls};
use segno_event::Confidential;
use serde::Deserialize;

use crate::Error;

/// How long one call may take: longer than the longest poll, which is 20 seconds.
const CALL: Duration = Duration::from_secs(40);
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
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) credentials: Option<Credentials>,
}

impl Connection {
    /// The configuration for clients.
    pub(crate) async fn load(&self) -> Result<SdkConfig, Error> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(CALL);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .timeout_config(timeouts.build())
            .http_client(http());
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(keys) = &self.credentials {
            let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
            let (id, secret) = (keys.access_key_id.expose(), keys.secret_access_key.expose());
            loader = loader.credentials_provider(Keys::new(id, secret, token, None, "segno"));
        }
        let config = loader.load().await;
        match (config.region(), config.endpoint_url()) {
            (Some(_), _) => Ok(config),
            (None, Some(_)) => Ok(config.into_builder().region(Region::new(ANY_REGION)).build()),
            (None, None) => Err(Error(
                "no AWS region is known: set `region` of the source, or AWS_REGION".to_owned(),
            )),
        }
    }
}

/// One HTTP client for all, as the root certificates take their time to load.
fn http() -> SharedHttpClient {
    static HTTP: OnceLock<SharedHttpClient> = OnceLock::new();
    let make = || {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        Builder::new().tls_provider(ring).build_https()
    };
    HTTP.get_or_init(make).clone()
}
