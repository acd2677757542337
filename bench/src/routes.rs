//! What routing costs an event, as the routes grow that have nothing to do with it.

use std::{hint::black_box, time::Instant};

use anyhow::{Context, Result};
use segno_event::Event;
use segno_routing::{Handler, Route, Routes, Timing, plan};
use serde::Serialize;

use crate::settings::Settings;

/// How many routes there are.
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// How many routes take each event, whatever their number.
const TAKEN: usize = 3;

/// The figures at one number of routes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Routing {
    pub(crate) routes: usize,
    /// Mean time of the plans of one event, microseconds.
    pub(crate) plan_us: f64,
    /// The same where every route is asked.
    pub(crate) linear_us: f64,
}

/// Takes the figures: events that three routes take each, among more and more routes.
pub(crate) fn measure(settings: &Settings) -> Result<Vec<Routing>> {
    let mut figures = Vec::new();
    for size in SIZES {
        let routes = routes(size)?;
        let events: Vec<Event> = (0..size / TAKEN).map(event).collect();
        let count = settings.routed_events;
        let each = |began: Instant| began.elapsed().as_secs_f64() * 1e6 / crate::drive::count(count);
        let next = |n: usize| &events[(n * 7) % events.len()];

        let began = Instant::now();
        for n in 0..count {
            let plans = plan(&routes, next(n));
            anyhow::ensure!(plans.len() == TAKEN, "{} plans for {}", plans.len(), next(n).ty);
            black_box(plans);
        }
        let plan_us = each(began);

        let began = Instant::now();
        for n in 0..count {
            let ty = &next(n).ty;
            let taking = routes
                .iter()
                .filter(|route| route.on.iter().any(|pattern| pattern.matches(ty)));
            anyhow::ensure!(black_box(taking.count()) == TAKEN, "the scan disagrees on {ty}");
        }
        let linear_us = each(began);
        eprintln!("  {size} routes: {plan_us:.2} us/event, asking each {linear_us:.2}");
        figures.push(Routing {
            routes: size,
            plan_us,
            linear_us,
        });
    }
    Ok(figures)
}

/// Routes in threes: one names the type, one its beginning, one its end.
fn routes(size: usize) -> Result<Routes> {
    let patterns = (0..size / TAKEN).flat_map(|n| {
        [
            format!("tenant{n}.order.placed{n}"),
            format!("tenant{n}.*"),
            format!("*.placed{n}"),
        ]
    });
    let route = |(n, pattern): (usize, String)| {
        Ok(Route {
            name: format!("r{n}"),
            on: vec![pattern.parse()?],
            when: None,
            handler: Handler::Workflow("W".to_owned()),
            timing: Timing::default(),
            flow: None,
        })
    };
    let routes: Result<Vec<_>> = patterns.enumerate().map(route).collect();
    Routes::new(routes?).context("routes that fit together")
}

fn event(n: usize) -> Event {
    Event::new("/bench", n.to_string(), format!("tenant{n}.order.placed{n}"))
}
