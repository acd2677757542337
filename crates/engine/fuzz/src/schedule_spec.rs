//! Specs of schedules, encoded.

use prost::Message as _;
use segno_engine::schedule::{Spec, canonical::canonical};
use temporalio_protos::temporal::api::schedule::v1::ScheduleSpec;

use super::times::BEGINNINGS;

pub fn run(data: &[u8]) {
    if let Ok(spec) = ScheduleSpec::decode(data) {
        check(&spec);
    }
}

/// What holds of every spec that is taken.
pub(crate) fn check(given: &ScheduleSpec) {
    let Ok(spec) = canonical(given) else { return };
    assert_eq!(
        canonical(&spec).as_ref(),
        Ok(&spec),
        "a canonical spec is canonical"
    );
    let compiled = Spec::compile(&spec).expect("a canonical spec can be compiled");
    for beginning in BEGINNINGS {
        let mut at = beginning;
        for _ in 0..4 {
            let Some(next) = compiled.next("seed", at) else {
                break;
            };
            assert!(next.nominal > at, "{} is not after {at}", next.nominal);
            assert!(next.actual >= next.nominal, "{next:?}");
            assert_eq!(compiled.next("seed", at), Some(next));
            at = next.nominal;
        }
    }
}
