//! A configuration's sinks by name.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use crate::{Delivered, Failure, file, webhook};

/// Somewhere to deliver to.
#[async_trait]
pub trait Sink: fmt::Debug + Send + Sync {
    /// Makes one attempt to deliver `payload`. `key` is the same at every attempt of one delivery and
    /// differs between deliveries, so that the target can leave out repetitions.
    ///
    /// # Errors
    ///
    /// [`Failure`], which says whether another attempt is worth it.
    async fn deliver(&self, key: &str, payload: &Value) -> Result<Delivered, Failure>;
}

/// One sink in the configuration: a table with exactly one of the kinds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    #[serde(default)]
    pub webhook: Option<webhook::Options>,
    #[serde(default)]
    pub file: Option<file::Options>,
}

/// Why a sink cannot be made of its options.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Not exactly one kind is given.
    #[error("a sink has exactly one kind, `webhook` or `file`, and this one has {0}")]
    Kinds(usize),
    #[error("the webhook cannot be set up")]
    Webhook(#[from] webhook::SenderError),
    #[error("the file's writer cannot be started")]
    File(#[from] std::io::Error),
}

/// All sinks that cannot be made, by name.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.0.iter().map(|(name, error)| format!("sink {name:?}: {error}")).collect::<Vec<_>>().join("; "))]
pub struct BuildErrors(pub BTreeMap<String, BuildError>);

/// Sinks by name; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Sinks(Arc<BTreeMap<String, Arc<dyn Sink>>>);

impl Sinks {
    /// The sinks that a configuration describes. Relative paths are taken from `base`.
    ///
    /// # Errors
    ///
    /// [`BuildErrors`] with every sink that is wrong.
    pub fn new(options: BTreeMap<String, Options>, base: &Path) -> Result<Self, BuildErrors> {
        let (mut sinks, mut errors) = (BTreeMap::new(), BTreeMap::new());
        for (name, options) in options {
            match build(&name, options, base) {
                Ok(sink) => drop(sinks.insert(name, sink)),
                Err(error) => drop(errors.insert(name, error)),
            }
        }
        if errors.is_empty() {
            Ok(sinks.into_iter().collect())
        } else {
            Err(BuildErrors(errors))
        }
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there is a sink of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Makes one attempt to deliver `payload` to the sink `name` (see [`Sink::deliver`]).
    ///
    /// # Errors
    ///
    /// [`Failure`]. That there is no such sink is permanent: somebody has to configure it.
    pub async fn deliver(&self, name: &str, key: &str, payload: &Value) -> Result<Delivered, Failure> {
        let sink = self
            .0
            .get(name)
            .ok_or_else(|| Failure::permanent(format!("there is no sink {name:?} in the configuration")))?;
        sink.deliver(key, payload).await
    }
}

/// For programs that bring sinks of their own.
impl FromIterator<(String, Arc<dyn Sink>)> for Sinks {
    fn from_iter<I: IntoIterator<Item = (String, Arc<dyn Sink>)>>(sinks: I) -> Self {
        Self(Arc::new(sinks.into_iter().collect()))
    }
}

fn build(name: &str, options: Options, base: &Path) -> Result<Arc<dyn Sink>, BuildError> {
    match (options.webhook, options.file) {
        (Some(webhook), None) => Ok(Arc::new(webhook::Webhook::new(webhook)?)),
        (None, Some(file)) => {
            let path = base.join(file.path);
            Ok(Arc::new(file::File::new(name, file::Options { path })?))
        }
        (webhook, file) => Err(BuildError::Kinds(
            usize::from(webhook.is_some()) + usize::from(file.is_some()),
        )),
    }
}
