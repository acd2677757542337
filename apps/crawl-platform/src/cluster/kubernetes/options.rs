//! What the platform is told about a Kubernetes cluster.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::Deserialize;

use super::super::ClusterError;

/// Which cluster, and how jobs are there. All times are in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The client's configuration file. Without it: the files that `KUBECONFIG` names, else `~/.kube/config`, else, inside
    /// a cluster, the service account of this pod.
    pub kubeconfig: Option<PathBuf>,
    /// The context of that file, if not its current one.
    pub context: Option<String>,
    /// The namespace of the jobs, if not the context's. It has to be there.
    pub namespace: Option<String>,
    /// The image of jobs that name none.
    pub image: Option<String>,
    /// The names of the secrets with which images are pulled.
    pub image_pull_secrets: Vec<String>,
    /// The service account of the pods. Without it they get the namespace's default one, and no token of it.
    pub service_account: Option<String>,
    /// What a pod asks for, by resource: `cpu = "500m"`, `memory = "256Mi"`.
    pub requests: BTreeMap<String, String>,
    /// What a pod may take at most, by resource.
    pub limits: BTreeMap<String, String>,
    /// The labels of the nodes that pods may be on.
    pub node_selector: BTreeMap<String, String>,
    /// The volume that what crawlers leave behind is written to.
    pub output: Option<OutputVolume>,
    /// How long a pod may take to end when the cluster itself tells it to, as on a node that is drained. It is also the
    /// longest grace of a stop.
    pub termination_grace_seconds: u32,
    /// How long a job may run.
    pub active_deadline_seconds: Option<u32>,
    /// How often the cluster makes another pod for a job whose pod failed.
    pub backoff_limit: u32,
    /// How long a call to the cluster may take.
    pub call_timeout_seconds: u32,
    /// How many objects a call lists at most.
    pub page_size: u32,
    /// How often the jobs are looked at while the cluster cannot be watched, in milliseconds.
    pub poll_every_millis: u64,
}

/// A volume that both the pods and the platform have at the same place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputVolume {
    /// The name of the persistent volume claim, in the namespace of the jobs.
    pub claim: String,
    /// Where the platform has its output folder, and each pod gets the volume.
    pub path: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            namespace: None,
            image: None,
            image_pull_secrets: Vec::new(),
            service_account: None,
            requests: BTreeMap::new(),
            limits: BTreeMap::new(),
            node_selector: BTreeMap::new(),
            output: None,
            termination_grace_seconds: 60,
            active_deadline_seconds: None,
            backoff_limit: 0,
            call_timeout_seconds: 20,
            page_size: 500,
            poll_every_millis: 10_000,
        }
    }
}

impl Options {
    pub(super) fn call_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.call_timeout_seconds))
    }

    pub(super) fn poll_every(&self) -> Duration {
        Duration::from_millis(self.poll_every_millis)
    }

    pub(super) fn check(&self) -> Result<(), ClusterError> {
        let wrong = |message: String| Err(ClusterError::permanent(format!("Kubernetes: {message}")));
        for (option, quantities) in [("requests", &self.requests), ("limits", &self.limits)] {
            for (resource, quantity) in quantities {
                if !is_quantity(quantity) {
                    return wrong(format!(
                        "`{option}.{resource}` is {quantity:?}, which is no quantity: write it as \"500m\", \"2\" or \
                         \"256Mi\""
                    ));
                }
            }
        }
        for (option, value) in [
            ("call_timeout_seconds", u64::from(self.call_timeout_seconds)),
            ("page_size", u64::from(self.page_size)),
            ("poll_every_millis", self.poll_every_millis),
        ] {
            if value == 0 {
                return wrong(format!("`{option}` is 0; it takes a number above"));
            }
        }
        if let Some(output) = &self.output
            && !output.path.starts_with('/')
        {
            return wrong(format!(
                "`output.path` is {:?}; it takes an absolute path",
                output.path
            ));
        }
        if self.namespace.as_ref().is_some_and(String::is_empty) {
            return wrong("`namespace` is empty; leave it out for that of the context".to_owned());
        }
        Ok(())
    }

    /// The client's configuration.
    pub(super) async fn client(&self) -> Result<Config, ClusterError> {
        let context = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let wrong = |what: String, error: &dyn std::error::Error| {
            let causes = std::iter::successors(error.source(), |error| error.source());
            let text = causes.fold(error.to_string(), |text, cause| {
                let cause = cause.to_string();
                if text.contains(&cause) {
                    text
                } else {
                    format!("{text}: {cause}")
                }
            });
            ClusterError::permanent(format!("Kubernetes: {what}: {text}"))
        };
        if let Some(path) = &self.kubeconfig {
            let what = || format!("the configuration `kubeconfig = {path:?}` cannot be used");
            let file = Kubeconfig::read_from(path).map_err(|error| wrong(what(), &error))?;
            return Config::from_custom_kubeconfig(file, &context)
                .await
                .map_err(|error| wrong(what(), &error));
        }
        // What is named and cannot be used is an error, and no reason to take another cluster.
        let named = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
        if let Some(named) = named {
            let what = format!("the configuration of KUBECONFIG={named:?} cannot be used");
            return Config::from_kubeconfig(&context)
                .await
                .map_err(|error| wrong(what, &error));
        }
        let inside = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        if inside && self.context.is_none() {
            let what = "the configuration of this pod's service account cannot be used";
            return Config::incluster().map_err(|error| wrong(what.to_owned(), &error));
        }
        Config::from_kubeconfig(&context).await.map_err(|error| {
            let what = "no cluster is configured: set `kubeconfig`, or KUBECONFIG, or run inside a cluster";
            wrong(what.to_owned(), &error)
        })
    }
}

/// A number with or without a fraction, and a suffix that scales it.
fn is_quantity(text: &str) -> bool {
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let fits = number.parse::<f64>().is_ok();
    let suffixes = [
        "", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    fits && suffixes.contains(&suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_numbers_with_a_suffix() {
        for text in ["1", "0.5", "500m", "256Mi", "1k"] {
            assert!(is_quantity(text), "{text}");
        }
        for text in ["", "m", "1 Gi", "1MiB", "-1", "1.2.3", "a lot"] {
            assert!(!is_quantity(text), "{text}");
        }
    }

    #[test]
    fn wrong_options_are_told_by_name() {
        let told = |options: Options| options.check().unwrap_err().to_string();
        let limits = BTreeMap::from([("memory".to_owned(), "a lot".to_owned())]);
        let text = told(Options {
            limits,
            ..Options::default()
        });
        assert!(text.contains("limits.memory") && text.contains("a lot"), "{text}");
        let text = told(Options {
            page_size: 0,
            ..Options::default()
        });
        assert!(text.contains("`page_size`"), "{text}");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_or_has_no_such_context_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        let mut options = Options {
            kubeconfig: Some(path.clone()),
            ..Options::default()
        };
        let text = options.client().await.unwrap_err().to_string();
        assert!(
            text.contains("kubeconfig") && text.contains("No such file"),
            "{text}"
        );
        std::fs::write(&path, "clusters: 7").unwrap();
        assert!(!options.client().await.unwrap_err().is_retryable());
        let file = r#"{ "clusters": [{ "name": "a", "cluster": { "server": "https://127.0.0.1:1" } }],
            "contexts": [{ "name": "a", "context": { "cluster": "a", "user": "a" } }],
            "users": [{ "name": "a", "user": {} }], "current-context": "a" }"#;
        std::fs::write(&path, file).unwrap();
        assert!(options.client().await.is_ok());
        options.context = Some("b".to_owned());
        let text = options.client().await.unwrap_err().to_string();
        assert!(text.contains("context") && text.contains('b'), "{text}");
    }
}
