use std::fs;

use segno_test_support::servers::Ministack;

use super::{TestEngine, deliver_across_an_outage};

on_every_engine!(orders_are_objects_of_s3, orders_are_files_of_a_folder);

async fn orders_are_objects_of_s3(engine: TestEngine) {
    let mut server = Ministack::start().await;
    let sink = format!(
        "object-store = {{ url = \"s3://orders/placed\", key = \"{{{{ payload.id }}}}.json\", create = true, \
        settings = {{ endpoint = \"{}\", allow_http = \"true\", region = \"us-east-1\", access_key_id = \"a\", \
        secret_access_key = \"b\" }} }}",
        server.url()
    );
    let bucket = format!("{}/orders", server.url());
    server.kill();
    deliver_across_an_outage(&engine, &sink, async || {
        server.start_again().await;
        let made = reqwest::Client::new().put(&bucket).send().await.unwrap();
        assert!(made.status().is_success(), "{made:?}");
    })
    .await;
    for n in 1..=4 {
        let object = reqwest::get(format!("{bucket}/placed/{n}.json")).await.unwrap();
        assert_eq!(object.headers()["content-type"], "application/json");
        assert_eq!(
            object.text().await.unwrap(),
            format!(r#"{{"id":"{n}","total":{n}}}"#)
        );
    }
}

async fn orders_are_files_of_a_folder(engine: TestEngine) {
    let folder = engine.folder().join("out");
    fs::write(&folder, "something in the way").unwrap();
    let sink = "object-store = { url = \"out\", key = \"{{ event.subject }}/{{ payload.id }}.json\" }";
    deliver_across_an_outage(&engine, sink, async || fs::remove_file(&folder).unwrap()).await;
    for n in 1..=4 {
        let file = fs::read_to_string(folder.join(format!("customer-7/{n}.json"))).unwrap();
        assert_eq!(file, format!(r#"{{"id":"{n}","total":{n}}}"#));
    }
}
