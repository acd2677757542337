//! A cloud's store by its URL, settings and environment.

use std::{collections::BTreeMap, sync::Arc};

use ::object_store::{
    Error, ObjectStore, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
};
use rustls::crypto::{CryptoProvider, ring};
use url::Url;

use crate::Confidential;

/// Whose store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3, and what speaks its protocol.
    Amazon,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

/// Why a store cannot be used as it is described.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A folder needs none.
    #[error("the `settings` are those of clouds, and a folder has none")]
    Settings,
    /// There is no such setting.
    #[error("there is no setting {0:?} of this kind of store")]
    Setting(String),
    /// Settings are missing or wrong.
    #[error("the object store's settings cannot be used: {0}")]
    Store(#[source] Error),
}

/// One attempt: the engine makes the others.
const ONCE: RetryConfig = RetryConfig {
    backoff: ::object_store::BackoffConfig {
        init_backoff: std::time::Duration::from_millis(100),
        max_backoff: std::time::Duration::from_secs(1),
        base: 2.,
    },
    max_retries: 0,
    retry_timeout: std::time::Duration::from_secs(30),
};

/// The three builders have the same methods, and no trait for them.
macro_rules! build {
    ($builder:ty, $url:expr, $settings:expr) => {{
        let mut builder = <$builder>::from_env().with_url($url.as_str()).with_retry(ONCE);
        for (name, value) in $settings {
            let key = name
                .to_ascii_lowercase()
                .parse()
                .map_err(|_| ConnectError::Setting(name.clone()))?;
            builder = builder.with_config(key, value.expose());
        }
        Arc::new(builder.build().map_err(ConnectError::Store)?)
    }};
}

/// The store at a URL. Nothing is sent before its first use.
pub(super) fn connect(
    cloud: Cloud,
    url: &Url,
    settings: &BTreeMap<String, Confidential>,
) -> Result<Arc<dyn ObjectStore>, ConnectError> {
    // Its HTTP client takes the process's own, and panics without one.
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been quicker, with the same.
        let _ = ring::default_provider().install_default();
    }
    Ok(match cloud {
        Cloud::Amazon => build!(AmazonS3Builder, url, settings),
        Cloud::Google => build!(GoogleCloudStorageBuilder, url, settings),
        Cloud::Azure => build!(MicrosoftAzureBuilder, url, settings),
    })
}
