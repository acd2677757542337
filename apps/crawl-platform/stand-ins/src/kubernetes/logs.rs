//! What pods have written.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Kept of one pod; the oldest goes first. (A real node keeps files of 10 MB.)
const LONGEST: usize = 1 << 20;

/// The logs of pods, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Logs(Mutex<HashMap<String, String>>);

impl Logs {
    pub(crate) fn write(&self, pod: &str, text: &str) {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let log = logs.entry(pod.to_owned()).or_default();
        log.push_str(text);
        if log.len() > LONGEST {
            let from = log.len() - LONGEST / 2;
            let line = log.as_bytes()[from..].iter().position(|byte| *byte == b'\n');
            let cut = line.map_or(log.len(), |line| from + line + 1);
            log.drain(..cut);
        }
    }

    pub(crate) fn forget(&self, pod: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(pod);
    }

    /// The last lines, and of these the first bytes.
    pub(crate) fn tail(&self, pod: &str, lines: Option<u64>, bytes: Option<u64>) -> String {
        let logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = logs.get(pod) else {
            return String::new();
        };
        let lines = lines.map_or(usize::MAX, |lines| usize::try_from(lines).unwrap_or(usize::MAX));
        let all = log.split_inclusive('\n').collect::<Vec<_>>();
        let mut text = all[all.len().saturating_sub(lines)..].concat();
        if let Some(bytes) = bytes.and_then(|bytes| usize::try_from(bytes).ok())
            && bytes < text.len()
        {
            let end = (0..=bytes)
                .rev()
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(0);
            text.truncate(end);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_has_the_last_lines() {
        let logs = Logs::default();
        logs.write("a", "one\ntwo\n");
        logs.write("a", "three");
        assert_eq!(logs.tail("a", Some(2), None), "two\nthree");
        assert_eq!(logs.tail("a", None, Some(5)), "one\nt");
        assert_eq!(logs.tail("b", None, None), "");
        logs.forget("a");
        assert_eq!(logs.tail("a", None, None), "");
    }

    #[test]
    fn a_long_log_loses_its_beginning_by_whole_lines() {
        let logs = Logs::default();
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..1_025 {
            logs.write("a", &line);
        }
        let text = logs.tail("a", None, None);
        assert!(text.len() <= LONGEST && text.len().is_multiple_of(1024));
    }
}
