//! The timer service from end to end: HTTP, engine, worker, receiver. The scenarios know of the engine only
//! how to connect to it, so that they run alike on every one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test has no better use for an error, and compares with the real clock"
)]

mod histories;
mod on_embedded;
mod on_temporal;
mod scenarios;
mod world;

/// One test for each scenario on the engine that `$start` makes.
macro_rules! run_on {
    ($engine:ident, $start:path; $($file:ident: [$($name:ident),* $(,)?]),* $(,)?) => {
        mod $engine {
            $(mod $file {
                $(#[tokio::test]
                async fn $name() {
                    let (world, _engine) = $start().await;
                    crate::scenarios::$file::$name(world).await;
                })*
            })*
        }
    };
}

/// Every scenario, on every engine.
macro_rules! scenarios {
    ($($scenario:tt)*) => {
        run_on!(temporal, crate::on_temporal::start; $($scenario)*);
        run_on!(embedded, crate::on_embedded::start; $($scenario)*);
    };
}

scenarios!(
    firing: [
        fires_in_time_with_an_empty_request,
        appends_the_id_to_the_path,
        sends_what_the_user_gave_and_signs_it,
        takes_every_way_to_say_when,
        fires_what_is_overdue_when_workers_come_back,
        survives_wrong_signals,
    ],
    delivery: [
        tries_again_with_the_same_id,
        waits_as_long_as_the_receiver_asks,
        gives_up_at_once_when_the_receiver_is_gone,
        gives_up_after_five_attempts,
        delivers_again_when_the_worker_died_in_an_attempt,
        hands_over_when_the_worker_shuts_down_in_an_attempt,
        refuses_private_addresses_that_a_name_resolves_to,
    ],
    api: [
        refuses_wrong_requests,
        tells_fired_long_ago_from_never_made,
        makes_one_timer_for_one_idempotency_key,
        lists_timers_by_status_and_page,
        documents_what_it_serves,
    ],
    changing: [
        moves_the_deadline_without_a_worker,
        moves_the_deadline_both_ways,
        refuses_to_move_what_fired,
        cancels_for_good,
        obeys_the_engines_own_cancel,
        waits_for_the_year_9999,
    ],
);
