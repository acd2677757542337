//! Commands that ask a running platform for something, over its HTTP API.

mod output;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use reqwest::{Method, StatusCode, header::HeaderValue};
use segno::cli::Credentials;
use serde_json::{Value, json};
use url::Url;

pub use output::Output;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Where a platform is on the machine that one is at.
const HERE: &str = "http://127.0.0.1:8090";
/// Runs that are asked for at once.
const PAGE: usize = 500;

/// A command did not do what it was to do; the text is for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CommandError(String);

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// `crawl-platform runs`, and `segno runs`.
#[derive(Args, Debug)]
pub struct Runs {
    /// The running platform's API; or below `/app` that of its Segno, which asks for a token [default: below `/app` of the
    /// Segno that SEGNO_API names, as a profile of `segno` does; else <http://127.0.0.1:8090>].
    #[arg(long, env = "CRAWL_API", value_name = "URL", global = true)]
    api: Option<Url>,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// Lists runs, the newest first.
    List(List),
    /// Shows a run with its tasks, attempts, corrections and log.
    Show {
        /// The run's id.
        run: String,
    },
    /// Begins a run of a crawler.
    Start {
        /// The crawler's id.
        crawler: String,
        /// Begins one run for each key, however often it is called.
        #[arg(long)]
        key: Option<String>,
    },
    /// Tells the processes of a run to end.
    Stop {
        /// The run's id.
        run: String,
        /// Deletes its pods at once.
        #[arg(long)]
        force: bool,
        /// Who asks, for the run's record.
        #[arg(long, env = "USER", default_value = "somebody")]
        by: String,
    },
    /// Goes on with a run that no workflow looks after.
    Resume {
        /// The run's id.
        run: String,
    },
}

#[derive(Args, Debug)]
struct List {
    /// Only runs of this status: INITIALIZING, PROCESSING, COMPLETED or FAILED.
    #[arg(long)]
    status: Option<String>,
    /// Only runs of the crawler of this id.
    #[arg(long)]
    crawler: Option<String>,
    /// Only runs that were asked for so: scheduled, manual or api.
    #[arg(long)]
    trigger: Option<String>,
    /// Only runs that were asked for at this time or later (RFC 3339).
    #[arg(long)]
    since: Option<String>,
    /// Only runs that were asked for before this time (RFC 3339).
    #[arg(long)]
    until: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl Runs {
    /// Carries the command out, and says on standard error what is wrong as people read it, and not as a program's own failures
    /// are shown. Whether it went well.
    pub async fn done(self) -> bool {
        match self.run().await {
            Ok(()) => true,
            Err(error) => {
                eprintln!("error: {error}");
                false
            }
        }
    }

    /// Carries the command out; what it yields is printed on standard output.
    ///
    /// # Errors
    ///
    /// [`CommandError`].
    pub async fn run(self) -> Result<(), CommandError> {
        let api = Api::new(self.api)?;
        let output = self.output;
        match self.command {
            RunsCommand::List(list) => {
                let runs = api.list(&list).await?;
                output.show(&runs, |out| output::runs(&runs, out))?;
            }
            RunsCommand::Show { run } => {
                let shown = api.call(Method::GET, &["runs", &run], &[], None, None).await?;
                output.show(&shown, |out| output::run(&shown, out))?;
            }
            RunsCommand::Start { crawler, key } => {
                let path = ["crawlers", &crawler, "runs"];
                let body = json!({ "trigger": "manual" });
                let begun = api
                    .call(Method::POST, &path, &[], Some(&body), key.as_deref())
                    .await?;
                output.show(&begun, |out| output::begun(&begun, out))?;
            }
            RunsCommand::Stop { run, force, by } => {
                let body = json!({ "force": force, "by": by });
                api.call(Method::POST, &["runs", &run, "stop"], &[], Some(&body), None)
                    .await?;
                let told = json!({ "runId": run, "stop": if force { "force" } else { "graceful" } });
                output.show(&told, |out| writeln!(out, "the run {run} is told to stop"))?;
            }
            RunsCommand::Resume { run } => {
                let begun = api
                    .call(Method::POST, &["runs", &run, "resume"], &[], None, None)
                    .await?;
                output.show(&begun, |out| output::begun(&begun, out))?;
            }
        }
        Ok(())
    }
}

/// The API of a running platform.
struct Api {
    url: Url,
    client: reqwest::Client,
    token: Option<HeaderValue>,
    /// What holds the token.
    token_in: &'static str,
}

impl Api {
    /// The platform at this address. Without one it is the platform of the Segno that Segno's own commands would ask, with what
    /// they would show it: a token of one place is never shown to another.
    fn new(api: Option<Url>) -> Result<Self, CommandError> {
        let set = |variable| std::env::var(variable).ok().filter(|value| !value.is_empty());
        if api.is_none()
            && let Some(segno) = set("SEGNO_API")
        {
            return Self::of_segno(&segno, &set);
        }
        let url = match api {
            Some(url) => url,
            None => HERE
                .parse::<Url>()
                .map_err(|error| CommandError(format!("{HERE}: {error}")))?,
        };
        let token = match set("CRAWL_TOKEN") {
            Some(token) => {
                let value = HeaderValue::from_str(&format!("Bearer {token}"));
                let mut value = value
                    .map_err(|_| CommandError("CRAWL_TOKEN has characters that no token has".to_owned()))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| CommandError(error.to_string()))?;
        let token_in = "the variable CRAWL_TOKEN";
        Ok(Self {
            url,
            client,
            token,
            token_in,
        })
    }

    fn of_segno(segno: &str, set: &dyn Fn(&'static str) -> Option<String>) -> Result<Self, CommandError> {
        let no_address = || CommandError(format!("SEGNO_API {segno} is not the address of an HTTP API"));
        let mut url: Url = segno.parse().map_err(|_| no_address())?;
        url.path_segments_mut()
            .map_err(|()| no_address())?
            .pop_if_empty()
            .push("app");
        let credentials = Credentials {
            token_file: set("SEGNO_TOKEN_FILE").map(PathBuf::from),
            ca_file: set("SEGNO_CA_FILE").map(PathBuf::from),
        };
        let client = credentials.client(TIMEOUT);
        Ok(Self {
            url,
            client: client.map_err(|error| CommandError(format!("{error:#}")))?,
            token: None,
            token_in: "the variable SEGNO_TOKEN, or into a file that SEGNO_TOKEN_FILE or a profile names",
        })
    }

    /// As many runs as are wanted, page by page.
    async fn list(&self, list: &List) -> Result<Vec<Value>, CommandError> {
        let mut runs = Vec::new();
        let mut cursor = None::<String>;
        while runs.len() < list.limit {
            let limit = PAGE.min(list.limit - runs.len()).to_string();
            let wanted = [
                ("status", &list.status),
                ("crawler", &list.crawler),
                ("trigger", &list.trigger),
                ("since", &list.since),
                ("until", &list.until),
                ("cursor", &cursor),
            ];
            let mut query: Vec<(&str, &str)> = vec![("limit", &limit)];
            query.extend(
                wanted
                    .iter()
                    .filter_map(|(name, value)| Some((*name, value.as_deref()?))),
            );
            let mut page = self.call(Method::GET, &["runs"], &query, None, None).await?;
            if let Value::Array(more) = page["runs"].take() {
                runs.extend(more);
            }
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(runs)
    }

    /// Calls the API: the path's segments are encoded, and its answer is JSON.
    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Value, CommandError> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| CommandError(format!("--api {} is not the address of an HTTP API", self.url)))?
            .pop_if_empty()
            .extend(path);
        let mut request = self.client.request(method, url.clone()).query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(token) = &self.token {
            request = request.header(reqwest::header::AUTHORIZATION, token.clone());
        }
        let unreached = |_| {
            CommandError(format!(
                "no crawl platform answers at {}: start one with `crawl-platform serve`, or say where it is with --api",
                self.url
            ))
        };
        let response = request.send().await.map_err(unreached)?;
        let status = response.status();
        let text = response.text().await.map_err(unreached)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        Err(CommandError(match answer["detail"].as_str() {
            Some(detail) if status == StatusCode::UNAUTHORIZED => {
                format!("{detail}; put a token into {}", self.token_in)
            }
            Some(detail) => detail.to_owned(),
            None => format!("{url} answers {status}"),
        }))
    }
}
