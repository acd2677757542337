//! The engines that every behaviour is tested on.

use segno::config::Config;
use segno_test_support::TemporalServer;
use tempfile::TempDir;

/// An engine of a test's own: nothing of other tests is in it.
pub(crate) struct TestEngine {
    kind: Kind,
    /// The process's working files; of the embedded engine its data.
    folder: TempDir,
}

enum Kind {
    /// A namespace of a real Temporal server.
    Temporal {
        /// The server, if it is to end with this engine.
        server: Option<TemporalServer>,
        address: String,
        namespace: String,
    },
    /// The engine in the process.
    #[cfg(feature = "embedded")]
    Embedded,
}

impl TestEngine {
    /// A fresh namespace of a Temporal server.
    pub(crate) async fn temporal() -> Self {
        let server = TemporalServer::start().await;
        let namespace = server.namespace().await;
        Self::of(server, &namespace)
    }

    /// This namespace of this server.
    pub(crate) fn of(server: TemporalServer, namespace: &str) -> Self {
        let address = server.address().to_owned();
        Self::new(Kind::Temporal {
            server: Some(server),
            address,
            namespace: namespace.to_owned(),
        })
    }

    #[cfg(feature = "embedded")]
    pub(crate) fn embedded() -> Self {
        Self::new(Kind::Embedded)
    }

    /// Whether it runs in the process.
    pub(crate) fn is_embedded(&self) -> bool {
        !matches!(self.kind, Kind::Temporal { .. })
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// Another namespace of the same server.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        match &self.kind {
            Kind::Temporal { address, .. } => {
                let (address, namespace) = (address.clone(), namespace.to_owned());
                Self::new(Kind::Temporal {
                    server: None,
                    address,
                    namespace,
                })
            }
            #[cfg(feature = "embedded")]
            Kind::Embedded => panic!("the engine in the process has one namespace in these tests"),
        }
    }

    /// Ends the server; its address stays.
    pub(crate) fn stop_server(&mut self) {
        match &mut self.kind {
            Kind::Temporal { server, .. } => drop(server.take()),
            #[cfg(feature = "embedded")]
            Kind::Embedded => panic!("there is no server"),
        }
    }

    /// The configuration's lines that choose it; they come first, before any table.
    pub(crate) fn config(&self) -> String {
        match &self.kind {
            Kind::Temporal {
                address, namespace, ..
            } => {
                format!("engine = {{ temporal = {{ address = {address:?}, namespace = {namespace:?} }} }}\n")
            }
            #[cfg(feature = "embedded")]
            Kind::Embedded => String::new(),
        }
    }

    /// A configuration on this engine.
    pub(crate) fn parse(&self, config: &str) -> Config {
        let text = format!("{}{config}", self.config());
        Config::parse("segno.toml", &text, self.folder()).expect("a valid configuration")
    }

    /// The variables that choose it.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        match &self.kind {
            Kind::Temporal {
                address, namespace, ..
            } => {
                vec![
                    ("TEMPORAL_ADDRESS", address.clone()),
                    ("TEMPORAL_NAMESPACE", namespace.clone()),
                ]
            }
            #[cfg(feature = "embedded")]
            Kind::Embedded => Vec::new(),
        }
    }

    /// The folder of the process: its data and the files that it writes.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}
