//! A plan that fails, made as short as it still fails.

use super::{Failure, plan::Plan, run};

/// Leaves out steps, many at a time and then fewer, for as long as the plan still fails. What it fails with
/// may change: any failure is one.
pub(crate) fn shrink(plan: &Plan, failure: &Failure, tries: usize) -> (Plan, Failure) {
    let mut shortest = plan.clone();
    shortest.steps.truncate(failure.step + 1);
    let mut found = failure.clone();
    let mut left = tries;
    let mut chunk = shortest.steps.len() / 2;
    while chunk > 0 {
        let mut at = 0;
        let mut shorter = false;
        while at < shortest.steps.len() {
            if left == 0 {
                return (shortest, found);
            }
            left -= 1;
            let mut without = shortest.clone();
            let end = (at + chunk).min(without.steps.len());
            without.steps.drain(at..end);
            match run(&without) {
                Err(failure) => {
                    without.steps.truncate(failure.step + 1);
                    shortest = without;
                    found = failure;
                    shorter = true;
                }
                Ok(_) => at += chunk,
            }
        }
        if !shorter || chunk > 1 {
            chunk /= 2;
        }
    }
    (shortest, found)
}
