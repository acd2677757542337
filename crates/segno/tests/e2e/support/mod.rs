//! A whole Segno in the test's process, on the engine that the test is given.

mod app;
mod engine;
mod program;

pub(crate) use app::{App, json_of, only_execution, order};
pub(crate) use engine::TestEngine;
pub(crate) use program::{Launch, Program};

use std::time::Duration;

/// How long anything may take that a test waits for: far more than it takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Makes each named behaviour, an `async fn(TestEngine)`, a test on every engine.
macro_rules! on_every_engine {
    ($($behaviour:ident),+ $(,)?) => {
        mod temporal {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour(crate::support::TestEngine::temporal().await).await;
                }
            )+
        }

        #[cfg(feature = "embedded")]
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour(crate::support::TestEngine::embedded()).await;
                }
            )+
        }
    };
}
