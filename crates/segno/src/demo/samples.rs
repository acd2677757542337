//! The events that the demo sends.

use serde_json::{Value, json};

/// A sample event and what is to come of it.
pub(super) struct Sample {
    pub(super) event: Value,
    /// What it is, for people.
    pub(super) what: &'static str,
    /// How many deliveries arrive at the receiver for it.
    pub(super) arrivals: usize,
}

/// The samples; ids are new at every run, so that each run delivers something.
pub(super) fn samples() -> Vec<Sample> {
    let event = |source: &str, ty: &str, subject: &str, data: Value| {
        json!({
            "specversion": "1.0", "id": uuid::Uuid::now_v7(), "source": source, "type": ty, "subject": subject,
            "datacontenttype": "application/json", "data": data,
        })
    };
    vec![
        Sample {
            event: event(
                "/shop",
                "order.placed",
                "customer-7",
                json!({"id": 1001, "total": 250, "items": [{"sku": "lamp", "count": 2}]}),
            ),
            what: "an order of 250",
            arrivals: 1,
        },
        Sample {
            event: event(
                "/shop",
                "order.placed",
                "customer-8",
                json!({"id": 1002, "total": 40}),
            ),
            what: "an order of 40, below the filter's 100",
            arrivals: 0,
        },
        Sample {
            event: event(
                "/forum",
                "comment.created",
                "thread-12",
                json!({"text": "Shall we ship it?", "mentions": ["ada", "grace", "edsger"]}),
            ),
            what: "a comment that mentions three people",
            arrivals: 3,
        },
        Sample {
            event: event(
                "/warehouse/eu",
                "stock.changed",
                "lamp",
                json!({"sku": "lamp", "left": 12}),
            ),
            what: "a change of stock, refused once by its receiver",
            arrivals: 1,
        },
    ]
}
