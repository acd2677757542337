//! `segno events`: what was taken in, and what became of it.

use clap::{Args, Subcommand};

use super::{api::Api, event_filter::EventFilter, executions, output::Output, pages, story};

/// List the executions of events, and tell the story of one event.
#[derive(Debug, Args)]
pub(super) struct Events {
    #[command(flatten)]
    api: Api,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the executions of events, newest first: one for each event and route.
    List(List),
    /// Tell what became of one event: which routes took it and why not, its executions, actions and attempts.
    Show(Show),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    events: EventFilter,
    /// With this id.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// On this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// That stand so, such as Running, Completed or Failed.
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Taken in at this time or later, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Taken in before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, Args)]
struct Show {
    /// Source of the event.
    #[arg(long, value_name = "SOURCE")]
    source: String,
    /// Id of the event.
    #[arg(long, value_name = "ID")]
    id: String,
}

impl Events {
    pub(super) async fn run(self) -> miette::Result<()> {
        let Self { api, output, command } = self;
        match command {
            Command::List(list) => {
                let query = [("query", list.query())];
                let listed = pages::fetch(
                    &api,
                    &["executions"],
                    "executions",
                    "page_size",
                    &query,
                    list.limit,
                )
                .await?;
                output.show(&listed, |out| executions::print_list(&listed, out))
            }
            Command::Show(Show { source, id }) => story::show(&api, output, &source, &id).await,
        }
    }
}

impl List {
    /// The visibility query. Executions of events are those that have an event's type.
    fn query(&self) -> String {
        let mut terms = Vec::new();
        let [ty, source, subject] = self.events.attributes().map(|(_, value)| value);
        let all = [
            ("SegnoEventType =", ty),
            ("SegnoEventSource =", source),
            ("SegnoEventSubject =", subject),
            ("SegnoEventId =", self.id.as_deref()),
            ("SegnoRoute =", self.route.as_deref()),
            ("ExecutionStatus =", self.status.as_deref()),
            ("StartTime >=", self.since.as_deref()),
            ("StartTime <", self.until.as_deref()),
        ];
        for (term, value) in all {
            if let Some(value) = value {
                terms.push(format!("{term} '{}'", value.replace('\'', "''")));
            }
        }
        if ty.is_none() {
            terms.push("SegnoEventType IS NOT NULL".to_owned());
        }
        terms.join(" AND ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_a_query() {
        let list = List {
            events: EventFilter::of_type("o'clock"),
            id: None,
            route: Some("r".to_owned()),
            status: None,
            since: None,
            until: Some("2026-01-31T12:00:00Z".to_owned()),
            limit: 1,
        };
        assert_eq!(
            list.query(),
            "SegnoEventType = 'o''clock' AND SegnoRoute = 'r' AND StartTime < '2026-01-31T12:00:00Z'"
        );
    }
}
