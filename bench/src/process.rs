//! What the kernel says of a process: its memory and the CPU time it has taken.

use std::time::Duration;

use anyhow::{Context, Result};

/// A process, by its number.
pub(crate) type Pid = u32;

/// Ticks of the CPU times in `/proc/<pid>/stat`: the kernel's USER_HZ, 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// The memory of a process, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    resident: u32,
    peak: u32,
}

impl Memory {
    /// Reads it now.
    pub(crate) fn of(pid: Pid) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let field = |name: &str| -> Result<u32> {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let line = line.with_context(|| format!("{path} has no {name}"))?;
            let kib = line.trim().trim_end_matches("kB").trim_end();
            kib.parse()
                .with_context(|| format!("{name} in {path} is {kib:?}"))
        };
        Ok(Self {
            resident: field("VmRSS")?,
            peak: field("VmHWM")?,
        })
    }

    /// Resident now.
    pub(crate) fn resident_mib(self) -> f64 {
        f64::from(self.resident) / 1_024.0
    }

    /// Resident at most since the process began.
    pub(crate) fn peak_mib(self) -> f64 {
        f64::from(self.peak) / 1_024.0
    }
}

/// Takes the CPU time of this process, and of the server's where it has one of its own.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    server: Option<Pid>,
    began: Cpu,
}

/// CPU time, of user and kernel together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    pub(crate) driver: Duration,
    /// None where the server runs in the driver's process.
    pub(crate) server: Option<Duration>,
}

impl Cpu {
    fn now(server: Option<Pid>) -> Result<Self> {
        Ok(Self {
            driver: taken_by(std::process::id())?,
            server: server.map(taken_by).transpose()?,
        })
    }
}

impl CpuMeter {
    pub(crate) fn start(server: Option<Pid>) -> Result<Self> {
        Ok(Self {
            server,
            began: Cpu::now(server)?,
        })
    }

    /// What has been taken since the start.
    pub(crate) fn stop(self) -> Result<Cpu> {
        let now = Cpu::now(self.server)?;
        let server = now
            .server
            .zip(self.began.server)
            .map(|(now, began)| now.saturating_sub(began));
        Ok(Cpu {
            driver: now.driver.saturating_sub(self.began.driver),
            server,
        })
    }
}

/// All CPU time of a process so far.
///
/// Source: proc_pid_stat(5), fields 14 and 15.
fn taken_by(pid: Pid) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // The second field is the name in parentheses, and may hold anything.
    let (_, fields) = stat
        .rsplit_once(") ")
        .with_context(|| format!("{path} is not as expected"))?;
    let ticks: u32 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    Ok(TICK * ticks)
}
