//! Where a test has the process killed: at the boundaries of activities, which nothing outside of the process can see, as the
//! engine, the worker and SQLite are inside.
//!
//! Only builds with debug assertions have it, and so no release. `CRAWL_PLATFORM_CRASH_FILE` names a file, and what is in it one
//! place: `before sync_statuses`, `after send_mail`, `after count_alive_tasks 3` for the third time. When the process comes
//! to that place it removes the file, so that the next process goes on, and kills itself: no destructor, no flush, no farewell.

/// Which side of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing of it is done.
    Before,
    /// All of it is done, and nobody knows yet.
    After,
}

/// Ends the process if a test wants it to end here.
#[cfg(debug_assertions)]
pub(crate) fn at(moment: Moment, place: &str) {
    armed::at(moment, place);
}

/// Does nothing.
#[cfg(not(debug_assertions))]
pub(crate) fn at(_: Moment, _: &str) {}

#[cfg(debug_assertions)]
mod armed {
    use std::{
        fs,
        path::PathBuf,
        process::Command,
        sync::{Mutex, OnceLock, PoisonError},
    };

    use super::Moment;

    const FILE: &str = "CRAWL_PLATFORM_CRASH_FILE";

    /// What the file said last, and how often that was met.
    static MET: Mutex<(String, u32)> = Mutex::new((String::new(), 0));

    pub(super) fn at(moment: Moment, place: &str) {
        static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
        let Some(path) = PATH.get_or_init(|| std::env::var_os(FILE).map(PathBuf::from)) else {
            return;
        };
        // Mostly it is not there.
        let Ok(wanted) = fs::read_to_string(path) else {
            return;
        };
        let mut words = wanted.split_whitespace();
        let side = match moment {
            Moment::Before => "before",
            Moment::After => "after",
        };
        if (words.next(), words.next()) != (Some(side), Some(place)) {
            return;
        }
        let time = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
        let mut met = MET.lock().unwrap_or_else(PoisonError::into_inner);
        if met.0 != wanted {
            *met = (wanted, 0);
        }
        met.1 += 1;
        if met.1 < time || fs::remove_file(path).is_err() {
            return;
        }
        // The lock is kept: what else comes to a place waits for the end.
        loop {
            drop(
                Command::new("/bin/sh")
                    .args(["-c", "kill -s KILL \"$PPID\""])
                    .status(),
            );
        }
    }
}
