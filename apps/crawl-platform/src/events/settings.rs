//! What can be set about the events without building anything: where the systems are, how often and how long each event is
//! tried, and what mails are like. One file:
//!
//! ```toml
//! [mail]
//! from = "The data team <team@mail.webdata.example>"   # answers go to addresses of its domain
//! internal_domains = ["webdata.example"]               # of the platform's own people
//! secret = { env = "MAIL_SECRET" }                     # seals Message-IDs and addresses for answers
//! folder = "mail"                                      # or smtp = { host = "…" }
//!
//! [systems.jira]
//! url = "https://webdata.atlassian.net"
//! email = "bot@webdata.example"
//! token = { env = "JIRA_TOKEN" }
//! # … and hubspot, algolia, pusher, platform, support, reports
//!
//! [retry]                                              # for all events
//! initial = "1s"
//! backoff = 2.0
//! max_interval = "5m"
//! max_attempts = 20
//! attempt = "1m"
//!
//! [events.PasswordResetRequestedEvent]                 # for one of them, what is different
//! max_attempts = 5
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use segno_crawl_clients::{Confidential, GrpcOptions, algolia, hubspot, jira, pusher};
use segno_sinks::mail::SmtpOptions;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::audience::InternalDomains;

/// Settings of the events.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Mails.
    pub mail: MailSettings,
    /// The systems that events change.
    pub systems: SystemSettings,
    /// The retry policy of all events.
    #[serde(default)]
    pub retry: Partial,
    /// What is different for one event, by its type.
    #[serde(default)]
    pub events: BTreeMap<String, Partial>,
}

/// Settings of mails.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// Whom mails come from, such as `The data team <team@mail.webdata.example>`. Answers go to addresses of this domain.
    pub from: String,
    /// The domains of the platform's own people.
    pub internal_domains: Vec<String>,
    /// Seals `Message-ID`s and addresses for answers.
    pub secret: Confidential,
    /// The server that takes the mails.
    pub smtp: Option<SmtpOptions>,
    /// Without a server, the folder that they are written to. Default `mail`.
    pub folder: Option<PathBuf>,
    /// A folder with templates, in place of those of the same names that the program has.
    pub templates: Option<PathBuf>,
    /// What gateways hand mails in with.
    pub inbound_token: Option<Confidential>,
    /// How many bytes of a ticket's files may go along with a mail. Those that are too many are named in it. Default 10 MB,
    /// which most servers take once it is written as mails are, a third longer.
    #[serde(default = "largest_files")]
    pub largest_files: u64,
}

pub(super) fn largest_files() -> u64 {
    10_000_000
}

/// Where the systems are, and how they know the platform.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemSettings {
    /// Jira and its service desk.
    pub jira: jira::Options,
    /// HubSpot's CRM.
    pub hubspot: hubspot::Options,
    /// Algolia's search.
    pub algolia: algolia::Options,
    /// Pusher's channels.
    pub pusher: pusher::Options,
    /// The platform's records.
    pub platform: GrpcOptions,
    /// The support service.
    pub support: GrpcOptions,
    /// The report service.
    pub reports: GrpcOptions,
}

/// A retry policy, or what is different about one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partial {
    /// Before the second attempt.
    #[serde(default, deserialize_with = "duration")]
    pub initial: Option<Duration>,
    /// How much longer each wait is than the one before.
    pub backoff: Option<f64>,
    /// The longest wait.
    #[serde(default, deserialize_with = "duration")]
    pub max_interval: Option<Duration>,
    /// Attempts in all; 0: without an end.
    pub max_attempts: Option<u32>,
    /// How long one attempt may take.
    #[serde(default, deserialize_with = "duration")]
    pub attempt: Option<Duration>,
}

/// How an event's activities are tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Before the second attempt.
    pub initial: Duration,
    /// How much longer each wait is than the one before.
    pub backoff: f64,
    /// The longest wait.
    pub max_interval: Duration,
    /// Attempts in all; 0: without an end.
    pub max_attempts: u32,
    /// How long one attempt may take.
    pub attempt: Duration,
}

impl Default for Retry {
    /// Twenty attempts within about an hour: what is down for longer is looked at by somebody, among the dead letters.
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            backoff: 2.0,
            max_interval: Duration::from_secs(300),
            max_attempts: 20,
            attempt: Duration::from_secs(60),
        }
    }
}

impl Retry {
    fn with(self, partial: &Partial) -> Self {
        Self {
            initial: partial.initial.unwrap_or(self.initial),
            backoff: partial.backoff.unwrap_or(self.backoff),
            max_interval: partial.max_interval.unwrap_or(self.max_interval),
            max_attempts: partial.max_attempts.unwrap_or(self.max_attempts),
            attempt: partial.attempt.unwrap_or(self.attempt),
        }
    }

    fn validate(&self, whose: &str) -> Result<(), Error> {
        let wrong = |what| Error::Retry {
            whose: whose.to_owned(),
            what,
        };
        if !(1.0..=100.0).contains(&self.backoff) {
            return Err(wrong("`backoff` is from 1.0 to 100.0"));
        }
        if self.initial.is_zero() || self.max_interval < self.initial {
            return Err(wrong(
                "waits start at `initial`, above 0, and stay at `max_interval`",
            ));
        }
        if self.attempt.is_zero() {
            return Err(wrong("`attempt` is above 0"));
        }
        Ok(())
    }
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Their file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// They are no TOML, or not of this shape.
    #[error("the settings of the events cannot be read: {0}")]
    Read(#[from] toml::de::Error),
    /// They speak of an event that there is not.
    #[error("the settings of the events name {name:?}, and there is no such event; did you mean {like:?}?")]
    NoSuchEvent {
        /// What they name.
        name: String,
        /// The event whose name is most like it.
        like: String,
    },
    /// A policy contradicts itself.
    #[error("the retry policy of {whose}: {what}")]
    Retry {
        /// Of which event.
        whose: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A domain is none.
    #[error("{0:?} is no domain of mail addresses")]
    Domain(String),
}

impl Settings {
    /// Reads settings; `types` are the events that there are.
    ///
    /// # Errors
    /// [`Error`].
    pub fn parse<'a>(text: &str, types: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let settings: Self = toml::from_str(text)?;
        let types: Vec<&str> = types.into_iter().collect();
        for domain in &settings.mail.internal_domains {
            if domain.is_empty() || domain.contains(['@', ' ', '<', '>']) {
                return Err(Error::Domain(domain.clone()));
            }
        }
        settings.retry_of("").validate("all events")?;
        for name in settings.events.keys() {
            if !types.contains(&name.as_str()) {
                let like = types.iter().min_by_key(|known| distance(name, known));
                return Err(Error::NoSuchEvent {
                    name: name.clone(),
                    like: like.map_or_else(String::new, ToString::to_string),
                });
            }
            settings.retry_of(name).validate(name)?;
        }
        Ok(settings)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, super::registry::types())
    }

    /// How the activities of an event of this type are tried.
    pub fn retry_of(&self, ty: &str) -> Retry {
        let all = Retry::default().with(&self.retry);
        self.events.get(ty).map_or(all.clone(), |own| all.with(own))
    }

    /// The domains of the platform's own people.
    pub fn internal_domains(&self) -> InternalDomains {
        InternalDomains(self.mail.internal_domains.clone())
    }
}

/// How many characters differ, as names are read (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let here = (before + usize::from(x != *y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            before = row[j + 1];
            row[j + 1] = here;
        }
    }
    row[b.len()]
}

/// A duration such as `500ms`, `20s`, `5m`, `1h`, `2d`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let millis = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    match millis {
        Some(millis) if unit > 0 => Ok(Some(Duration::from_millis(millis))),
        _ => Err(de::Error::custom(format_args!(
            "{text:?} is no duration; write one such as \"500ms\", \"20s\", \"5m\", \"1h\" or \"2d\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = r#"
        [mail]
        from = "The data team <team@mail.webdata.example>"
        internal_domains = ["webdata.example"]
        secret = "hush"
        [systems]
        jira = { url = "http://127.0.0.1:1", email = "bot@webdata.example", token = "t" }
        hubspot = { token = "t" }
        algolia = { app_id = "A", api_key = "k" }
        pusher = { app_id = "1", key = "k", secret = "s" }
        platform = { url = "http://127.0.0.1:1" }
        support = { url = "http://127.0.0.1:1" }
        reports = { url = "http://127.0.0.1:1" }
        "#;
    const TYPES: [&str; 2] = ["TicketCommentedEvent", "ReportUpdatedEvent"];

    fn parse(more: &str) -> Result<Settings, Error> {
        Settings::parse(&format!("{MAIL}\n{more}"), TYPES)
    }

    #[test]
    fn an_event_differs_in_what_it_says_alone() {
        let settings = parse(
            "[retry]\nmax_attempts = 7\n[events.TicketCommentedEvent]\ninitial = \"250ms\"\nattempt = \"2m\"\n",
        );
        let settings = settings.unwrap();
        let own = settings.retry_of("TicketCommentedEvent");
        assert_eq!((own.initial, own.max_attempts), (Duration::from_millis(250), 7));
        assert_eq!(own.attempt, Duration::from_secs(120));
        assert_eq!(
            settings.retry_of("ReportUpdatedEvent").initial,
            Duration::from_secs(1)
        );
    }

    #[test]
    fn mistakes_are_told() {
        let said = |more: &str| parse(more).unwrap_err().to_string();
        let text = said("[events.TicketComentedEvent]\nmax_attempts = 1\n");
        assert!(text.contains("did you mean \"TicketCommentedEvent\"?"), "{text}");
        let text = said("[retry]\ninitial = \"soon\"\n");
        assert!(text.contains("\"soon\" is no duration"), "{text}");
        let text = said("[retry]\nattempts = 3\n");
        assert!(text.contains("unknown field `attempts`"), "{text}");
        let text = said("[events.ReportUpdatedEvent]\nmax_interval = \"1ms\"\n");
        assert!(text.contains("the retry policy of ReportUpdatedEvent"), "{text}");
    }
}
