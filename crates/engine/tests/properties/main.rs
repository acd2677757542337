//! Properties of the pure core: whatever comes in, in whatever order, leaves a history that the
//! official SDK replays.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod activity;
mod cases;
mod checks;
mod commands;
mod model;
mod relatives;
mod replay;
mod resets;
mod script;
mod updates;
mod walk;
mod worker;
mod world;

use proptest::prelude::*;
use relatives::End;
use script::Step;
use updates::Kind;
use world::{Input, World};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1..5_000_u64).prop_map(|millis| Step::Timer { millis }),
        2 => (0..3_u32).prop_map(|attempts| Step::Activity { attempts }),
        2 => Just(Step::Signal),
        2 => Just(Step::Update),
        3 => any::<bool>().prop_map(|to_the_end| Step::Child { to_the_end }),
        1 => Just(Step::SignalOther),
        1 => Just(Step::CancelOther),
    ];
    proptest::collection::vec(step, 0..8)
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        2 => Just(Kind::Unwanted),
        2 => Just(Kind::Immediate),
        2 => (0..4_usize).prop_map(|signals| Kind::Awaiting { signals }),
    ]
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Completed),
        Just(End::Failed),
        Just(End::TimedOut),
        Just(End::Canceled),
        Just(End::Terminated),
    ]
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let complete = |(can_discard, wants_next)| Input::CompleteTask {
        can_discard,
        wants_next,
    };
    let input = prop_oneof![
        6 => Just(Input::StartTask),
        6 => any::<(bool, bool)>().prop_map(complete),
        1 => Just(Input::FailTask),
        1 => Just(Input::ReturnTask),
        2 => Just(Input::Signal),
        3 => (0..6_u8, kinds()).prop_map(|(number, kind)| Input::Update { number, kind }),
        2 => Just(Input::StartActivity),
        2 => Just(Input::CompleteActivity),
        2 => Just(Input::FailActivity),
        3 => proptest::bool::weighted(0.8).prop_map(|succeeds| Input::Deliver { succeeds }),
        2 => (any::<usize>(), ends()).prop_map(|(which, end)| Input::EndChild { which, end }),
        1 => (any::<usize>(), proptest::bool::weighted(0.8))
            .prop_map(|(point, reapplies)| Input::Reset { point, reapplies }),
        1 => Just(Input::Restart),
        3 => (1..20_000_u64).prop_map(|millis| Input::Pass { millis }),
    ];
    proptest::collection::vec(input, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_inputs_leave_histories_that_the_sdk_replays(steps in steps(), inputs in inputs()) {
        let mut world = World::new(&steps);
        for input in inputs {
            world.apply(input);
            world.check();
        }
        world.run_to_the_end();
        replay::replay(world.histories()).map_err(TestCaseError::fail)?;
    }
}
