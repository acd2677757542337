use async_nats::jetstream::{self, stream::Config};
use segno_test_support::servers::Nats;
use serde_json::Value;

use super::{TestEngine, deliver_across_an_outage, totals};

on_every_engine!(orders_reach_a_stream);

async fn orders_reach_a_stream(engine: TestEngine) {
    let mut server = Nats::start().await;
    let config = || Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders.>".to_owned()],
        ..Config::default()
    };
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    context.create_stream(config()).await.unwrap();
    server.kill();
    let url = server.url();
    let sink = format!("nats = {{ url = \"{url}\", subject = \"orders.{{{{ event.subject }}}}\" }}");
    deliver_across_an_outage(&engine, &sink, async || server.start_again().await).await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let mut stream = context.get_stream("ORDERS").await.unwrap();
    let messages = stream.info().await.unwrap().state.messages;
    let mut payloads: Vec<Value> = Vec::new();
    for sequence in 1..=messages {
        let message = stream.get_raw_message(sequence).await.unwrap();
        assert_eq!(message.subject.as_str(), "orders.customer-7");
        payloads.push(serde_json::from_slice(&message.payload).unwrap());
    }
    assert_eq!(totals(&payloads), [1, 2, 3, 4]);
}
