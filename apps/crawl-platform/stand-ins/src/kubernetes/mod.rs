//! A stand-in for a Kubernetes cluster: an API server over TLS that keeps namespaces, jobs, pods, their logs and events;
//! beside it the controllers that make the pods of jobs, and a node that runs them, by a plan or as real processes. What
//! goes wrong is decided by [`Faults`], what the cluster does by [`World`].
//!
//! It speaks as version 1.20 does: fields and labels that came later are not there. It can be alone, too: an API server
//! without controllers or nodes, where nothing happens unless a client does it.
//!
//! The API: <https://kubernetes.io/docs/reference/using-api/api-concepts/>. It is checked with `kubectl` (in this crate's
//! tests) and with the client of the crawl platform.

mod admission;
mod controllers;
mod discovery;
mod faults;
mod kinds;
mod kubelet;
mod logs;
mod patch;
mod process;
mod rest;
mod selector;
mod server;
mod status;
mod store;
mod table;
mod watch;
mod world;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

pub use faults::{Delivery, Failure, Faults, Request, Told};
pub use world::{Course, End, Plan, Start, World};

use controllers::Controllers;
use kinds::{Key, Kind};
use logs::Logs;
use server::{Server, Tls};
use store::Store;
use world::locked;

/// How a stand-in is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// An API server alone: no controllers, no nodes.
    pub alone: bool,
    /// The port on the loopback address; 0 for any that is free.
    pub port: u16,
    /// What clients have to show; anything, if empty.
    pub token: String,
    /// How often watches get a bookmark.
    pub bookmark_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            alone: false,
            port: 0,
            token: Uuid::new_v4().simple().to_string(),
            bookmark_every: Duration::from_secs(60),
        }
    }
}

/// A running stand-in. Its server has threads of its own, so a test's paused clock does not stop it. It ends when dropped.
#[derive(Debug)]
pub struct Kubernetes {
    server: Arc<Server>,
    world: Arc<World>,
    address: SocketAddr,
    /// Of the server, while it is not killed.
    serving: Mutex<Option<Runtime>>,
    /// Of the world.
    turning: Option<Runtime>,
}

impl Kubernetes {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// No port or no thread can be had.
    pub fn start(options: &Options) -> io::Result<Self> {
        let (store, changes) = Store::new();
        let (store, logs) = (Arc::new(store), Arc::new(Logs::default()));
        let world = Arc::new(World::new(Arc::clone(&store), Arc::clone(&logs)));
        let turning = runtime("cluster")?;
        if !options.alone {
            turning.spawn(Controllers::run(Arc::clone(&world), changes));
        }
        for name in ["default", "kube-system"] {
            let namespace = json!({ "metadata": { "name": name } });
            // This one is as it should be, and there is none yet.
            if let Ok(namespace) = admission::created(Kind::Namespace, None, &namespace, false) {
                let _ = rest::insert(&store, &Key::new(Kind::Namespace, "", name), namespace);
            }
        }
        let server = Arc::new(Server {
            store,
            logs,
            faults: Arc::new(Faults::new()),
            token: options.token.clone(),
            bookmark_every: options.bookmark_every,
            tls: Tls::new().map_err(io::Error::other)?,
        });
        let serving = runtime("api-server")?;
        let address = serve(
            &serving,
            &server,
            SocketAddr::from(([127, 0, 0, 1], options.port)),
        )?;
        Ok(Self {
            server,
            world,
            address,
            serving: Mutex::new(Some(serving)),
            turning: Some(turning),
        })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The token that it takes.
    pub fn token(&self) -> &str {
        &self.server.token
    }

    /// The certificate of its authority, in PEM form.
    pub fn authority(&self) -> &str {
        &self.server.tls.authority
    }

    /// A configuration for clients, as in the file that `KUBECONFIG` names.
    pub fn kubeconfig(&self, namespace: &str) -> String {
        let cluster = json!({
            "server": self.url(),
            "certificate-authority-data": BASE64.encode(&self.server.tls.authority),
        });
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "stand-in",
            "clusters": [{ "name": "stand-in", "cluster": cluster }],
            "users": [{ "name": "stand-in", "user": { "token": self.server.token } }],
            "contexts": [{ "name": "stand-in", "context": {
                "cluster": "stand-in", "user": "stand-in", "namespace": namespace,
            } }],
        })
        .to_string()
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// What happens in the cluster.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Makes a namespace, unless it is there.
    pub fn make_namespace(&self, name: &str) {
        let namespace = json!({ "metadata": { "name": name } });
        if let Ok(namespace) = admission::created(Kind::Namespace, None, &namespace, false) {
            // It is there already.
            let _ = rest::insert(
                &self.server.store,
                &Key::new(Kind::Namespace, "", name),
                namespace,
            );
        }
    }

    /// Forgets the history of all objects: watches that go on from before get `410 Gone`.
    pub fn compact(&self) {
        self.server.store.compact();
    }

    /// Ends the API server with all its connections at once. The objects stay, and the world goes on.
    pub fn kill(&self) {
        if let Some(serving) = locked(&self.serving).take() {
            // Its port is free when this returns. A thread of its own waits, as one that runs futures may not.
            let ended = std::thread::spawn(move || serving.shutdown_timeout(Duration::from_secs(5)));
            // Nothing of it panics, and if it did, it has ended.
            let _ = ended.join();
        }
    }

    /// Starts the API server again, at its address.
    ///
    /// # Errors
    ///
    /// The port was taken, or no thread can be had.
    pub fn start_again(&self) -> io::Result<()> {
        let mut serving = locked(&self.serving);
        if serving.is_none() {
            let new = runtime("api-server")?;
            serve(&new, &self.server, self.address)?;
            *serving = Some(new);
        }
        Ok(())
    }

    /// All that it knows of a kind, of all namespaces.
    pub fn all(&self, kind: &str) -> Vec<Value> {
        let Some(kind) = Kind::ALL.into_iter().find(|one| one.name() == kind) else {
            return Vec::new();
        };
        let listing = self.server.store.list(kind, None);
        listing.objects.iter().map(|one| one.as_ref().clone()).collect()
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.kill();
        if let Some(turning) = self.turning.take() {
            turning.shutdown_background();
        }
    }
}

fn runtime(name: &str) -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(name)
        .enable_all()
        .build()
}

/// Listens and serves. Binding is done here, so that what cannot be had is told.
fn serve(runtime: &Runtime, server: &Arc<Server>, address: SocketAddr) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let _entered = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    runtime.spawn(server::serve(Arc::clone(server), listener));
    Ok(address)
}
