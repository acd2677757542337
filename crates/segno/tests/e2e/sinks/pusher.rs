use std::collections::BTreeSet;

use segno_test_support::servers::Soketi;
use serde_json::Value;

use super::{TestEngine, deliver_across_an_outage};

on_every_engine!(orders_come_to_those_who_listen);

async fn orders_come_to_those_who_listen(engine: TestEngine) {
    let mut server = Soketi::start().await;
    let sink = format!(
        "pusher = {{ url = \"{}\", allow_private = true, app_id = \"app\", key = \"key\", secret = \"secret\", \
        channels = [\"orders\", \"{{{{ event.subject }}}}\"] }}",
        server.url()
    );
    server.kill();
    let mut listener = None;
    deliver_across_an_outage(&engine, &sink, async || {
        server.start_again().await;
        listener = Some(server.listener(&["customer-7"]).await);
    })
    .await;
    let mut listener = listener.unwrap();
    let mut seen = BTreeSet::new();
    // The first one may have come before anybody listened, and does not count.
    while seen.len() < 3 {
        let event = listener.next().await;
        assert_eq!(event["event"], "order.placed");
        assert_eq!(event["channel"], "customer-7");
        let order: Value = serde_json::from_str(event["data"].as_str().unwrap()).unwrap();
        seen.extend(order["total"].as_u64().filter(|total| *total != 1));
    }
    assert_eq!(seen, BTreeSet::from([2, 3, 4]));
}
