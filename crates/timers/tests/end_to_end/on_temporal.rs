//! The real Temporal server as engine.

use std::time::{Duration, SystemTime};

use segno_test_support::{Options, Receiver, TemporalServer, free_port};
use segno_timers::SEARCH_ATTRIBUTES;
use serde_json::json;

use crate::{
    scenarios::changing,
    world::{SOON, World},
};

/// A world in a fresh namespace; the server ends with the second value.
pub(crate) async fn start() -> (World, TemporalServer) {
    let server = TemporalServer::start().await;
    let namespace = server.namespace_with(&SEARCH_ATTRIBUTES).await;
    (world(&server, &namespace), server)
}

fn world(server: &TemporalServer, namespace: &str) -> World {
    let (address, namespace) = (server.address().to_owned(), namespace.to_owned());
    World::new(move || {
        let (address, namespace) = (address.clone(), namespace.clone());
        async move { segno_test_support::client(&address, &namespace).await }
    })
}

/// The timers survive their server: it is killed while one waits, and the one that comes back on the same
/// file fires it, not early and not begun anew. Meanwhile the service says that it cannot say.
#[tokio::test]
async fn timers_survive_an_outage_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        db: Some(folder.path().join("state.db")),
        port: Some(free_port()),
        ..Options::default()
    };
    let server = TemporalServer::start_with(options.clone()).await;
    let namespace = server.namespace_with(&SEARCH_ATTRIBUTES).await;
    let world = world(&server, &namespace);
    let (service, receiver, _worker) = (world.service().await, Receiver::start().await, world.worker());
    // The worker is at work: one that finds no server when it starts ends.
    let first = service.create(json!({"url": receiver.url("/")})).await;
    service.deliveries(&first, |body| body["status"] == "fired").await;
    let asked = SystemTime::now();
    let id = service
        .create(json!({"seconds": 8, "url": receiver.url("/")}))
        .await;
    drop(server);
    let (status, body) = service.get(&format!("/timers/{id}")).await;
    assert_eq!((status, &body["statusCode"]), (503, &json!(503)));
    let _server = TemporalServer::start_with(options).await;
    service
        .until(&format!("/timers/{id}"), |(status, _)| *status == 200)
        .await;
    let requests = receiver.wait_for(2, SOON).await;
    assert!(requests[1].at >= asked + Duration::from_secs(8), "it came early");
    service.deliveries(&id, |body| body["status"] == "fired").await;
    assert_eq!(receiver.requests().len(), 2);
}

/// By default the server suggests a new run after 4,096 events, as the embedded engine does; to come there
/// takes it half a minute.
#[tokio::test]
async fn goes_on_in_a_new_run_after_many_moves() {
    let dynamic = vec!["limit.historyCount.suggestContinueAsNew=100".to_owned()];
    let server = TemporalServer::start_with(Options {
        dynamic,
        ..Options::default()
    })
    .await;
    let namespace = server.namespace_with(&SEARCH_ATTRIBUTES).await;
    changing::goes_on_in_a_new_run(world(&server, &namespace), 100).await;
}
