//! The life of runs, on both engines, on a cluster that does what the tests say.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by them")]

mod api;
mod aws;
mod cluster;
mod command_line;
mod console;
mod costs;
mod crashes;
mod deployment;
mod faults;
#[path = "../common/program.rs"]
mod installation;
mod long_runs;
mod month;
mod processes;
mod program;
mod replacement;
mod resume;
mod schedules;
mod stages;
mod stop;
mod store;
mod world;

/// Runs a behaviour on the embedded engine and on a real Temporal server.
macro_rules! on_every_engine {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident: World) $body:block)+) => {
        $(mod $name {
            use super::*;

            async fn behaviour($world: World) $body

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_embedded() {
                behaviour(World::embedded().await).await;
            }

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_temporal() {
                behaviour(World::temporal().await).await;
            }
        })+
    };
}
use on_every_engine;
