use redis::{AsyncCommands, streams::StreamRangeReply};
use segno_test_support::servers::Redis;
use serde_json::Value;

use super::{TestEngine, deliver_across_an_outage, totals};

on_every_engine!(orders_reach_a_stream);

async fn orders_reach_a_stream(engine: TestEngine) {
    let mut server = Redis::start().await;
    server.kill();
    let url = server.url();
    let sink = format!(
        "redis = {{ url = \"{url}\", stream = \"orders\", dedupe = \"1h\", fields = {{ type = \"{{{{ event.type }}}}\" }} }}"
    );
    deliver_across_an_outage(&engine, &sink, async || server.start_again().await).await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let entries: StreamRangeReply = connection.xrange_all("orders").await.unwrap();
    let payloads: Vec<Value> = entries
        .ids
        .iter()
        .map(|entry| serde_json::from_str(&entry.get::<String>("payload").unwrap()).unwrap())
        .collect();
    assert_eq!(totals(&payloads), [1, 2, 3, 4]);
    for entry in &entries.ids {
        assert_eq!(entry.get::<String>("type").as_deref(), Some("order.placed"));
        let key = entry.get::<String>("key").unwrap();
        assert!(key.starts_with("all//shop/"), "{key}");
    }
}
