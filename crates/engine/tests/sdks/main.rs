//! The official SDKs in other languages, each scenario on the embedded engine and on a real Temporal
//! server: a scenario is a program that knows an address and a namespace, and not which engine is there.
//!
//! `./test` installs the SDKs and says by environment variables where they are. Scenarios are the
//! files of `python/scenarios` and `typescript/src/scenarios`; one file is one child process here.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod bed;
mod python;
mod typescript;

/// A test on each engine for each of a language's scenarios, and one that finds scenarios without a test.
macro_rules! scenarios {
    ($folder:literal, $extension:literal: $($name:ident)*) => {
        $(
            mod $name {
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn embedded() {
                    super::run(stringify!($name), &crate::bed::Bed::embedded().await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn temporal() {
                    super::run(stringify!($name), &crate::bed::Bed::temporal().await).await;
                }
            }
        )*

        #[test]
        fn every_file_has_its_tests() {
            let mut listed = vec![$(stringify!($name).to_owned()),*];
            listed.sort();
            assert_eq!(listed, crate::bed::files($folder, $extension));
        }
    };
}
use scenarios;
