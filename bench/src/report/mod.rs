//! The figures, and how they compare.

pub(crate) mod json;
pub(crate) mod table;

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::{
    drive::{Sample, count},
    events::Events,
    machine::Machine,
    process::Cpu,
    routes::Routing,
    scale::{closed::Closed, restart::Restart},
    settings::Settings,
    target::Kind,
};

/// All figures of one run of this program.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) throughput: Vec<Rate>,
    pub(crate) starts: Vec<Rate>,
    pub(crate) footprint: Vec<Footprint>,
    pub(crate) restarts: Vec<Restart>,
    pub(crate) closed: Option<Closed>,
    pub(crate) events: Vec<Events>,
    pub(crate) routing: Vec<Routing>,
}

/// How fast a server does a thing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rate {
    pub(crate) server: &'static str,
    pub(crate) callers: usize,
    pub(crate) operations: usize,
    pub(crate) per_second: f64,
    /// Latency of one operation, milliseconds.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// CPU time of one operation, milliseconds: of the driver (client, worker, and the engine where it is
    /// in the same process), and of the server's own process.
    pub(crate) driver_cpu_ms: f64,
    pub(crate) server_cpu_ms: Option<f64>,
    /// `per_second` in each round.
    pub(crate) rounds: Vec<f64>,
    /// The share of what the SDK does on the stub when it is called the same way.
    pub(crate) of_ceiling: Option<f64>,
    #[serde(skip)]
    kind: Kind,
    /// `per_second` divided by that of each other server at the same load, by its name.
    pub(crate) ratios: BTreeMap<&'static str, f64>,
}

impl Rate {
    pub(crate) fn new(kind: Kind, sample: &Sample, cpu: Cpu) -> Self {
        let each = |taken: std::time::Duration| taken.as_secs_f64() * 1_000.0 / count(sample.load.operations);
        Self {
            server: kind.name(),
            callers: sample.load.callers,
            operations: sample.load.operations,
            per_second: sample.per_second(),
            p50_ms: sample.quantile_ms(0.5),
            p99_ms: sample.quantile_ms(0.99),
            driver_cpu_ms: each(cpu.driver),
            server_cpu_ms: cpu.server.map(each),
            rounds: Vec::new(),
            of_ceiling: None,
            kind,
            ratios: BTreeMap::new(),
        }
    }
}

/// What a server takes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Footprint {
    pub(crate) server: &'static str,
    /// One-activity workflows run before the loaded figures.
    pub(crate) executions: usize,
    /// From its start to the first answer to `GetSystemInfo`.
    pub(crate) start_up_ms: f64,
    /// Resident memory, where the server has a process of its own.
    pub(crate) idle_mib: Option<f64>,
    pub(crate) loaded_mib: Option<f64>,
    pub(crate) peak_mib: Option<f64>,
    pub(crate) empty_file_bytes: Option<u64>,
    /// What the file grew by, its log written back, divided by the executions.
    pub(crate) bytes_per_execution: Option<f64>,
}

impl Report {
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let folder = settings.folder();
        Ok(Self {
            machine: Machine::look(&folder),
            settings: settings.clone(),
            throughput: Vec::new(),
            starts: Vec::new(),
            footprint: Vec::new(),
            restarts: Vec::new(),
            closed: None,
            events: Vec::new(),
            routing: Vec::new(),
        })
    }

    /// Makes one row of the rounds, and compares the rows.
    pub(crate) fn conclude(&mut self) {
        for rates in [&mut self.throughput, &mut self.starts] {
            let rounds = medians(
                std::mem::take(rates),
                |rate| (rate.server, rate.callers),
                |rate| rate.per_second,
            );
            *rates = rounds
                .into_iter()
                .map(|(rate, rounds)| Rate { rounds, ..rate })
                .collect();
            compare(rates);
        }
        let rounds = medians(
            std::mem::take(&mut self.footprint),
            |row| row.server,
            |row| row.start_up_ms,
        );
        self.footprint = rounds.into_iter().map(|(row, _)| row).collect();
    }
}

/// Of the rows with the same key the one with the median value, and the values of all of them as they came.
fn medians<T, K: PartialEq>(
    rows: Vec<T>,
    key: impl Fn(&T) -> K,
    value: impl Fn(&T) -> f64,
) -> Vec<(T, Vec<f64>)> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for row in rows {
        let of = key(&row);
        match groups.iter_mut().find(|(key, _)| *key == of) {
            Some((_, group)) => group.push(row),
            None => groups.push((of, vec![row])),
        }
    }
    let median = |(_, mut group): (K, Vec<T>)| {
        let values = group.iter().map(&value).collect();
        group.sort_by(|one, other| value(one).total_cmp(&value(other)));
        (group.swap_remove(group.len() / 2), values)
    };
    groups.into_iter().map(median).collect()
}

fn compare(rates: &mut [Rate]) {
    let all = rates.to_vec();
    for rate in rates {
        let others = all
            .iter()
            .filter(|other| other.callers == rate.callers && other.server != rate.server);
        rate.ratios = others
            .map(|other| (other.server, rate.per_second / other.per_second))
            .collect();
        let ceiling = rate.kind.ceiling();
        rate.of_ceiling = ceiling.and_then(|ceiling| rate.ratios.get(ceiling.name()).copied());
    }
}

#[cfg(test)]
mod tests {
    use super::medians;

    #[test]
    fn each_key_keeps_its_median_row_and_all_its_values() {
        let rows = vec![("a", 3.0), ("b", 9.0), ("a", 1.0), ("a", 2.0)];
        let medians = medians(rows, |row| row.0, |row| row.1);
        assert_eq!(
            medians,
            [(("a", 2.0), vec![3.0, 1.0, 2.0]), (("b", 9.0), vec![9.0])]
        );
    }
}
