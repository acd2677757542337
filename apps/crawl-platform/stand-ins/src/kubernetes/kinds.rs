//! The kinds of objects that there are, and where each is found.

use super::status::Status;

/// A kind of object.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Event,
    Job,
    Namespace,
    Pod,
    ServiceAccount,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Event,
        Self::Job,
        Self::Namespace,
        Self::Pod,
        Self::ServiceAccount,
    ];

    /// As in an object's `kind`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Event => "Event",
            Self::Job => "Job",
            Self::Namespace => "Namespace",
            Self::Pod => "Pod",
            Self::ServiceAccount => "ServiceAccount",
        }
    }

    /// As in a path.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Event => "events",
            Self::Job => "jobs",
            Self::Namespace => "namespaces",
            Self::Pod => "pods",
            Self::ServiceAccount => "serviceaccounts",
        }
    }

    pub(crate) fn short_names(self) -> &'static [&'static str] {
        match self {
            Self::Event => &["ev"],
            Self::Job => &[],
            Self::Namespace => &["ns"],
            Self::Pod => &["po"],
            Self::ServiceAccount => &["sa"],
        }
    }

    /// The API group; empty for the core's.
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Job => "batch",
            _ => "",
        }
    }

    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::Job => "batch/v1",
            _ => "v1",
        }
    }

    pub(crate) fn namespaced(self) -> bool {
        self != Self::Namespace
    }

    pub(crate) fn has_status(self) -> bool {
        matches!(self, Self::Job | Self::Namespace | Self::Pod)
    }

    /// As in messages: `jobs.batch`.
    pub(crate) fn qualified(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }

    fn of(group: &str, plural: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.group() == group && kind.plural() == plural)
    }
}

/// The name of an object among all.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    /// Empty for what is in none.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// What a request's path names.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// `None`: those of all namespaces.
    pub(crate) namespace: Option<String>,
    /// `None`: the collection.
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Target {
    /// Reads the path of a request for objects.
    pub(crate) fn of(path: &str) -> Result<Self, Status> {
        let parts = path.trim_matches('/').split('/').collect::<Vec<_>>();
        let (group, rest) = match &parts[..] {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", "batch", "v1", rest @ ..] => ("batch", rest),
            _ => return Err(Status::no_such_path()),
        };
        let found = |namespace: Option<&str>, plural: &str, rest: &[&str]| {
            let kind = Kind::of(group, plural).ok_or_else(Status::no_such_path)?;
            let (name, subresource) = match rest {
                [] => (None, None),
                [name] => (Some(*name), None),
                [name, subresource] => (Some(*name), Some(*subresource)),
                _ => return Err(Status::no_such_path()),
            };
            if kind.namespaced() != namespace.is_some() && name.is_some() {
                return Err(Status::no_such_path());
            }
            Ok(Self {
                kind,
                namespace: namespace.map(str::to_owned),
                name: name.map(str::to_owned),
                subresource: subresource.map(str::to_owned),
            })
        };
        match rest {
            ["namespaces", namespace, plural, rest @ ..] if *plural != "status" => {
                found(Some(namespace), plural, rest)
            }
            [plural, rest @ ..] => found(None, plural, rest),
            [] => Err(Status::no_such_path()),
        }
    }

    pub(crate) fn key(&self, name: &str) -> Key {
        Key::new(self.kind, self.namespace.as_deref().unwrap_or_default(), name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<(Kind, [Option<String>; 3])> {
        let found = Target::of(path).ok()?;
        Some((found.kind, [found.namespace, found.name, found.subresource]))
    }

    #[test]
    fn paths_name_collections_objects_and_subresources() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            read("/apis/batch/v1/namespaces/a/jobs/b/status"),
            Some((Kind::Job, [some("a"), some("b"), some("status")]))
        );
        assert_eq!(read("/api/v1/pods"), Some((Kind::Pod, [None, None, None])));
        assert_eq!(
            read("/api/v1/namespaces/a"),
            Some((Kind::Namespace, [None, some("a"), None]))
        );
        assert_eq!(
            read("/api/v1/namespaces/a/pods"),
            Some((Kind::Pod, [some("a"), None, None]))
        );
    }

    #[test]
    fn other_paths_are_not_found() {
        for path in [
            "/api/v1",
            "/api/v1/jobs",
            "/apis/batch/v1/pods",
            "/apis/batch/v1beta1/jobs",
            "/api/v1/pods/a",
        ] {
            assert!(read(path).is_none(), "{path}");
        }
    }
}
