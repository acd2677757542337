//! Settings that are one value each, and what stands over the file: `SEGNO_` and the setting's name, with underscores.
//!
//! ```text
//! defaults  <  segno.toml  <  SEGNO_HTTP_LISTEN, …  <  --http, …
//! ```
//!
//! What the environment says is written down as a configuration of its own and read by the same code as a file: so it is
//! judged alike, and its mistakes have the same codes.

use std::path::Path;

use super::{Config, Mistakes};

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Truth,
}

/// A setting that is one value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Where it is in the file.
    pub(crate) path: &'static str,
    kind: Kind,
    /// What holds where nobody says anything; empty where that is nothing.
    pub(crate) default: &'static str,
    /// The flag of `segno up` that says it, and its own variable.
    pub(crate) flag: Option<(&'static str, &'static str)>,
    /// Whether its value is to be shown.
    pub(crate) secret: bool,
    take: fn(&mut Config, Config),
}

macro_rules! settings {
    ($($path:literal $kind:ident $default:literal $(flag $flag:literal $variable:literal)? $(secret $secret:literal)? => $($field:ident).+;)+) => {
        /// All of them, in the order in which they are shown.
        pub(crate) const SETTINGS: &[Setting] = &[
            $(Setting {
                path: $path,
                kind: Kind::$kind,
                default: $default,
                flag: settings!(@flag $($flag $variable)?),
                secret: settings!(@secret $($secret)?),
                take: |config, over| config.$($field).+ = over.$($field).+,
            },)+
        ];
    };
    (@flag) => { None };
    (@flag $flag:literal $variable:literal) => { Some(($flag, $variable)) };
    (@secret) => { false };
    (@secret $secret:literal) => { $secret };
}

settings! {
    "data" Text "data" flag "--data" "SEGNO_DATA" => data;
    "http.listen" Text "127.0.0.1:8080" flag "--http" "SEGNO_HTTP" => http.listen;
    "http.max_event_bytes" Number "1048576" => http.max_event_bytes;
    "http.max_concurrent" Number "256" => http.max_concurrent;
    "engine.grpc.listen" Text "127.0.0.1:7233" flag "--grpc" "SEGNO_GRPC" => grpc.listen;
    "engine.grpc.max_connections" Number "" => grpc.limits.max_connections;
    "engine.grpc.max_message_bytes" Number "" => grpc.limits.max_message_bytes;
    "engine.grpc.max_queued_requests" Number "" => grpc.limits.max_queued_requests;
    "engine.grpc.max_connection_polls" Number "" => grpc.limits.max_connection_polls;
    "engine.grpc.max_namespace_polls" Number "" => grpc.limits.max_namespace_polls;
    "engine.grpc.requests_per_second" Number "" => grpc.limits.requests_per_second;
    "timers.allow_private" Truth "false" => timers.allow_private;
    "timers.secret" Text "" secret true => timers.secret;
    "dead_letters.alert.sink" Text "" => dead_letters.alert;
    "dead_letters.renew_after" Text "" => dead_letters.renew_after;
    "archive.unmatched" Truth "true" => archive.unmatched;
    "telemetry.otlp" Text "" => telemetry.otlp;
    "telemetry.protocol" Text "grpc" => telemetry.protocol;
    "telemetry.service" Text "segno" => telemetry.service;
}

impl Setting {
    /// Its variable.
    pub(crate) fn variable(&self) -> String {
        format!("SEGNO_{}", self.path.replace('.', "_").to_uppercase())
    }

    /// As a line of a configuration file.
    fn line(&self, value: &str) -> String {
        let plain = match self.kind {
            Kind::Text => false,
            Kind::Number => value.trim().parse::<i64>().is_ok(),
            Kind::Truth => matches!(value.trim(), "true" | "false"),
        };
        let value = if plain {
            value.trim().to_owned()
        } else {
            toml::Value::from(value).to_string()
        };
        format!("{} = {value} # {}\n", self.path, self.variable())
    }
}

/// The settings that these variables say, with their values. An empty one says nothing.
pub(crate) fn said(variable: impl Fn(&str) -> Option<String>) -> Vec<(&'static Setting, String)> {
    let value = |setting: &'static Setting| Some((setting, variable(&setting.variable())?));
    SETTINGS
        .iter()
        .filter_map(value)
        .filter(|(_, value)| !value.trim().is_empty())
        .collect()
}

/// A variable of the process's environment.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Config {
    /// The same, with what the environment says in place of what the file does: for each setting that is one value the variable
    /// `SEGNO_` and its name, such as `SEGNO_HTTP_LISTEN`.
    ///
    /// # Errors
    /// Every mistake in these variables.
    pub fn with_environment(self) -> Result<Self, Mistakes> {
        self.with_variables(environment)
    }

    pub(super) fn with_variables(
        mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Mistakes> {
        let said = said(variable);
        if said.is_empty() {
            return Ok(self);
        }
        let text: String = said.iter().map(|(setting, value)| setting.line(value)).collect();
        let sinks: Vec<_> = self
            .sinks
            .keys()
            .chain(self.workflow_sinks.keys())
            .cloned()
            .collect();
        for (setting, _) in &said {
            let over = Self::parse_with("the environment", &text, Path::new(""), &sinks)?;
            (setting.take)(&mut self, over);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A value that each takes, other than its default.
    fn example(setting: &Setting) -> &'static str {
        match (setting.path, setting.kind) {
            ("timers.secret", _) => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            ("dead_letters.alert.sink", _) => "out",
            ("dead_letters.renew_after", _) => "3h",
            ("telemetry.otlp", _) => "http://localhost:4317",
            ("telemetry.protocol", _) => "http",
            (path, _) if path.ends_with("listen") => "127.0.0.1:9",
            (_, Kind::Number) => "7",
            (_, Kind::Truth) if setting.default == "true" => "false",
            (_, Kind::Truth) => "true",
            (_, Kind::Text) => "other",
        }
    }

    const FILE: &str = "sinks.out.file.path = \"out\"\n";

    #[test]
    fn a_variable_says_what_the_file_could() {
        let mut variables = BTreeSet::new();
        for setting in SETTINGS {
            assert!(variables.insert(setting.variable()), "{}", setting.path);
            let value = example(setting);
            let in_file =
                Config::parse("f", &format!("{FILE}{}", setting.line(value)), Path::new("")).unwrap();
            let plain = Config::parse("f", FILE, Path::new("")).unwrap();
            let unlike = format!("{plain:?}");
            let variable = setting.variable();
            let over = plain
                .with_variables(|name| (name == variable).then(|| value.to_owned()))
                .unwrap();
            // But for what tells whether the file has changed.
            let shown = |config: &Config| {
                let text = format!("{config:?}");
                text[..text.find("prints: ").unwrap()].to_owned()
            };
            assert_eq!(shown(&over), shown(&in_file), "{variable}");
            assert!(
                setting.secret || !unlike.starts_with(&shown(&over)),
                "{variable} says nothing"
            );
        }
    }

    #[test]
    fn mistakes_in_variables_have_codes_and_hide_secrets() {
        for (variable, value, code) in [
            ("SEGNO_HTTP_LISTEN", "here", "SG0008"),
            ("SEGNO_HTTP_MAX_CONCURRENT", "many", "SG0004"),
            ("SEGNO_HTTP_MAX_CONCURRENT", "0", "SG0006"),
            ("SEGNO_TIMERS_ALLOW_PRIVATE", "yes", "SG0004"),
            ("SEGNO_DEAD_LETTERS_ALERT_SINK", "nowhere", "SG0015"),
            ("SEGNO_TIMERS_SECRET", "T0KEN", "SG0010"),
        ] {
            let plain = Config::parse("f", FILE, Path::new("")).unwrap();
            let mistakes = plain
                .with_variables(|name| (name == variable).then(|| value.to_owned()))
                .unwrap_err();
            let found: Vec<_> = mistakes
                .iter()
                .map(|mistake| mistake.code().to_string())
                .collect();
            assert_eq!(found, [code], "{variable}={value}");
            let shown = format!("{:?}", miette::Report::new(mistakes));
            assert!(
                shown.contains(variable) || shown.contains("the environment"),
                "{shown}"
            );
            assert!(!shown.contains("T0KEN"), "{shown}");
        }
    }

    #[test]
    fn an_empty_variable_says_nothing() {
        let config = Config::parse("f", "http.listen = \"127.0.0.1:5\"\n", Path::new("")).unwrap();
        let config = config.with_variables(|_| Some(String::new())).unwrap();
        assert_eq!(config.http.listen.unwrap().port(), 5);
    }
}
