//! A configuration's sinks by name.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use async_trait::async_trait;

use crate::{Delivered, Delivery, Failure, Limits, limits::Limited, options::Options};

/// Somewhere to deliver to.
#[async_trait]
pub trait Sink: fmt::Debug + Send + Sync {
    /// Makes one attempt.
    ///
    /// # Errors
    ///
    /// [`Failure`], which says whether another attempt is worth it.
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure>;

    /// Whether its circuit breaker leaves the target alone now. None: it has none.
    fn breaker_is_open(&self) -> Option<bool> {
        None
    }
}

/// Why a sink cannot be made of its options.
#[derive(Debug, thiserror::Error)]
#[error("the {kind} sink cannot be set up")]
pub struct BuildError {
    /// Its kind, as in the configuration.
    pub kind: &'static str,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// All sinks that cannot be made, by name.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.0.iter().map(|(name, error)| format!("sink {name:?}: {error}: {}", error.source)).collect::<Vec<_>>().join("; "))]
pub struct BuildErrors(pub BTreeMap<String, BuildError>);

/// Sinks by name; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Sinks(Arc<BTreeMap<String, Arc<dyn Sink>>>);

impl Sinks {
    /// The sinks that a configuration describes. Relative paths are taken from `base`. Nothing is connected to before the first
    /// delivery.
    ///
    /// # Errors
    ///
    /// [`BuildErrors`] with every sink that is wrong.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime: some sinks have tasks of their own.
    pub fn new(options: BTreeMap<String, Options>, base: &Path) -> Result<Self, BuildErrors> {
        let (mut sinks, mut errors) = (BTreeMap::new(), BTreeMap::new());
        for (name, options) in options {
            let kind = options.kind.name();
            match options.kind.build(&name, base) {
                Ok(sink) => {
                    let sink: Arc<dyn Sink> = Arc::new(Limited::new(sink, &options.limits));
                    sinks.insert(name, sink);
                }
                Err(source) => {
                    errors.insert(name, BuildError { kind, source });
                }
            }
        }
        if errors.is_empty() {
            Ok(sinks.into_iter().collect())
        } else {
            Err(BuildErrors(errors))
        }
    }

    /// The same with one more, within its limits. It takes the place of one of the same name.
    #[must_use]
    pub fn with(self, name: String, sink: Arc<dyn Sink>, limits: &Limits) -> Self {
        let mut sinks = Arc::unwrap_or_clone(self.0);
        sinks.insert(name, Arc::new(Limited::new(sink, limits)));
        Self(Arc::new(sinks))
    }

    /// The same with all of these, which take the place of those of the same names.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        let mut sinks = Arc::unwrap_or_clone(self.0);
        sinks.extend(Arc::unwrap_or_clone(others.0));
        Self(Arc::new(sinks))
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The sinks that have a circuit breaker, and whether it leaves their target alone now.
    pub fn breakers(&self) -> impl Iterator<Item = (&str, bool)> {
        self.0
            .iter()
            .filter_map(|(name, sink)| Some((name.as_str(), sink.breaker_is_open()?)))
    }

    /// Whether there is a sink of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Makes one attempt to deliver to the sink `name` (see [`Sink::deliver`]).
    ///
    /// # Errors
    ///
    /// [`Failure`]. That there is no such sink is permanent: somebody has to configure it.
    pub async fn deliver(&self, name: &str, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let sink = self
            .0
            .get(name)
            .ok_or_else(|| Failure::permanent(format!("there is no sink {name:?} in the configuration")))?;
        sink.deliver(delivery).await
    }
}

/// For programs that bring sinks of their own.
impl FromIterator<(String, Arc<dyn Sink>)> for Sinks {
    fn from_iter<I: IntoIterator<Item = (String, Arc<dyn Sink>)>>(sinks: I) -> Self {
        Self(Arc::new(sinks.into_iter().collect()))
    }
}
