//! The platform's pages in Segno's console: runs, and one run. They ask the platform's API, which Segno serves below `/app`
//! for them, with its sign-in and its roles.

use segno::{Builder, ConsolePage};

use crate::{
    api,
    lifecycle::{Lifecycle, Timing},
    store::Store,
};

/// Adds the pages, and the API over the runs of this store.
pub fn register(builder: Builder, store: Store, timing: Timing) -> Builder {
    builder
        .console_page(ConsolePage::new("runs", include_str!("console/runs.js")).menu("Runs"))
        .console_page(ConsolePage::new("runs/:id", include_str!("console/run.js")))
        .serve(move |client| api::router(Lifecycle::new(client, store, timing)))
}
