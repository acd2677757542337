//! What was asked for, and what was answered. Whatever can be asked for twice by mistake has a label of its
//! own, which is then looked for in the file.

use std::collections::{BTreeMap, BTreeSet};

use tonic::{Code, Status};

/// What a caller knows of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// No answer, or none that says whether it is done.
    Unknown,
    /// It is done.
    Done,
    /// It is not done and never will be.
    Refused,
}

impl Fate {
    pub(crate) fn of<T>(answer: &Result<T, Status>) -> Self {
        match answer {
            Ok(_) => Self::Done,
            Err(status) if matches!(status.code(), Code::Unavailable | Code::Internal | Code::DataLoss) => {
                Self::Unknown
            }
            Err(_) => Self::Refused,
        }
    }

    /// With one more answer to the same request: once done is done.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Done, _) | (_, Self::Done) => Self::Done,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Refused, Self::Refused) => Self::Refused,
        }
    }
}

/// A run that was started, as the client was told.
#[derive(Clone, Debug)]
pub(crate) struct StartedRun {
    pub(crate) workflow_id: String,
    pub(crate) run_id: String,
    pub(crate) request_id: String,
    /// Made by this very request.
    pub(crate) is_new: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    last: u64,
    /// What is to be in histories once (done), never (refused), or one of the two.
    labels: BTreeMap<String, Fate>,
    /// Requests under way for a label: its fate is open until the last has been answered.
    open: BTreeMap<String, usize>,
    pub(crate) started: Vec<StartedRun>,
    pub(crate) canceled: BTreeSet<String>,
    pub(crate) terminated: BTreeSet<String>,
    /// Signals that were acknowledged, by run id.
    pub(crate) signals: BTreeMap<String, BTreeSet<String>>,
    /// The workflow id (or activity id) that a label is of.
    owners: BTreeMap<String, String>,
    /// Ids of which runs were asked to be deleted: what is not there any more need not be.
    pub(crate) deleted: BTreeSet<String>,
    /// Standalone activities that were started: activity id, run id, label of the request.
    pub(crate) standalone: Vec<(String, String, String)>,
    /// Schedules by their ids, and whether they are there.
    pub(crate) schedules: BTreeMap<String, bool>,
    /// Schedules whose action somebody has triggered.
    pub(crate) triggered: BTreeSet<String>,
    /// Activities (run id and activity id) whose attempts were set back.
    pub(crate) attempts_reset: BTreeSet<(String, String)>,
    /// The last heartbeat that was acknowledged, by run id, activity id and attempt.
    pub(crate) heartbeats: BTreeMap<(String, String, i32), u64>,
}

impl Ledger {
    /// A number that no other label has.
    pub(crate) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A new label.
    pub(crate) fn label(&mut self, of: &str) -> String {
        format!("{of}-{}", self.number())
    }

    /// A new label of something at this workflow id (or activity id).
    pub(crate) fn label_at(&mut self, of: &str, id: &str) -> String {
        let label = self.label(of);
        self.owners.insert(label.clone(), id.to_owned());
        label
    }

    /// Whether what has this label may have been deleted.
    fn may_be_gone(&self, label: &str) -> bool {
        self.owners.get(label).is_some_and(|id| self.deleted.contains(id))
    }

    /// A request for this label goes out.
    pub(crate) fn sent(&mut self, label: &str) {
        self.labels.entry(label.to_owned()).or_insert(Fate::Refused);
        *self.open.entry(label.to_owned()).or_default() += 1;
    }

    /// It was answered, or will never be.
    pub(crate) fn answered(&mut self, label: &str, fate: Fate) {
        if let Some(known) = self.labels.get_mut(label) {
            *known = known.and(fate);
        }
        if let Some(open) = self.open.get_mut(label) {
            *open = open.saturating_sub(1);
        }
    }

    /// What is wrong with how often each label is there.
    pub(crate) fn check(&self, found: &BTreeMap<String, usize>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (label, times) in found {
            match self.labels.get(label) {
                None => wrong.push(format!("{label} is in the file and nobody asked for it")),
                Some(_) if *times > 1 => wrong.push(format!("{label} is in the file {times} times")),
                _ => {}
            }
        }
        for (label, fate) in &self.labels {
            let is_there = found.contains_key(label);
            let is_open = self.open.get(label).is_some_and(|open| *open > 0);
            match fate {
                Fate::Done if !is_there && !self.may_be_gone(label) => {
                    wrong.push(format!("{label} was acknowledged and is not in the file"))
                }
                Fate::Refused if is_there && !is_open => {
                    wrong.push(format!("{label} was refused and is in the file"));
                }
                _ => {}
            }
        }
        wrong
    }
}
