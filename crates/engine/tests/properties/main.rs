//! Properties of the pure core: whatever comes in, in whatever order, leaves a history that the
//! official SDK replays.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod activity;
mod script;
mod world;

use proptest::prelude::*;
use script::{Step, replay};
use world::{Input, World};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..5_000_u64).prop_map(|millis| Step::Timer { millis }),
        (0..3_u32).prop_map(|attempts| Step::Activity { attempts }),
        Just(Step::Signal),
    ];
    proptest::collection::vec(step, 0..8)
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let input = prop_oneof![
        3 => Just(Input::StartTask),
        3 => Just(Input::CompleteTask),
        1 => Just(Input::FailTask),
        1 => Just(Input::ReturnTask),
        2 => Just(Input::Signal),
        2 => Just(Input::StartActivity),
        2 => Just(Input::CompleteActivity),
        2 => Just(Input::FailActivity),
        1 => Just(Input::Restart),
        3 => (1..20_000_u64).prop_map(|millis| Input::Pass { millis }),
    ];
    proptest::collection::vec(input, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_inputs_leave_a_history_that_the_sdk_replays(steps in steps(), inputs in inputs()) {
        let mut world = World::new(&steps);
        for input in inputs {
            world.apply(input);
            world.check();
        }
        world.run_to_the_end();
        world.check();
        replay(world.history()).map_err(|why| TestCaseError::fail(format!("{why}\n{:#?}", world.event_types())))?;
    }
}
