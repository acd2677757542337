//! The embedded engine, in this process.

use std::{path::Path, time::Duration};

use segno_engine::Engine;
use segno_test_support::Receiver;
use segno_timers::{Deadline, SEARCH_ATTRIBUTES};
use serde_json::json;
use temporalio_client::{Client, ClientOptions, Connection, tonic::IntoRequest};
use temporalio_common::protos::temporal::api::operatorservice::v1::AddSearchAttributesRequest;

use crate::{
    scenarios::changing,
    world::{SOON, World},
};

const NAMESPACE: &str = "default";

/// A world on a fresh engine; it ends with the second value.
pub(crate) async fn start() -> (World, (Engine, tempfile::TempDir)) {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let world = world(&engine);
    let attributes = AddSearchAttributesRequest {
        namespace: NAMESPACE.to_owned(),
        search_attributes: SEARCH_ATTRIBUTES
            .map(|(name, ty)| (name.to_owned(), ty as i32))
            .into(),
    };
    let client = world.client().await;
    client
        .connection()
        .operator_service()
        .add_search_attributes(attributes.into_request())
        .await
        .unwrap();
    (world, (engine, folder))
}

async fn open(folder: &Path) -> Engine {
    Engine::open(segno_engine::Options::new(folder.join("engine.db")))
        .await
        .unwrap()
}

fn world(engine: &Engine) -> World {
    let handle = engine.handle();
    World::new(move || {
        let options = handle.connection_options();
        async move {
            let connection = Connection::connect(options).await.unwrap();
            Client::new(connection, ClientOptions::new(NAMESPACE).build()).unwrap()
        }
    })
}

/// The engine ends while timers wait, one of them past its deadline; the one that opens the file again fires
/// both, neither early nor begun anew.
#[tokio::test]
async fn timers_survive_an_end_of_the_engine() {
    let receiver = Receiver::start().await;
    let (world_before, (engine, folder)) = start().await;
    let service = world_before.service().await;
    let url = receiver.url("/");
    let overdue = service.create(json!({"seconds": 1, "url": url})).await;
    let asked = Deadline::now();
    let waiting = service.create(json!({"seconds": 4, "url": url})).await;
    drop(world_before);
    engine.shutdown().await;
    let engine = open(folder.path()).await;
    let world = world(&engine);
    let (service, _worker) = (world.service().await, world.worker());
    let requests = receiver.wait_for(2, SOON).await;
    let ids: Vec<_> = requests
        .iter()
        .map(|request| request.header("webhook-id").unwrap())
        .collect();
    assert_eq!(ids, [overdue.as_str(), waiting.as_str()]);
    assert!(
        requests[1].at >= asked.as_system_time() + Duration::from_secs(4),
        "it came early"
    );
    for id in [&overdue, &waiting] {
        service.deliveries(id, |body| body["status"] == "fired").await;
    }
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test]
async fn goes_on_in_a_new_run_after_many_moves() {
    let (world, _engine) = start().await;
    changing::goes_on_in_a_new_run(world, 4_096).await;
}
