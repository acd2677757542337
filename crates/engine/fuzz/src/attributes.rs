//! Search attributes as a client sends them, an encoded `SearchAttributes`: checked, filed, and found again.

use prost::Message as _;
use segno_engine::visibility::{IndexedAttributes, Query, delete, list};
use temporalio_protos::temporal::api::common::v1::SearchAttributes;

use super::database::{EXECUTIONS, NAMESPACE, database, start};

pub fn run(data: &[u8]) {
    let Ok(given) = SearchAttributes::decode(data) else {
        return;
    };
    thread_local! {
        static DATABASE: (rusqlite::Connection, segno_engine::visibility::Registry) = database();
    }
    DATABASE.with(|(connection, registry)| {
        let Ok(attributes) = IndexedAttributes::new(&given, registry, &segno_engine::Limits::default())
        else {
            return;
        };
        let key = EXECUTIONS + 1;
        start(connection, key, &attributes).unwrap();
        let query = Query::parse(&format!("WorkflowId = 'w{key}'"), registry).unwrap();
        let page = list(connection, NAMESPACE, &query, 2, &[]).unwrap();
        // In a namespace division it is out of an ordinary list's sight.
        if let [found] = page.executions.as_slice() {
            found.info().expect("what was filed can be shown");
        }
        assert!(delete(connection, key).unwrap());
    });
}
