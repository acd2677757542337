//! Visibility queries as text: read, checked against a namespace's attributes, and run as lists and counts.

use std::{collections::BTreeSet, str};

use segno_engine::visibility::{Query, count, list};

use super::database::{EXECUTIONS, NAMESPACE, database, taken};

pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    thread_local! {
        static DATABASE: (rusqlite::Connection, segno_engine::visibility::Registry) = database();
    }
    DATABASE.with(|(connection, registry)| {
        let Ok(query) = Query::parse(text, registry) else {
            return;
        };
        assert_eq!(Query::parse(text, registry).as_ref(), Ok(&query));
        let total = taken(count(connection, NAMESPACE, &query)).map(|count| count.total);
        let mut met = BTreeSet::new();
        let mut token = Vec::new();
        loop {
            let Some(page) = taken(list(connection, NAMESPACE, &query, 5, &token)) else {
                return;
            };
            for execution in page.executions {
                assert!(met.insert(execution.key), "{} is on two pages", execution.key);
            }
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let met = i64::try_from(met.len()).unwrap();
        assert!(met <= EXECUTIONS);
        assert!(
            total.is_none_or(|total| total == met),
            "listed {met}, counted {total:?}"
        );
    });
}
