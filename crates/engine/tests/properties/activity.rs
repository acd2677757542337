//! The activity machine under any inputs in any order, on an activity that belongs to no workflow.

use proptest::prelude::*;
use segno_engine::{
    clock::Nanos,
    core::{
        Activity, ActivityPause, ActivityReset, ActivityUnpause, EndRequest, NewActivity, Run,
        STANDALONE_EVENT as EVENT, StartedActivity,
    },
};
use temporalio_common::protos::temporal::api::{
    activity::v1::ActivityOptions, common::v1::RetryPolicy, failure::v1::Failure, taskqueue::v1::TaskQueue,
};

const MILLI: Nanos = 1_000_000;
const QUEUE: &str = "queue";

#[derive(Clone, Copy, Debug)]
enum Input {
    Start,
    /// The attempt did not reach its worker.
    Return,
    Complete,
    Fail,
    Heartbeat,
    Cancel,
    AgreeToCancel,
    Pause,
    Unpause {
        reset_attempts: bool,
    },
    Reset {
        keep_paused: bool,
    },
    /// The engine's process ends and starts again.
    Restart,
    Pass {
        millis: i64,
    },
}

/// Time-outs in milliseconds; 0: none.
#[derive(Clone, Copy, Debug)]
struct Shape {
    schedule_to_close: i64,
    schedule_to_start: i64,
    heartbeat: i64,
    start_delay: i64,
    maximum_attempts: i32,
}

struct World {
    run: Run,
    now: Nanos,
    /// The attempt that waits has been put on its queue.
    is_offered: bool,
    requests: u32,
}

fn millis(of: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds: of / 1_000,
        nanos: i32::try_from(of % 1_000 * MILLI).expect("below a second"),
    })
}

impl World {
    fn new(shape: Shape) -> Self {
        let now = 1_700_000_000_000 * MILLI;
        let options = ActivityOptions {
            task_queue: Some(TaskQueue {
                name: QUEUE.to_owned(),
                ..Default::default()
            }),
            schedule_to_close_timeout: millis(shape.schedule_to_close),
            schedule_to_start_timeout: millis(shape.schedule_to_start),
            start_to_close_timeout: millis(5_000),
            heartbeat_timeout: millis(shape.heartbeat),
            retry_policy: Some(RetryPolicy {
                maximum_attempts: shape.maximum_attempts,
                ..Default::default()
            }),
            start_delay: millis(shape.start_delay),
            ..Default::default()
        };
        let new = NewActivity {
            namespace_key: 1,
            activity_id: "a".to_owned(),
            run_id: "0b4a25e8-3f5e-4dd0-8a1b-52d4d1a3a4c9".to_owned(),
            activity_type: "Act".to_owned(),
            options,
            ..Default::default()
        };
        let run = Run::begin_activity(1, new.resolve().expect("options"), now);
        let mut world = Self {
            run,
            now,
            is_offered: false,
            requests: 0,
        };
        world.take_tasks();
        world
    }

    fn take_tasks(&mut self) {
        self.is_offered |= !self.run.effects.tasks.is_empty();
        self.run.effects.tasks.clear();
    }

    fn activity(&self) -> Option<&Activity> {
        self.run.state.activities.first()
    }

    fn attempt(&self) -> i32 {
        self.activity().map_or(0, |activity| activity.attempt)
    }

    fn can_start(&self) -> bool {
        self.run.can_start_activity(EVENT, self.attempt(), QUEUE)
    }

    fn is_started(&self) -> bool {
        self.activity().is_some_and(|activity| activity.started.is_some())
    }

    /// What is refused changes nothing, so it is not looked at.
    fn apply(&mut self, input: Input) {
        self.requests += 1;
        let (now, attempt, request_id) = (self.now, self.attempt(), self.requests.to_string());
        let may_start = self.is_offered && self.can_start();
        let run = &mut self.run;
        match input {
            Input::Start if may_start => self.start(),
            Input::Start => {}
            Input::Return => run.return_activity(EVENT, attempt),
            Input::Complete => drop(run.complete_activity(now, EVENT, attempt, None, "worker")),
            Input::Fail => drop(run.fail_activity(now, EVENT, attempt, Failure::default(), None, "worker")),
            Input::Heartbeat => drop(run.heartbeat_activity(now, EVENT, attempt, None)),
            Input::Cancel => {
                let request = EndRequest {
                    request_id,
                    ..Default::default()
                };
                drop(run.request_cancel_standalone(now, request));
            }
            Input::AgreeToCancel => drop(run.cancel_activity(now, EVENT, attempt, None, "worker")),
            Input::Pause => {
                let pause = ActivityPause {
                    at: now,
                    request_id,
                    ..Default::default()
                };
                drop(run.pause_activity(EVENT, pause));
            }
            Input::Unpause { reset_attempts } => {
                let how = ActivityUnpause {
                    reset_attempts,
                    ..Default::default()
                };
                run.unpause_activity(now, EVENT, how);
            }
            Input::Reset { keep_paused } => {
                let how = ActivityReset {
                    keep_paused,
                    ..Default::default()
                };
                run.reset_activity(now, EVENT, how).expect("a reset");
            }
            Input::Restart => {
                self.run = Run::load(1, self.run.state.clone(), self.run.history.clone());
                self.is_offered = false;
                self.run.resume(now);
            }
            Input::Pass { millis } => self.pass(now + millis * MILLI),
        }
        self.take_tasks();
    }

    fn start(&mut self) {
        let worker = StartedActivity {
            at: self.now,
            identity: "worker".to_owned(),
            in_process: true,
            ..Default::default()
        };
        self.run.start_activity(self.now, EVENT, worker);
        self.is_offered = false;
    }

    /// Time goes by, with the run woken whenever it wants to be.
    fn pass(&mut self, until: Nanos) {
        while let Some(at) = self.run.next_wake().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.run.wake(self.now);
            self.take_tasks();
            let next = self.run.next_wake();
            assert!(
                next.is_none_or(|next| next > self.now),
                "the run is woken again and again"
            );
        }
        self.now = until;
    }

    fn check(&self) {
        let standalone = self.run.state.standalone.as_ref().expect("a standalone activity");
        let Some(activity) = self.activity() else {
            assert!(!self.run.is_running() && self.run.state.close_time != 0);
            assert!(standalone.outcome.is_some() && standalone.closed.is_some());
            assert_eq!(self.run.next_wake(), None);
            return;
        };
        assert!(self.run.is_running() && standalone.outcome.is_none());
        assert!(activity.attempt >= 1);
        let is_held = activity.pause.is_some() || activity.backing_off;
        assert_eq!(self.can_start(), !self.is_started() && !is_held);
        assert!(
            !self.can_start() || self.is_offered,
            "a task is on no queue: {activity:?}"
        );
        if self.is_started() || activity.backing_off && activity.pause.is_none() {
            assert!(
                self.run.next_wake().is_some(),
                "nothing would go on: {activity:?}"
            );
        }
    }

    /// Nobody interferes any more: the activity can be done.
    fn finish(&mut self) {
        self.apply(Input::Unpause {
            reset_attempts: false,
        });
        if self.is_started() {
            self.apply(Input::Complete);
        }
        if self.activity().is_some_and(|activity| activity.backing_off) {
            let due = self.run.next_wake().expect("the end of the back-off");
            self.pass(due);
            self.take_tasks();
        }
        self.apply(Input::Start);
        self.apply(Input::Complete);
        assert!(!self.run.is_running(), "{:?}", self.activity());
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let maybe = |of: i64| prop_oneof![Just(0), Just(of)];
    (maybe(30_000), maybe(3_000), maybe(1_000), maybe(2_000), 0..4_i32).prop_map(
        |(schedule_to_close, schedule_to_start, heartbeat, start_delay, maximum_attempts)| Shape {
            schedule_to_close,
            schedule_to_start,
            heartbeat,
            start_delay,
            maximum_attempts,
        },
    )
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let input = prop_oneof![
        6 => Just(Input::Start),
        1 => Just(Input::Return),
        1 => Just(Input::Complete),
        5 => Just(Input::Fail),
        2 => Just(Input::Heartbeat),
        1 => Just(Input::Cancel),
        1 => Just(Input::AgreeToCancel),
        3 => Just(Input::Pause),
        3 => any::<bool>().prop_map(|reset_attempts| Input::Unpause { reset_attempts }),
        2 => any::<bool>().prop_map(|keep_paused| Input::Reset { keep_paused }),
        1 => Just(Input::Restart),
        4 => (1..6_000_i64).prop_map(|millis| Input::Pass { millis }),
    ];
    proptest::collection::vec(input, 0..60)
}

proptest! {
    #[test]
    fn an_activity_is_never_lost_and_can_always_be_done(shape in shapes(), inputs in inputs()) {
        let mut world = World::new(shape);
        world.check();
        for input in inputs {
            world.apply(input);
            world.check();
        }
        world.finish();
        world.check();
    }
}
