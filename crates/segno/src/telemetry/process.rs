//! What the process takes of its machine, as Linux tells of it; elsewhere these figures are missing.

use std::fs;

use super::Metrics;

/// Ticks in a second: the kernel's unit in what it tells programs, on every architecture that Segno is built for.
const TICKS: f64 = 100.0;
/// Bytes in a page, as long as nothing else is known.
const PAGE: f64 = 4_096.0;

pub(super) fn sample(metrics: &Metrics) {
    let none: [&str; 0] = [];
    if let Some(stat) = fs::read_to_string("/proc/self/stat")
        .ok()
        .as_deref()
        .and_then(Stat::parse)
    {
        let cpu = metrics.process_cpu.with_label_values(&none);
        // A counter only grows; what the kernel tells does too.
        cpu.inc_by((stat.cpu_seconds - cpu.get()).max(0.0));
        metrics
            .process_memory
            .with_label_values(&none)
            .set(stat.resident_bytes);
        metrics.process_threads.with_label_values(&none).set(stat.threads);
        if let Some(boot) = boot_time() {
            metrics
                .process_started
                .with_label_values(&none)
                .set(boot + stat.started_after_boot);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        metrics
            .process_files
            .with_label_values(&none)
            .set(open.count() as f64);
    }
    if let Some(most) = fs::read_to_string("/proc/self/limits")
        .ok()
        .as_deref()
        .and_then(most_files)
    {
        metrics.process_most_files.with_label_values(&none).set(most);
    }
}

struct Stat {
    cpu_seconds: f64,
    threads: f64,
    started_after_boot: f64,
    resident_bytes: f64,
}

impl Stat {
    /// proc(5): the fields after the program's name, which stands in parentheses and may have any character in it.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        // The first is field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / TICKS,
            threads: field(20)?,
            started_after_boot: field(22)? / TICKS,
            resident_bytes: field(24)? * PAGE,
        })
    }
}

fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

fn most_files(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read_whatever_the_program_is_called() {
        let line = "12 (a) b (c)) S 1 12 12 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 7 0 4200 1000000 256 18446744073709551615";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.cpu_seconds, 2.0);
        assert_eq!(stat.threads, 7.0);
        assert_eq!(stat.started_after_boot, 42.0);
        assert_eq!(stat.resident_bytes, 256.0 * 4_096.0);
        assert!(Stat::parse("nonsense").is_none());
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024   4096   files\n";
        assert_eq!(most_files(limits), Some(1_024.0));
    }
}
