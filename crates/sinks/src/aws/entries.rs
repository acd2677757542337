//! What became of each message of a call, which SQS and SNS tell alike.

use super::{failure, is_passing};
use crate::{Delivered, Failure, batch::Outcome};

/// A message that was not taken.
pub(crate) struct Told<'a> {
    pub(crate) id: &'a str,
    pub(crate) code: &'a str,
    pub(crate) message: Option<&'a str>,
    /// Whether it is called the sender's fault.
    pub(crate) sender: bool,
}

/// The outcomes of `n` messages, whose ids are their places. Whatever the answer does not name counts as not taken.
pub(crate) fn outcomes<'a>(
    service: &str,
    n: usize,
    taken: impl Iterator<Item = &'a str>,
    failed: impl Iterator<Item = Told<'a>>,
) -> Vec<Outcome> {
    let unnamed = format!("{service} does not say whether it took the message");
    let mut outcomes: Vec<Outcome> = vec![Err(Failure::retryable(unnamed)); n];
    let mut set = |id: &str, outcome: Outcome| {
        if let Some(place) = id.parse().ok().and_then(|n: usize| outcomes.get_mut(n)) {
            *place = outcome;
        }
    };
    for id in taken {
        set(id, Ok(Delivered { status: Some(200) }));
    }
    for told in failed {
        let permanent = told.sender && !is_passing(told.code);
        set(
            told.id,
            Err(failure(service, told.code, told.message, permanent, None)),
        );
    }
    outcomes
}
