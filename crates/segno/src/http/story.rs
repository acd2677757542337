//! The story of an execution from its history alone: what the query `story` tells, without a worker to ask.

use segno_routing::{Plan, PlannedHandler};
use serde_json::Value;

use crate::{
    execution::story::{ActionState, ActionStory, Receipt, Story},
    run::{Action, State},
};

/// The actions of a plan, in its order, those included that are still to come. None where the input is no plan: a
/// workflow of the program's own, or a timer.
pub(super) fn tell(input: &Value, activities: &[Action]) -> Option<Vec<ActionStory>> {
    // Read as a plan by what it must have; other inputs are none.
    let plan: Plan = serde_json::from_value(input.clone()).ok()?;
    if matches!(plan.handler, PlannedHandler::Workflow { .. }) {
        return None;
    }
    let told = |mut story: ActionStory| {
        let activity = activities
            .iter()
            .rev()
            .find(|activity| activity.name == story.action);
        if let Some(activity) = activity {
            add(&mut story, activity);
        }
        story
    };
    Some(Story::of(&plan).actions.into_iter().map(told).collect())
}

fn add(story: &mut ActionStory, activity: &Action) {
    story.started.clone_from(&activity.started);
    story.ended.clone_from(&activity.ended);
    story.attempts = u32::try_from(activity.attempts)
        .ok()
        .filter(|attempts| *attempts > 0);
    story.reason = activity
        .failure
        .as_ref()
        .map(|failure| failure.cause().to_owned());
    story.state = match activity.state {
        State::Scheduled | State::Running => ActionState::Running,
        State::Completed => ActionState::Done,
        State::Failed | State::Canceled => ActionState::Failed,
    };
    if activity.state == State::Canceled {
        story.reason = Some("it was cancelled".to_owned());
    }
    if activity.state == State::Completed {
        story.reason = None;
        let receipt = activity.result.clone();
        if let Some(receipt) = receipt.and_then(|result| serde_json::from_value::<Receipt>(result).ok()) {
            story.take(receipt);
        }
    }
}
