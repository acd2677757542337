//! What the property has found, by itself.

use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use crate::{
    relatives::End,
    replay::replay,
    script::Step,
    updates::Kind,
    world::{Input, World},
};

const WORK: [Input; 2] = [
    Input::StartTask,
    Input::CompleteTask {
        can_discard: false,
        wants_next: false,
    },
];

fn after(steps: &[Step], inputs: impl IntoIterator<Item = Input>) -> World {
    let mut world = World::new(steps);
    for input in inputs {
        world.apply(input);
        world.check();
    }
    world
}

fn deliver() -> Input {
    Input::Deliver { succeeds: true }
}

/// The task becomes a written one just before the event of the child's start.
#[test]
fn a_child_that_starts_beside_a_speculative_task_knows_its_event() {
    let update = Input::Update {
        number: 0,
        kind: Kind::Immediate,
    };
    let end = Input::EndChild {
        which: 0,
        end: End::Completed,
    };
    let inputs = WORK.into_iter().chain([update, deliver(), end]);
    let mut world = after(&[Step::Child { to_the_end: true }], inputs);
    let (mut started, mut ended) = (0, 0);
    for event in world.run.history.iter() {
        match event.attributes {
            Some(Attributes::ChildWorkflowExecutionStartedEventAttributes(_)) => started = event.event_id,
            Some(Attributes::ChildWorkflowExecutionCompletedEventAttributes(a)) => ended = a.started_event_id,
            _ => {}
        }
    }
    assert!(started != 0 && started == ended, "{:#?}", world.event_types());
    world.run_to_the_end();
    replay(world.histories()).expect("a replay");
}

/// What it has sent before is void, and its own is delivered.
#[test]
fn a_reset_run_sends_what_the_one_before_it_could_not() {
    for step in [
        Step::Child { to_the_end: true },
        Step::SignalOther,
        Step::CancelOther,
    ] {
        // The signal comes while a worker is at the task, and asks for the next one.
        let [start, complete] = WORK;
        let reset = Input::Reset {
            point: 6,
            reapplies: true,
        };
        let inputs = [
            start,
            Input::Signal,
            complete,
            Input::StartTask,
            reset,
            deliver(),
            deliver(),
        ];
        let mut world = after(&[step], inputs);
        assert!(world.has_sent_all(), "{:#?}", world.event_types());
        world.run_to_the_end();
        replay(world.histories()).expect("a replay");
    }
}
