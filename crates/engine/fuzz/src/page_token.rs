//! Page tokens of lists. The first byte chooses the list, the rest is the token.

use segno_engine::visibility::{Query, list};

use super::database::{NAMESPACE, database, taken};

const QUERIES: [&str; 6] = [
    "",
    "ORDER BY I",
    "ORDER BY WorkflowId DESC, D",
    "K = 'k1' ORDER BY K DESC, B, W",
    "ExecutionStatus = 'Running'",
    "L IN ('a', 'b1') ORDER BY CloseTime",
];

pub fn run(data: &[u8]) {
    let Some((chosen, token)) = data.split_first() else {
        return;
    };
    thread_local! {
        static DATABASE: (rusqlite::Connection, segno_engine::visibility::Registry) = database();
    }
    DATABASE.with(|(connection, registry)| {
        let text = QUERIES[usize::from(*chosen) % QUERIES.len()];
        let query = Query::parse(text, registry).unwrap();
        let mut token = token.to_vec();
        // Wherever the token is, the pages from there on end.
        for _ in 0..20 {
            let Some(page) = taken(list(connection, NAMESPACE, &query, 2, &token)) else {
                return;
            };
            token = page.next_page_token;
            if token.is_empty() {
                return;
            }
        }
        panic!("a list does not end");
    });
}
