//! What fuzzers have found stays mended: each input among the seeds of the fuzz targets goes through its target once
//! more, without a fuzzer. See `fuzz/README.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{fs, path::Path};

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// Gives the target its seeds.
fn replay(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(name);
    let (_, run) = targets::TARGETS
        .iter()
        .find(|(of, _)| *of == name)
        .expect("a target");
    let mut seeds: Vec<_> = fs::read_dir(&folder)
        .expect("a folder of seeds")
        .map(|entry| entry.unwrap().path())
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 5, "{name} has {} seeds", seeds.len());
    for seed in seeds {
        eprintln!("{}", seed.display());
        run(&fs::read(seed).unwrap());
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn no_target_is_left_out() {
            let replayed = [$(stringify!($name)),*];
            assert_eq!(targets::TARGETS.map(|(name, _)| name), replayed);
        }
    };
}

replays! { attributes commands cron page_token query requests schedule_spec schedule_text tokens }
