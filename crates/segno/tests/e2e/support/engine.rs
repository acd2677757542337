//! The engines that every behaviour is tested on.

use segno_test_support::TemporalServer;
use tempfile::TempDir;

/// An engine of a test's own: nothing of other tests is in it.
pub(crate) struct TestEngine {
    kind: Kind,
    /// The process's working files; of the embedded engine its data.
    folder: TempDir,
}

enum Kind {
    /// A real Temporal server and a fresh namespace of it.
    Temporal {
        server: TemporalServer,
        namespace: String,
    },
    /// The engine in the process.
    #[cfg(feature = "embedded")]
    Embedded,
}

impl TestEngine {
    pub(crate) async fn temporal() -> Self {
        let server = TemporalServer::start().await;
        let namespace = server.namespace().await;
        Self {
            kind: Kind::Temporal { server, namespace },
            folder: folder(),
        }
    }

    #[cfg(feature = "embedded")]
    pub(crate) fn embedded() -> Self {
        Self {
            kind: Kind::Embedded,
            folder: folder(),
        }
    }

    /// The configuration's lines that choose it; they come first, before any table.
    pub(crate) fn config(&self) -> String {
        match &self.kind {
            Kind::Temporal { server, namespace } => {
                let address = server.address();
                format!("engine = {{ temporal = {{ address = {address:?}, namespace = {namespace:?} }} }}\n")
            }
            #[cfg(feature = "embedded")]
            Kind::Embedded => String::new(),
        }
    }

    /// The variables that choose it.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        match &self.kind {
            Kind::Temporal { server, namespace } => vec![
                ("TEMPORAL_ADDRESS", server.address().to_owned()),
                ("TEMPORAL_NAMESPACE", namespace.clone()),
            ],
            #[cfg(feature = "embedded")]
            Kind::Embedded => Vec::new(),
        }
    }

    /// The folder of the process: its data and the files that it writes.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}
