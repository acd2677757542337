//! The object store sink: each payload is one object in Amazon S3, Google Cloud Storage, Azure Blob Storage, or a file in a
//! folder.
//!
//! Keys and passwords of the clouds come from their usual environment variables (`AWS_…`, `GOOGLE_…`, `AZURE_…`) or from
//! `settings`, else from the machine's own identity, as the [`object_store`](::object_store) library has it.
//!
//! A delivery that is repeated writes the same object again. With `create` an object that is there already stays: if it is
//! the same, the delivery has been made before, and if it is another, the failure is permanent.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ::object_store::{
    Attribute, Attributes, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    local::LocalFileSystem, path::Path as Key,
};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::{Delivered, Delivery, Failure, Sink, signature::digest};

mod connect;
mod failure;
mod options;

pub use connect::ConnectError;
pub use options::{Content, Location, LocationError, Options};

use failure::explain;

/// Longest key that the clouds take, in bytes.
const LONGEST_KEY: usize = 1_024;
/// Longest name of a file.
const LONGEST_NAME: usize = 255;

/// The sink these options describe; a relative folder is taken from `base`.
pub(crate) fn build(options: Options, _: &str, base: &Path) -> Result<Arc<dyn Sink>, ConnectError> {
    Ok(Arc::new(Objects::new(options, base)?))
}

/// An object store sink.
#[derive(Debug)]
pub struct Objects {
    options: Options,
    store: Store,
}

#[derive(Debug)]
enum Store {
    /// A folder, which is made when the first object comes.
    Folder(PathBuf, OnceCell<LocalFileSystem>),
    /// A cloud's, and what all keys begin with.
    Cloud(Arc<dyn ObjectStore>, Key),
}

impl Objects {
    /// The sink these options describe; a relative folder is taken from `base`. It connects to nothing.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub fn new(options: Options, base: &Path) -> Result<Self, ConnectError> {
        let store = match &options.url {
            Location::Folder(_) if !options.settings.is_empty() => return Err(ConnectError::Settings),
            Location::Folder(path) => Store::Folder(base.join(path), OnceCell::new()),
            Location::Cloud { url, cloud, prefix } => {
                Store::Cloud(connect::connect(*cloud, url, &options.settings)?, prefix.clone())
            }
        };
        Ok(Self { options, store })
    }

    /// The key of a delivery's object.
    fn key(&self, delivery: Delivery<'_>) -> Result<Key, Failure> {
        let key = match &self.options.key {
            Some(template) => template.render(delivery)?,
            None => format!("{}.json", digest(delivery.key)),
        };
        // Two different texts are two different keys: nothing is left out or written in another way.
        let key = Key::parse(key.trim_start_matches('/'))
            .ok()
            .filter(|parsed| !key.ends_with('/') && !parsed.as_ref().is_empty())
            .ok_or_else(|| {
                Failure::permanent(format!(
                    "{key:?} is no key of an object: it is names with single slashes between them, none of which is \".\" \
                    or \"..\""
                ))
            })?;
        let (key, longest) = match &self.store {
            Store::Folder(..) => {
                if key.parts().any(|part| part.as_ref().len() > LONGEST_NAME) {
                    return Err(Failure::permanent(format!(
                        "a name in the object's key is longer than the {LONGEST_NAME} bytes of a file's name"
                    )));
                }
                (key, usize::MAX)
            }
            Store::Cloud(_, prefix) => (prefix.parts().chain(key.parts()).collect(), LONGEST_KEY),
        };
        if key.as_ref().len() > longest {
            return Err(Failure::permanent(format!(
                "the object's key is longer than {longest} bytes"
            )));
        }
        Ok(key)
    }

    fn body(&self, delivery: Delivery<'_>) -> Result<Bytes, Failure> {
        let payload = delivery.payload;
        let field = |name: &str| {
            let found = if name.starts_with('/') {
                payload.pointer(name)
            } else {
                payload.get(name)
            };
            found
                .and_then(|value| value.as_str())
                .ok_or_else(|| Failure::permanent(format!("the payload has no text in its field {name:?}")))
        };
        match &self.options.content {
            Content::Payload => serde_json::to_vec(payload).map(Bytes::from).map_err(|error| {
                Failure::permanent(format!("the payload cannot be written as JSON: {error}"))
            }),
            Content::Text(name) => Ok(Bytes::copy_from_slice(field(name)?.as_bytes())),
            Content::Base64(name) => {
                let encoded: Vec<u8> = field(name)?
                    .bytes()
                    .filter(|byte| !byte.is_ascii_whitespace())
                    .collect();
                let decoded = STANDARD.decode(encoded).map_err(|error| {
                    Failure::permanent(format!("the payload's field {name:?} is not base64: {error}"))
                })?;
                Ok(Bytes::from(decoded))
            }
        }
    }

    /// The folder's store. What it writes is on disk before it answers.
    async fn folder(path: &Path, store: &OnceCell<LocalFileSystem>) -> Result<LocalFileSystem, Failure> {
        let open = || async {
            let path = path.to_owned();
            let opened = tokio::task::spawn_blocking(move || {
                crate::folders::create(&path)
                    .map_err(|error| Failure::retryable(format!("the folder cannot be made: {error}")))?;
                let store = LocalFileSystem::new_with_prefix(path).map_err(|error| explain(&error))?;
                Ok(store.with_fsync(true))
            });
            opened.await.unwrap_or_else(|error| {
                Err(Failure::retryable(format!("the folder cannot be made: {error}")))
            })
        };
        store.get_or_try_init(open).await.cloned()
    }
}

#[async_trait]
impl Sink for Objects {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let (key, body) = (self.key(delivery)?, self.body(delivery)?);
        let mut put = PutOptions {
            mode: if self.options.create {
                PutMode::Create
            } else {
                PutMode::Overwrite
            },
            ..PutOptions::default()
        };
        let folder;
        let store: &dyn ObjectStore = match &self.store {
            // Files have no type beside their names.
            Store::Folder(path, store) => {
                folder = Self::folder(path, store).await?;
                &folder
            }
            Store::Cloud(store, _) => {
                let content_type = self.options.content_type().to_owned();
                put.attributes = Attributes::from_iter([(Attribute::ContentType, content_type)]);
                store
            }
        };
        match store
            .put_opts(&key, PutPayload::from_bytes(body.clone()), put)
            .await
        {
            Ok(_) => Ok(Delivered { status: None }),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) if self.options.create => {
                let there = async { store.get(&key).await?.bytes().await };
                if there.await.map_err(|error| explain(&error))? == body {
                    return Ok(Delivered { status: None });
                }
                Err(Failure::permanent("another object is there under this key"))
            }
            Err(error) => Err(explain(&error)),
        }
    }
}
