//! Where a test runs.

use std::{collections::BTreeMap, future::Future, path::PathBuf, time::Duration};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use segno_crawl_platform::cluster::{
    Cluster as _, Job, JobName, JobState,
    kubernetes::{Kubernetes, Options},
};
use segno_crawl_stand_ins::kubernetes::{self as stand_in, Course, Plan, Start};
use serde_json::json;
use uuid::Uuid;

/// What no image is called.
pub(crate) const NO_IMAGE: &str = "127.0.0.1:1/none:1";

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) enum Where {
    Cluster,
    Alone,
    Real,
}

/// A namespace of a cluster.
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) client: Client,
    /// Whether nothing happens here unless the test does it.
    pub(crate) by_hand: bool,
    pub(crate) stand_in: Option<stand_in::Kubernetes>,
    pub(crate) cluster: Kubernetes,
    pub(crate) run: Uuid,
    kubeconfig: PathBuf,
    _folder: tempfile::TempDir,
}

impl Place {
    /// None if there is no such place.
    pub(crate) async fn new(place: Where) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let namespace = format!("segno-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let start = |alone| {
            let options = stand_in::Options {
                alone,
                ..stand_in::Options::default()
            };
            let cluster = stand_in::Kubernetes::start(&options).unwrap();
            cluster.world().plan(|pod| Plan {
                start: if pod["spec"]["containers"][0]["image"] == NO_IMAGE {
                    Start::ImagePullBackOff
                } else {
                    Start::After(Duration::ZERO)
                },
                course: Course::Process,
                ..Plan::default()
            });
            cluster
        };
        let (stand_in, kubeconfig) = match place {
            Where::Real => {
                let Some(path) = std::env::var_os("SEGNO_TEST_KUBECONFIG").filter(|path| !path.is_empty())
                else {
                    eprintln!("skipped: SEGNO_TEST_KUBECONFIG names no cluster");
                    return None;
                };
                (None, PathBuf::from(path))
            }
            Where::Alone | Where::Cluster => {
                let cluster = start(matches!(place, Where::Alone));
                let path = folder.path().join("kubeconfig");
                std::fs::write(&path, cluster.kubeconfig("default")).unwrap();
                (Some(cluster), path)
            }
        };
        let file = Kubeconfig::read_from(&kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.unwrap()).unwrap();
        let object = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
        let namespaces = Api::<Namespace>::all(client.clone());
        namespaces.create(&PostParams::default(), &object).await.unwrap();
        let by_hand = no_controllers(&client, &namespace).await;
        let options = options(&kubeconfig, &namespace);
        Some(Self {
            cluster: Kubernetes::connect(options).await.unwrap(),
            namespace,
            client,
            by_hand,
            stand_in,
            run: Uuid::new_v4(),
            kubeconfig,
            _folder: folder,
        })
    }

    /// As the place's own, to be changed.
    pub(crate) fn options(&self) -> Options {
        options(&self.kubeconfig, &self.namespace)
    }

    /// A job of the run that does this in a shell.
    pub(crate) fn job(&self, attempt: u32, script: &str) -> Job {
        Job {
            name: JobName::of(self.run, 0, attempt),
            run: self.run,
            task: Uuid::new_v4(),
            image: None,
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            args: Vec::new(),
            env: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            labels: BTreeMap::new(),
        }
    }

    /// Waits for a state of a job.
    pub(crate) async fn until(&self, name: &JobName, what: &str, is: impl Fn(&JobState) -> bool) -> JobState {
        let mut last = None;
        let found = within(async {
            loop {
                last = self.cluster.state(name).await.unwrap();
                if let Some(state) = last.as_ref().filter(|state| is(state)) {
                    return state.clone();
                }
                // A state can only be looked at.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        found.unwrap_or_else(|| panic!("the job did not get {what}: {last:?}"))
    }

    /// Deletes the namespace.
    pub(crate) async fn end(self) {
        let namespaces = Api::<Namespace>::all(self.client);
        // Without controllers it stays, as one that is being deleted.
        namespaces
            .delete(&self.namespace, &DeleteParams::default())
            .await
            .unwrap();
    }
}

fn options(kubeconfig: &std::path::Path, namespace: &str) -> Options {
    Options {
        kubeconfig: Some(kubeconfig.to_owned()),
        namespace: Some(namespace.to_owned()),
        image: Some(std::env::var("SEGNO_TEST_KUBERNETES_IMAGE").unwrap_or_else(|_| "busybox".to_owned())),
        page_size: 2,
        poll_every_millis: 200,
        ..Options::default()
    }
}

/// Whether nobody makes the service account that each namespace has. Then it is made here, for pods need it.
async fn no_controllers(client: &Client, namespace: &str) -> bool {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    for _ in 0..30 {
        if accounts.get_opt("default").await.unwrap().is_some() {
            return false;
        }
        // It can only be looked at.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let account = serde_json::from_value(json!({ "metadata": { "name": "default" } })).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    true
}

/// What a future answers, unless it takes too long.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, future).await.ok()
}
