//! Cron schedules of workflows, as text.

use std::str;

use segno_engine::{
    clock::SECOND,
    cron::{Cron, backoff, check},
};

use super::times::{BEGINNINGS, NOW};

pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let _ = check(text, NOW);
    let Ok(cron) = Cron::parse(text) else {
        assert!(text.is_empty() || check(text, NOW).is_err());
        return;
    };
    for beginning in BEGINNINGS {
        let mut at = beginning;
        for _ in 0..4 {
            let Some(next) = cron.next(at) else { break };
            assert!(next > at, "{next} is not after {at}");
            at = next;
        }
        for now in [beginning, beginning.saturating_add(3_600 * SECOND), NOW] {
            let wait = backoff(text, beginning, now);
            assert!(wait.is_none_or(|wait| wait >= 0), "{wait:?}");
        }
    }
}
