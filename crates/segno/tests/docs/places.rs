//! Addresses in documents, and those that stand for them in a test.

use segno_test_support::free_port;

/// What documents call a Temporal server of the reader's.
pub(crate) const CLUSTER: &str = "temporal.example.com:7233";

/// Ports and hosts of one session.
pub(crate) struct Places {
    hosts: Vec<(&'static str, String)>,
    ports: [(&'static str, String); 3],
    pub(crate) http: u16,
    pub(crate) grpc: u16,
    pub(crate) receiver: u16,
}

impl Places {
    /// Free ports; `hook` is the port of the receiver that stands for `https://example.com/hook`, and `cluster` the
    /// address and a namespace of the Temporal server that stands for `temporal.example.com`.
    pub(crate) fn new(hook: u16, cluster: Option<(&str, &str)>) -> Self {
        let (http, grpc, receiver) = (free_port(), free_port(), free_port());
        let mut hosts = vec![
            // Nobody should be called by a test, and only this one is allowed where a document does not say so.
            (
                "webhook = { url = \"https://example.com/hook\"",
                format!("webhook = {{ allow_private = true, url = \"http://127.0.0.1:{hook}/hook\""),
            ),
            (
                "https://example.com/hook",
                format!("http://127.0.0.1:{hook}/hook"),
            ),
            ("/run/secrets/", "secrets/".to_owned()),
            ("engine.example.com", "localhost".to_owned()),
        ];
        if let Some((address, namespace)) = cluster {
            hosts.push((CLUSTER, address.to_owned()));
            hosts.push((
                "TEMPORAL_NAMESPACE=orders",
                format!("TEMPORAL_NAMESPACE={namespace}"),
            ));
        }
        let ports = [
            (":8080", format!(":{http}")),
            (":7233", format!(":{grpc}")),
            (":8090", format!(":{receiver}")),
        ];
        Self {
            hosts,
            ports,
            http,
            grpc,
            receiver,
        }
    }

    /// The text with this session's addresses.
    pub(crate) fn put_in(&self, text: &str) -> String {
        let put = |text: String, (from, to): &(&str, String)| text.replace(from, to);
        let pairs = self.hosts.iter().chain(&self.ports);
        pairs.fold(text.to_owned(), put)
    }

    /// The text with the document's ports.
    pub(crate) fn taken_out(&self, text: &str) -> String {
        let take = |text: String, (from, to): &(&str, String)| text.replace(to.as_str(), from);
        self.ports.iter().fold(text.to_owned(), take)
    }
}
