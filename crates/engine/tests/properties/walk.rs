//! How far the script's workflow is by its history.

use std::collections::HashSet;

use temporalio_common::protos::temporal::api::{
    command::v1::Command,
    enums::v1::EventType,
    history::v1::{HistoryEvent, history_event::Attributes},
};

use crate::{commands, script::Step};

pub(crate) fn count(history: &[HistoryEvent], types: &[EventType]) -> usize {
    let is_one = |event: &&HistoryEvent| types.contains(&event.event_type());
    history.iter().filter(is_one).count()
}

/// What the workflow does next.
pub(crate) enum Next {
    Wait,
    Command(Box<Command>),
    End,
}

/// How far the operations of one kind are.
struct Progress {
    begun: usize,
    ended: usize,
    used: usize,
}

enum State {
    Over,
    Waiting,
    ToBegin(usize),
}

impl Progress {
    fn of(history: &[HistoryEvent], begin: EventType, ends: &[EventType]) -> Self {
        Self {
            begun: count(history, &[begin]),
            ended: count(history, ends),
            used: 0,
        }
    }

    fn next(&mut self) -> State {
        self.used += 1;
        if self.used <= self.ended {
            State::Over
        } else if self.used <= self.begun {
            State::Waiting
        } else {
            State::ToBegin(self.used)
        }
    }
}

/// The children in the order in which they were asked for.
struct Children {
    initiated: Vec<i64>,
    started: HashSet<i64>,
    /// Or not started at all.
    ended: HashSet<i64>,
    used: usize,
}

impl Children {
    fn of(history: &[HistoryEvent]) -> Self {
        use Attributes as A;
        let (mut initiated, mut started, mut ended) = (Vec::new(), HashSet::new(), HashSet::new());
        for event in history {
            match &event.attributes {
                Some(A::StartChildWorkflowExecutionInitiatedEventAttributes(_)) => {
                    initiated.push(event.event_id);
                }
                Some(A::ChildWorkflowExecutionStartedEventAttributes(a)) => {
                    assert!(started.insert(a.initiated_event_id), "a child starts once");
                }
                _ => {}
            }
            if let Some(of) = ended_child(event) {
                assert!(ended.insert(of), "a child ends once");
            }
        }
        Self {
            initiated,
            started,
            ended,
            used: 0,
        }
    }

    fn next(&mut self, to_the_end: bool) -> State {
        self.used += 1;
        match self.initiated.get(self.used - 1) {
            None => State::ToBegin(self.used),
            Some(id) if self.ended.contains(id) => State::Over,
            Some(id) if !to_the_end && self.started.contains(id) => State::Over,
            Some(_) => State::Waiting,
        }
    }
}

/// The child, by its initiating event, that has ended by this event, or could not start.
fn ended_child(event: &HistoryEvent) -> Option<i64> {
    use Attributes as A;
    match event.attributes.as_ref()? {
        A::StartChildWorkflowExecutionFailedEventAttributes(a) => Some(a.initiated_event_id),
        A::ChildWorkflowExecutionCompletedEventAttributes(a) => Some(a.initiated_event_id),
        A::ChildWorkflowExecutionFailedEventAttributes(a) => Some(a.initiated_event_id),
        A::ChildWorkflowExecutionCanceledEventAttributes(a) => Some(a.initiated_event_id),
        A::ChildWorkflowExecutionTimedOutEventAttributes(a) => Some(a.initiated_event_id),
        A::ChildWorkflowExecutionTerminatedEventAttributes(a) => Some(a.initiated_event_id),
        _ => None,
    }
}

/// Where the workflow is among its steps.
pub(crate) struct Walk {
    timers: Progress,
    activities: Progress,
    signals_out: Progress,
    cancels_out: Progress,
    children: Children,
    /// Signals and updates that no step has waited for.
    signals: usize,
    updates: usize,
}

impl Walk {
    pub(crate) fn new(history: &[HistoryEvent], signals: usize, updates: usize) -> Self {
        use EventType as E;
        let progress = |begin, ends: &[E]| Progress::of(history, begin, ends);
        Self {
            timers: progress(E::TimerStarted, &[E::TimerFired]),
            activities: progress(
                E::ActivityTaskScheduled,
                &[
                    E::ActivityTaskCompleted,
                    E::ActivityTaskFailed,
                    E::ActivityTaskTimedOut,
                ],
            ),
            signals_out: progress(
                E::SignalExternalWorkflowExecutionInitiated,
                &[
                    E::ExternalWorkflowExecutionSignaled,
                    E::SignalExternalWorkflowExecutionFailed,
                ],
            ),
            cancels_out: progress(
                E::RequestCancelExternalWorkflowExecutionInitiated,
                &[
                    E::ExternalWorkflowExecutionCancelRequested,
                    E::RequestCancelExternalWorkflowExecutionFailed,
                ],
            ),
            children: Children::of(history),
            signals,
            updates,
        }
    }

    pub(crate) fn next(mut self, steps: &[Step]) -> Next {
        for step in steps {
            let (state, command): (_, &dyn Fn(usize) -> Command) = match step {
                Step::Signal => (taken(&mut self.signals), &|_| unreachable!()),
                Step::Update => (taken(&mut self.updates), &|_| unreachable!()),
                Step::Timer { millis } => (self.timers.next(), &|n| commands::start_timer(n, *millis)),
                Step::Activity { attempts } => {
                    (self.activities.next(), &|n| commands::schedule(n, *attempts))
                }
                Step::Child { to_the_end } => (self.children.next(*to_the_end), &commands::start_child),
                Step::SignalOther => (self.signals_out.next(), &|_| commands::signal_other()),
                Step::CancelOther => (self.cancels_out.next(), &|_| commands::cancel_other()),
            };
            match state {
                State::Over => {}
                State::Waiting => return Next::Wait,
                State::ToBegin(number) => return Next::Command(Box::new(command(number))),
            }
        }
        Next::End
    }
}

/// Takes one of what came from outside, if there is one.
fn taken(count: &mut usize) -> State {
    match count.checked_sub(1) {
        Some(rest) => {
            *count = rest;
            State::Over
        }
        None => State::Waiting,
    }
}
