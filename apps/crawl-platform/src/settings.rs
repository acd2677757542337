//! The platform's settings, from a file in TOML. All have defaults: without a file the platform runs on SQLite and local
//! processes.
//!
//! ```toml
//! database = "postgres://crawl@db/crawl"      # or sqlite:…, mysql://…, mariadb://…
//! data = "data"                               # the engine's file, local jobs, the SQLite database
//! output = "/mnt/output"                      # what processes leave behind; on Kubernetes a volume that all mount
//! archives = "s3://bucket/archives"           # or a folder
//! segno = "segno.toml"                        # Segno's own configuration
//! events = "events.toml"                      # the business events: their systems, mails, retries
//!
//! [processes]                                 # local processes
//! capacity = 8
//!
//! [eventbridge]                               # where records go of crawlers with `"export": "eventbridge"`
//! bus = "deliveries"                          # options as of Segno's sink `eventbridge`
//!
//! [pusher]                                    # front ends that listen on private-run-<id>
//! app_id = "1"
//! key = "key"
//! secret = { env = "PUSHER_SECRET" }
//!
//! [kubernetes]                                # instead of local processes: see `docs/kubernetes.md`
//! namespace = "crawlers"
//! image = "registry.example/crawler:7"
//!
//! [timing]                                    # of a run: see `lifecycle::Timing`
//! status_poll_seconds = 6
//! pending_limit_seconds = 300
//! intervals = [{ from_seconds = 0, every_seconds = 60 }, { from_seconds = 300, every_seconds = 120 }]
//!
//! [sweep]
//! every_seconds = 300
//! ```

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::{
    cluster::kubernetes,
    lifecycle::{
        Timing,
        rules::{InvalidIntervals, f64_seconds::Seconds},
    },
    sweeper::SweepSettings,
};

/// Settings of the platform.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the API listens; where callers sign in to Segno, it is below `/app` of that alone.
    pub listen: SocketAddr,
    /// Where Segno's own API listens.
    pub segno_listen: SocketAddr,
    /// Where the embedded engine's gRPC API listens.
    pub grpc_listen: SocketAddr,
    /// The folder of all that the platform keeps itself.
    pub data: PathBuf,
    /// The URL of the database; if absent, a SQLite file in `data`.
    pub database: Option<String>,
    /// The folder of what processes leave behind; if absent, in `data`.
    pub output: Option<PathBuf>,
    /// Where supporting files are kept; if absent, in `data`.
    pub archives: Option<String>,
    /// The file of Segno's configuration.
    pub segno: Option<PathBuf>,
    /// The file of the business events' settings. Their routes are in Segno's configuration.
    pub events: Option<PathBuf>,
    /// Local processes.
    pub processes: ProcessSettings,
    /// A Kubernetes cluster, which runs jobs instead of local processes.
    pub kubernetes: Option<kubernetes::Options>,
    /// Where crawlers' records go that are delivered to EventBridge.
    pub eventbridge: Option<segno_sinks::eventbridge::Options>,
    /// How front ends are told; if absent, they are not.
    pub pusher: Option<segno_crawl_clients::pusher::Options>,
    /// How long things take.
    pub timing: Timing,
    /// The sweeper.
    pub sweep: Sweep,
}

/// Local processes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessSettings {
    /// Processes at once.
    pub capacity: usize,
}

/// The sweeper.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sweep {
    /// How often it sweeps.
    pub every_seconds: Seconds,
    /// How old what is nobody's is before something is done about it.
    pub grace_seconds: Seconds,
    /// How long jobs that have ended are kept.
    pub keep_ended_seconds: Seconds,
}

impl Default for Settings {
    fn default() -> Self {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            listen: at(8090),
            segno_listen: at(8080),
            grpc_listen: at(7233),
            data: PathBuf::from("data"),
            database: None,
            output: None,
            archives: None,
            segno: None,
            events: None,
            processes: ProcessSettings::default(),
            kubernetes: None,
            eventbridge: None,
            pusher: None,
            timing: Timing::default(),
            sweep: Sweep::default(),
        }
    }
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self {
            capacity: std::thread::available_parallelism().map_or(4, |cores| cores.get() * 4),
        }
    }
}

impl Default for Sweep {
    fn default() -> Self {
        let seconds = |duration: Duration| Seconds::new(duration.as_secs());
        let settings = SweepSettings::default();
        Self {
            every_seconds: seconds(settings.every),
            grace_seconds: seconds(settings.grace),
            keep_ended_seconds: seconds(settings.keep_ended),
        }
    }
}

impl From<Sweep> for SweepSettings {
    fn from(sweep: Sweep) -> Self {
        Self {
            every: sweep.every_seconds.get().max(Duration::from_secs(1)),
            grace: sweep.grace_seconds.get(),
            keep_ended: sweep.keep_ended_seconds.get(),
        }
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML, has a key that is not known, or a value of another type; the text names the place.
    #[error("{0}")]
    Parse(#[from] toml::de::Error),
    /// The intervals are not in order.
    #[error("timing.intervals: {0}")]
    Intervals(#[from] InvalidIntervals),
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
            path: path.display().to_string(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text)?;
        settings.timing.intervals.check()?;
        Ok(settings)
    }

    /// The URL of the database.
    pub fn database(&self) -> String {
        self.database
            .clone()
            .unwrap_or_else(|| format!("sqlite:{}", self.data.join("platform.db").display()))
    }

    /// The folder of what processes leave behind.
    pub fn output(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| self.data.join("output"))
    }

    /// Where supporting files are kept.
    pub fn archives(&self) -> String {
        self.archives
            .clone()
            .unwrap_or_else(|| self.data.join("archives").to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_mistakes_are_told() {
        let settings = Settings::parse("data = \"/d\"\n[timing]\nstatus_poll_seconds = 0.5\n").unwrap();
        assert_eq!(settings.database(), "sqlite:/d/platform.db");
        assert_eq!(
            settings.timing.status_poll_seconds.get(),
            Duration::from_millis(500)
        );
        assert_eq!(settings.timing.deployments, 3);
        let wrong = Settings::parse("[timing]\nstatus_pol_seconds = 6\n").unwrap_err();
        assert!(wrong.to_string().contains("status_pol_seconds"), "{wrong}");
        let text = "[kubernetes]\nnamespace = \"crawlers\"\nlimits = { memory = \"256Mi\" }\n";
        let cluster = Settings::parse(text).unwrap().kubernetes.unwrap();
        assert_eq!(cluster.namespace.as_deref(), Some("crawlers"));
        let wrong = Settings::parse("[kubernetes]\nnamspace = \"crawlers\"\n").unwrap_err();
        assert!(wrong.to_string().contains("namspace"), "{wrong}");
        let wrong = "[timing]\nintervals = [{ from_seconds = 5, every_seconds = 60 }]\n";
        assert!(matches!(
            Settings::parse(wrong),
            Err(SettingsError::Intervals(InvalidIntervals))
        ));
    }
}
