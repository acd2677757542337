//! Resets of the world's run, as the host carries them out.

use segno_engine::core::{Reapply, Reset, Run};
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    history::v1::{HistoryEvent, history_event::Attributes},
};

use crate::world::{World, run_id};

impl World {
    /// Lets another run go on from one of the points of this one.
    pub(crate) fn reset(&mut self, point: usize, reapplies: bool) {
        let (now, key) = (self.now, self.run.key + 1);
        let reapply = Reapply {
            signals: reapplies,
            updates: reapplies,
        };
        let at = |event_id: i64| {
            let reset = Reset {
                run_id: run_id(key),
                reason: "a test".to_owned(),
                request_id: key.to_string(),
                event_id,
                reapply,
            };
            self.run.reset(key, now, &reset).ok().map(|run| (run, event_id))
        };
        let len = self.run.history.len();
        let from = point % len;
        let mut ids = (0..len).map(|skip| ((from + skip) % len) as i64 + 2);
        let Some((mut run, event_id)) = ids.find_map(at) else {
            return;
        };
        let kept: Vec<i64> = run
            .state
            .children
            .iter()
            .map(|child| child.initiated_event_id)
            .collect();
        if self.run.is_running() {
            self.run
                .terminate_for_reset(now, "a test".to_owned(), &kept)
                .expect("it is running");
            let (key, sent) = (self.run.key, self.run.effects.messages.drain(..));
            self.messages.extend(sent.map(|message| (key, message)));
        }
        let later = self
            .run
            .history
            .from(usize::try_from(event_id - 1).expect("an id"));
        run.reapply(now, later, reapply);
        let replaced = std::mem::replace(&mut self.run, run);
        self.check_reapplied(&replaced, event_id, reapply);
        self.replaced.push(replaced);
        self.held = None;
        self.told.clear();
        self.take_children_over();
        self.run.resume_reset(now);
        // Timers of the run before may be due.
        self.pass(0);
    }

    /// The run has each signal and each accepted update of the one that it replaces, if it is to have them.
    fn check_reapplied(&self, replaced: &Run, event_id: i64, reapply: Reapply) {
        let of = |run: &Run, skip: usize, is_one: fn(&HistoryEvent) -> bool| {
            run.history.from(skip).filter(is_one).count()
        };
        let kept = usize::try_from(event_id - 1).expect("an id");
        let (run, due) = (
            &self.run,
            |is_due: bool, count: usize| if is_due { count } else { 0 },
        );
        let signals = of(replaced, kept, is_signal);
        assert_eq!(of(run, kept, is_signal), due(reapply.signals, signals));
        let updates = of(replaced, kept, asks_for_update);
        assert_eq!(of(run, kept, asks_for_update), due(reapply.updates, updates));
    }
}

fn is_signal(event: &HistoryEvent) -> bool {
    event.event_type() == EventType::WorkflowExecutionSignaled
}

/// Whether the event has the request of an update: one that is accepted without one was admitted with it.
fn asks_for_update(event: &HistoryEvent) -> bool {
    match &event.attributes {
        Some(Attributes::WorkflowExecutionUpdateAdmittedEventAttributes(_)) => true,
        Some(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(a)) => a.accepted_request.is_some(),
        _ => false,
    }
}
