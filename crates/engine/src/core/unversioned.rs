//! The workers without a version that have worked for a run: search attributes tell of their builds, so that people see
//! which runs a build has touched.
#![allow(
    deprecated,
    reason = "workers without a version name their build by the deprecated fields"
)]

use temporalio_protos::temporal::api::history::v1::WorkflowTaskCompletedEventAttributes;

/// What the search attribute `BuildIds` begins with where workers have no version.
pub(super) const UNVERSIONED_WORKERS: &str = "unversioned";
/// What the builds of one run may take in the search attribute, as the real server's default: the oldest are left out.
const ATTRIBUTE_BYTES: usize = 2_048;

/// What workers without a version say of their programs, each once, the latest last.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct UnversionedWorkers {
    /// Build ids.
    #[prost(string, repeated, tag = "1")]
    builds: Vec<String>,
    /// Checksums of programs, as older SDKs give them.
    #[prost(string, repeated, tag = "2")]
    checksums: Vec<String>,
}

impl UnversionedWorkers {
    /// Takes up who has completed a workflow task. Answers whether it has said anything new.
    pub(super) fn note(&mut self, completed: &WorkflowTaskCompletedEventAttributes) -> bool {
        let stamp = completed.worker_version.as_ref();
        let has_new_build = stamp.is_some_and(|stamp| note_once(&mut self.builds, &stamp.build_id));
        let has_new_checksum = note_once(&mut self.checksums, &completed.binary_checksum);
        has_new_build || has_new_checksum
    }

    /// The values of `BuildIds`: this first one, unless it is empty, and the builds.
    pub(super) fn build_ids(&self, first: &str) -> Vec<String> {
        let first = Some(first).filter(|first| !first.is_empty());
        let builds = self.builds.iter().map(|build| attribute(build));
        first.map(str::to_owned).into_iter().chain(builds).collect()
    }

    /// The values of `BinaryChecksums`; none where no worker has given one.
    pub(super) fn checksums(&self) -> Option<&[String]> {
        Some(self.checksums.as_slice()).filter(|checksums| !checksums.is_empty())
    }
}

/// A build in `BuildIds`.
fn attribute(build: &str) -> String {
    format!("{UNVERSIONED_WORKERS}:{build}")
}

/// Adds what is neither empty nor there, and leaves out the oldest of what does not fit any more. Answers whether it has.
fn note_once(names: &mut Vec<String>, name: &str) -> bool {
    if name.is_empty() || names.iter().any(|known| known == name) {
        return false;
    }
    names.push(name.to_owned());
    // In JSON, in one list, with quotes and commas.
    let length = |names: &[String]| -> usize {
        let each = names.iter().map(|name| attribute(name).len() + "\"\",".len());
        each.sum::<usize>() + "[\"\"]".len() + UNVERSIONED_WORKERS.len()
    };
    while !names.is_empty() && length(names) > ATTRIBUTE_BYTES {
        names.remove(0);
    }
    true
}

#[cfg(test)]
mod tests {
    use temporalio_protos::temporal::api::common::v1::WorkerVersionStamp;

    use super::{super::state::RunState, *};

    fn completed(build_id: &str, checksum: &str) -> WorkflowTaskCompletedEventAttributes {
        WorkflowTaskCompletedEventAttributes {
            worker_version: Some(WorkerVersionStamp {
                build_id: build_id.to_owned(),
                use_versioning: false,
            }),
            binary_checksum: checksum.to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn the_first_is_told_of_whoever_it_is() {
        let mut state = RunState::default();
        assert!(state.note_completed_by(&completed("", "")).attributes_changed);
        assert!(!state.note_completed_by(&completed("", "")).attributes_changed);
    }

    #[test]
    fn each_is_told_once_and_in_its_order() {
        let mut workers = UnversionedWorkers::default();
        assert!(!workers.note(&completed("", "")), "it says nothing");
        assert_eq!(workers.build_ids(UNVERSIONED_WORKERS), ["unversioned"]);
        assert_eq!(workers.checksums(), None);
        assert!(workers.note(&completed("b", "")));
        assert!(workers.note(&completed("a", "sum")));
        assert!(!workers.note(&completed("b", "sum")));
        assert_eq!(
            workers.build_ids(UNVERSIONED_WORKERS),
            ["unversioned", "unversioned:b", "unversioned:a"]
        );
        assert_eq!(workers.build_ids(""), ["unversioned:b", "unversioned:a"]);
        assert_eq!(workers.checksums(), Some(["sum".to_owned()].as_slice()));
    }

    #[test]
    fn the_latest_builds_are_told_as_far_as_they_fit() {
        let mut workers = UnversionedWorkers::default();
        for number in 0..60 {
            workers.note(&completed(&format!("{number:02}{}", "x".repeat(40)), ""));
        }
        let told = workers.build_ids(UNVERSIONED_WORKERS);
        let json = serde_json::to_string(&told).unwrap();
        assert!((2_048 - 57..=2_048).contains(&json.len()), "{}", json.len());
        assert_eq!(told[1], format!("unversioned:25{}", "x".repeat(40)));
        assert_eq!(told.last(), Some(&format!("unversioned:59{}", "x".repeat(40))));
    }
}
