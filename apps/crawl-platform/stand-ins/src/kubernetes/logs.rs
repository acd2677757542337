//! What pods have written.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

/// Kept of one pod; the oldest goes first. (A real node keeps files of 10 MB.)
const LONGEST: usize = 1 << 20;

/// The logs of pods, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    pods: Mutex<HashMap<String, Log>>,
    written: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Log {
    text: String,
    /// Bytes that were written before the text, and are not kept.
    gone: usize,
}

impl Logs {
    pub(crate) fn write(&self, pod: &str, text: &str) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let log = pods.entry(pod.to_owned()).or_default();
        log.text.push_str(text);
        if log.text.len() > LONGEST {
            let from = log.text.len() - LONGEST / 2;
            let line = log.text.as_bytes()[from..].iter().position(|byte| *byte == b'\n');
            let cut = line.map_or(log.text.len(), |line| from + line + 1);
            log.text.drain(..cut);
            log.gone += cut;
        }
        drop(pods);
        self.written.send_replace(());
    }

    pub(crate) fn forget(&self, pod: &str) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.remove(pod);
    }

    /// Hears of whatever is written.
    pub(crate) fn written(&self) -> watch::Receiver<()> {
        self.written.subscribe()
    }

    /// What a pod has written after so many bytes, as far as it is kept, and how many there are then.
    pub(crate) fn after(&self, pod: &str, bytes: usize) -> (String, usize) {
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = pods.get(pod) else {
            return (String::new(), bytes);
        };
        let text = log.text.get(bytes.saturating_sub(log.gone)..).unwrap_or_default();
        (text.to_owned(), log.gone + log.text.len())
    }

    /// The last lines, and of these the first bytes; and how many bytes the pod has written in all.
    pub(crate) fn tail(&self, pod: &str, lines: Option<u64>, bytes: Option<u64>) -> (String, usize) {
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = pods.get(pod) else {
            return (String::new(), 0);
        };
        let lines = lines.map_or(usize::MAX, |lines| usize::try_from(lines).unwrap_or(usize::MAX));
        let all = log.text.split_inclusive('\n').collect::<Vec<_>>();
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
        (text, log.gone + log.text.len())
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
        assert_eq!(logs.tail("a", Some(2), None), ("two\nthree".to_owned(), 13));
        assert_eq!(logs.tail("a", None, Some(5)).0, "one\nt");
        assert_eq!(logs.tail("b", None, None).0, "");
        assert_eq!(logs.after("a", 4), ("two\nthree".to_owned(), 13));
        assert_eq!(logs.after("a", 13), (String::new(), 13));
        logs.forget("a");
        assert_eq!(logs.tail("a", None, None).0, "");
    }

    #[test]
    fn a_long_log_loses_its_beginning_by_whole_lines() {
        let logs = Logs::default();
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..1_025 {
            logs.write("a", &line);
        }
        let (text, all) = logs.tail("a", None, None);
        assert!(text.len() <= LONGEST && text.len().is_multiple_of(1024));
        assert_eq!(all, 1_025 * 1024);
        assert_eq!(logs.after("a", all - 1024).0, line);
        assert_eq!(logs.after("a", 0).0, text, "what is not kept is left out");
    }
}
