//! What an object store sink is told.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use ::object_store::{ObjectStoreScheme, path::Path as Key};
use serde::{Deserialize, Deserializer, de};
use url::Url;

use crate::{Confidential, Template};

use super::connect::{Cloud, ConnectError, connect};

/// Options of an object store sink.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the objects go.
    pub url: Location,
    /// The object's key, behind that of the URL. Default: a digest of the idempotency key, with `.json`.
    pub key: Option<Template>,
    /// What the object holds.
    pub content: Content,
    /// Default: what fits the content.
    pub content_type: Option<String>,
    /// Whether an object that is there already is left as it is. Default no.
    pub create: bool,
    /// Settings by their names in the `object_store` library, such as `region`, `endpoint`, `access_key_id`.
    pub settings: BTreeMap<String, Confidential>,
}

/// What an object holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// The payload as JSON.
    #[default]
    Payload,
    /// The text in this field of the payload: a name, or a JSON pointer.
    Text(String),
    /// The bytes whose base64 is in this field.
    Base64(String),
}

impl Options {
    pub(super) fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or(match self.content {
            Content::Payload => "application/json",
            Content::Text(_) => "text/plain; charset=utf-8",
            Content::Base64(_) => "application/octet-stream",
        })
    }
}

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename = "Options")]
        struct Given {
            url: Location,
            key: Option<Template>,
            text: Option<String>,
            base64: Option<String>,
            content_type: Option<String>,
            #[serde(default)]
            create: bool,
            #[serde(default)]
            settings: BTreeMap<String, Confidential>,
        }
        let given = Given::deserialize(deserializer)?;
        let content = match (given.text, given.base64) {
            (None, None) => Content::Payload,
            (Some(field), None) => Content::Text(field),
            (None, Some(field)) => Content::Base64(field),
            (Some(_), Some(_)) => {
                return Err(de::Error::custom(
                    "an object is of `text` or of `base64`, and not of both",
                ));
            }
        };
        if given.content_type.is_some() && matches!(given.url, Location::Folder(_)) {
            return Err(de::Error::custom("the files of a folder have no `content_type`"));
        }
        let settings = match &given.url {
            Location::Folder(_) if !given.settings.is_empty() => Err(ConnectError::Settings),
            Location::Folder(_) => Ok(()),
            Location::Cloud { url, cloud, .. } => connect(*cloud, url, &given.settings).map(drop),
        };
        // Settings that are missing here may come from the environment where the sink is used.
        if let Err(error @ (ConnectError::Settings | ConnectError::Setting(_))) = settings {
            return Err(de::Error::custom(error));
        }
        Ok(Self {
            url: given.url,
            key: given.key,
            content,
            content_type: given.content_type,
            create: given.create,
            settings: given.settings,
        })
    }
}

/// Where objects go: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or the `https` URL of one of
/// these; `file:///folder`, or a folder's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder.
    Folder(PathBuf),
    /// A cloud's store.
    Cloud {
        /// Its URL.
        url: Url,
        /// Whose.
        cloud: Cloud,
        /// What all keys begin with.
        prefix: Key,
    },
}

/// Why a text is no [`Location`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// It looks like a URL and is none.
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
    /// It names no store.
    #[error(
        "this URL names no object store: write s3://, gs:// or az:// and the bucket, or the path of a folder"
    )]
    Unknown,
    /// It has a password.
    #[error("a password has no place in this URL: give it under `settings`")]
    Password,
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        if !text.contains("://") {
            return if text.is_empty() {
                Err(LocationError::Unknown)
            } else {
                Ok(Self::Folder(text.into()))
            };
        }
        let url = Url::parse(text)?;
        if url.password().is_some() {
            return Err(LocationError::Password);
        }
        let (scheme, prefix) = ObjectStoreScheme::parse(&url).map_err(|_| LocationError::Unknown)?;
        let cloud = match scheme {
            ObjectStoreScheme::Local => {
                return url
                    .to_file_path()
                    .map(Self::Folder)
                    .map_err(|()| LocationError::Unknown);
            }
            ObjectStoreScheme::AmazonS3 => Cloud::Amazon,
            ObjectStoreScheme::GoogleCloudStorage => Cloud::Google,
            ObjectStoreScheme::MicrosoftAzure => Cloud::Azure,
            _ => return Err(LocationError::Unknown),
        };
        Ok(Self::Cloud { url, cloud, prefix })
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}
