//! What a gRPC sink is told.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, de};
use tonic::{
    codegen::http::{Uri, uri::PathAndQuery},
    metadata::{AsciiMetadataKey, AsciiMetadataValue, BinaryMetadataKey, BinaryMetadataValue, MetadataMap},
};

use crate::Confidential;

/// Options of a gRPC sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The server, such as `https://orders.example.com` or `http://10.0.0.7:50051`.
    pub endpoint: Endpoint,
    /// The file with the descriptors, a `google.protobuf.FileDescriptorSet`.
    pub descriptors: PathBuf,
    /// The method, such as `shop.v1.Orders/Place`.
    pub method: MethodName,
    /// Sent along with each call. Those whose names end in `-bin` are base64 here.
    #[serde(default)]
    pub metadata: Metadata,
    /// A file with the certificates (PEM) of the authorities that the server is trusted by, in place of the machine's.
    pub ca: Option<PathBuf>,
    /// How long one call may take; the server is told. Default 30 s.
    #[serde(default, deserialize_with = "crate::limits::duration")]
    pub timeout: Option<Duration>,
}

/// Where a server is: the `http` or `https` URL of a host, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// Why a text is no [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint is http:// or https://, a host and a port, and nothing more")]
pub struct EndpointError;

impl Endpoint {
    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }

    pub(super) fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError)?;
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        let plain = uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
        if scheme && plain && matches!(uri.path(), "" | "/") && uri.query().is_none() {
            Ok(Self(uri))
        } else {
            Err(EndpointError)
        }
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// A method by its service's full name and its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodName {
    service: String,
    method: String,
    path: PathAndQuery,
}

/// Why a text is no [`MethodName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no method: write package.Service/Method")]
pub struct MethodError(String);

impl MethodName {
    pub(super) fn service(&self) -> &str {
        &self.service
    }

    pub(super) fn method(&self) -> &str {
        &self.method
    }

    pub(super) fn path(&self) -> PathAndQuery {
        self.path.clone()
    }
}

impl FromStr for MethodName {
    type Err = MethodError;

    fn from_str(text: &str) -> Result<Self, MethodError> {
        let wrong = || MethodError(text.to_owned());
        let (service, method) = text.trim_start_matches('/').split_once('/').ok_or_else(wrong)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
        if [service, method]
            .iter()
            .any(|part| part.is_empty() || !part.bytes().all(fits))
        {
            return Err(wrong());
        }
        Ok(Self {
            service: service.to_owned(),
            method: method.to_owned(),
            path: format!("/{service}/{method}").parse().map_err(|_| wrong())?,
        })
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.method)
    }
}

impl<'de> Deserialize<'de> for MethodName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// What goes along with each call. `Debug` shows the names alone.
#[derive(Clone, Default)]
pub struct Metadata(MetadataMap);

impl Metadata {
    pub(super) fn into_map(self) -> MetadataMap {
        self.0
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.as_ref().keys()).finish()
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = MetadataMap::new();
        for (name, value) in BTreeMap::<String, Confidential>::deserialize(deserializer)? {
            insert(&mut map, &name.to_ascii_lowercase(), value.expose()).map_err(de::Error::custom)?;
        }
        Ok(Self(map))
    }
}

fn insert(map: &mut MetadataMap, name: &str, value: &str) -> Result<(), String> {
    const RESERVED: [&str; 5] = ["content-type", "host", "idempotency-key", "te", "user-agent"];
    if RESERVED.contains(&name) || name.starts_with("grpc-") {
        return Err(format!("the metadata {name:?} is set by Segno"));
    }
    let no_name = || format!("{name:?} cannot name metadata");
    if name.ends_with("-bin") {
        let key = BinaryMetadataKey::from_bytes(name.as_bytes()).map_err(|_| no_name())?;
        let value = STANDARD
            .decode(value)
            .map_err(|_| format!("the metadata {name:?} is not base64"))?;
        map.insert_bin(key, BinaryMetadataValue::from_bytes(&value));
    } else {
        let key = AsciiMetadataKey::from_bytes(name.as_bytes()).map_err(|_| no_name())?;
        let mut value: AsciiMetadataValue = value.parse().map_err(|_| {
            format!("the value of the metadata {name:?} holds characters that it cannot hold")
        })?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(())
}
