//! `segno.toml`: read whole, with every mistake in it reported at once and in its place.
//!
//! The file is parsed to values with their places, and each value is judged on its own: one that is wrong is left out
//! and reading goes on. What comes out is a [`Config`], or [`Mistakes`] that [`miette`] renders. Secrets are blotted
//! out of the source before it is shown.

mod access;
mod code;
mod dead_letters;
mod duration;
mod encryption;
mod engine;
mod flow;
mod grpc;
mod http;
mod include;
mod key_source;
mod mask;
mod mistake;
mod oidc;
mod outbox;
mod position;
mod print;
pub(crate) mod profiles;
mod reader;
mod redact;
mod retry;
mod routes;
mod schemas;
mod section;
mod settings;
pub(crate) mod show;
mod sinks;
mod sources;
mod suggest;
mod table;
mod timing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use segno_routing::Routes;

pub use access::Token;
pub use code::Code;
pub use dead_letters::{Archive, DeadLetters};
pub use grpc::{ApiKey, Grpc, GrpcLimits, NoApiKey, TlsFiles};
pub use http::Http;
pub use key_source::KeySource;
pub use mistake::{Mistake, Mistakes};
pub use oidc::Oidc;
pub use outbox::{Debezium, Encryption, Outbox};
pub(crate) use print::{Prints, changed};

use crate::catalogue::Schemas;
use include::Included;
use reader::Reader;
use routes::Names;
use section::Section;

/// What `segno.toml` says. Fields that are `None` were left out; whoever runs the program knows the defaults.
#[derive(Debug, Default)]
pub struct Config {
    /// Where the engine keeps its file (`data`).
    pub data: Option<PathBuf>,
    /// `[http]`: addresses and limits.
    pub http: Http,
    /// `engine.temporal`: a Temporal cluster, as a profile of Temporal's own `temporal.toml` (`address`, `namespace`,
    /// `api_key`, `tls`, `grpc_meta`). None: the embedded engine.
    pub engine: Option<toml::Table>,
    /// `engine.grpc`: the embedded engine's port.
    pub grpc: Grpc,
    /// `[timers]`.
    pub timers: Timers,
    /// `[telemetry]`: where traces go.
    pub telemetry: crate::telemetry::Options,
    /// `[dead_letters]`.
    pub dead_letters: DeadLetters,
    /// `[archive]`.
    pub archive: Archive,
    /// `[encryption]`: the keys that payloads are encrypted with.
    pub encryption: crate::encryption::Keyring,
    /// `[[redact]]`: what of events only administrators see.
    pub redact: crate::redact::Rules,
    /// `encryption.codec_origins`: the web pages that may ask for decoding, such as Temporal's UI.
    pub codec_origins: Vec<String>,
    /// `[sinks.NAME]`, by name.
    pub sinks: BTreeMap<String, segno_sinks::Options>,
    /// `[sources.NAME]`, by name.
    pub sources: BTreeMap<String, segno_sources::Options>,
    /// `[outbox.NAME]`, by name.
    pub outboxes: BTreeMap<String, Outbox>,
    /// `[sinks.NAME.workflow]`, by name: the sinks that need the engine.
    pub workflow_sinks: BTreeMap<String, (crate::WorkflowSink, segno_sinks::Limits)>,
    /// `[[routes]]`, compiled.
    pub routes: Routes,
    /// `[schemas."TYPE"]`: what the data of events has to look like.
    pub schemas: Schemas,
    /// The directory that relative paths of sinks, certificates and keys are taken from: the file's own.
    pub base: PathBuf,
    /// Digests of its parts.
    pub(crate) prints: Prints,
}

/// `[timers]`: the webhook timer service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timers {
    /// Whether timers may call private addresses.
    pub allow_private: bool,
    /// Signs what the timers deliver.
    pub secret: Option<segno_sinks::Secret>,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// Every mistake in it; or the one that it cannot be read.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        let name = path.display().to_string();
        let base = path.parent().map(Path::to_owned).unwrap_or_default();
        let text = std::fs::read(path)
            .map_err(|error| error.to_string())
            .and_then(|bytes| String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {error}")));
        match text {
            Ok(text) => Self::parse(&name, &text, &base),
            Err(why) => Err(Mistakes::unreadable(&name, &why)),
        }
    }

    /// Reads a configuration from its text. `name` is what mistakes call it, `base` where relative paths start.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(name: &str, text: &str, base: &Path) -> Result<Self, Mistakes> {
        Self::parse_with(name, text, base, &[])
    }

    /// The same, where there are these sinks besides.
    fn parse_with(name: &str, text: &str, base: &Path, more: &[String]) -> Result<Self, Mistakes> {
        let (document, syntax) = toml::de::DeTable::parse_recoverable(text);
        let mut prints = Prints::default();
        prints.add(&document, base);
        let mut reader = Reader::new(text);
        let broken = !syntax.is_empty();
        reader.syntax(&syntax);
        let mut root = Section::root(&document);
        let files = include::files(&mut reader, &mut root, base);
        let documents: Vec<_> = files.iter().map(include::File::document).collect();
        for (document, _) in &documents {
            prints.add(document, base);
        }
        let included = files.iter().zip(&documents);
        let mut included: Vec<_> = included
            .map(|(file, document)| Included::new(file, document))
            .collect();

        let data = root
            .string(&mut reader, "data")
            .and_then(|path| reader.path(&path));
        let section = root.table(&mut reader, "http", "http");
        let http = http::read(&mut reader, section, base);
        let section = root.table(&mut reader, "engine", "engine");
        let (engine, grpc) = engine::read(&mut reader, section, base);
        let section = root.table(&mut reader, "timers", "timers");
        let timers = timers(&mut reader, section);
        let section = root.table(&mut reader, "sinks", "sinks");
        let mut sinks = sinks::read(&mut reader, section);
        sinks.names.extend_from_slice(more);
        for file in &mut included {
            file.sinks(&mut sinks);
        }
        let section = root.table(&mut reader, "dead_letters", "dead_letters");
        let dead_letters = dead_letters::read(&mut reader, section, &mut sinks);
        let telemetry = root.take("telemetry");
        let telemetry = telemetry.and_then(|value| table::read(&mut reader, value));
        let section = root.table(&mut reader, "archive", "archive");
        let archive = dead_letters::archive(&mut reader, section);
        let section = root.table(&mut reader, "encryption", "encryption");
        let (encryption, codec_origins) = encryption::read(&mut reader, section, base);
        let sections = root.tables(&mut reader, "redact", "a rule of redaction");
        let redact = redact::read(&mut reader, sections);
        let section = root.table(&mut reader, "sources", "sources");
        let sources = sources::read(&mut reader, section, base);
        let section = root.table(&mut reader, "outbox", "outbox");
        let outboxes = outbox::read(&mut reader, section, &sinks.names);
        let sections = root.tables(&mut reader, "routes", "route");
        let mut names = Names::new("route");
        let mut routes = routes::read(&mut reader, sections, &sinks.names, &mut names);
        for file in &mut included {
            file.routes(&sinks.names, &mut names, &mut routes);
        }
        let section = root.table(&mut reader, "schemas", "schemas");
        let schemas = schemas::read(&mut reader, section, base);
        let mut schemas: BTreeMap<_, _> = schemas
            .into_iter()
            .map(|schema| (schema.ty().to_owned(), schema))
            .collect();
        for file in &mut included {
            file.schemas(&mut schemas);
        }
        root.finish(&mut reader);

        let elsewhere: Vec<_> = included.into_iter().filter_map(Included::finish).collect();
        let mistakes = reader.into_mistakes();
        let right = mistakes.is_empty() && elsewhere.is_empty();
        let routes = match (right, Routes::new(routes)) {
            (true, Ok(routes)) => routes,
            _ => {
                let mistakes = Mistakes::new(name, mask::mask(text, &document, broken), mistakes);
                return Err(mistakes.with_included(elsewhere));
            }
        };
        Ok(Self {
            data,
            http,
            engine,
            grpc,
            timers,
            telemetry: telemetry.unwrap_or_default(),
            dead_letters,
            archive,
            encryption,
            codec_origins,
            redact,
            sinks: sinks.options,
            sources,
            outboxes,
            workflow_sinks: sinks.workflows,
            routes,
            schemas: schemas.into_values().collect(),
            base: base.to_owned(),
            prints,
        })
    }
}

fn timers(reader: &mut Reader<'_>, section: Option<Section<'_>>) -> Timers {
    let Some(mut section) = section else {
        return Timers::default();
    };
    let allow_private = section.bool(reader, "allow_private").unwrap_or_default();
    let secret = section
        .take("secret")
        .and_then(|value| sinks::secret(reader, "secret", value));
    section.finish(reader);
    Timers {
        allow_private,
        secret,
    }
}
