//! The built program, killed before and after each activity of the ten events that are described in detail, and between the steps
//! of sending a mail. What they set off is set off once; what may be missing or told again is what `activities` says of it.
//!
//! By default a share of the places for some time, such as `SEGNO_CRAWL_PLACES_SEED` chooses; all with
//! `SEGNO_CRAWL_PLACES_ALL=1`.

use std::{path::Path, time::Duration};

use futures::future::join_all;
use reqwest::{Method, Url};
use segno_crawl_platform::events::registry::definition;
use segno_crawl_stand_ins::services::PROJECTS;
use segno_test_support::TemporalServer;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    installation::{Installation, Program, Share},
    world::StandIns,
};

const SHARE: Duration = Duration::from_secs(20);
const DEADLINE: Duration = Duration::from_secs(60);

/// The events, and their activities in order.
const PLACES: [(&str, &[&str]); 10] = [
    (
        "TicketCommentedEvent",
        &[
            "terms",
            "jira_comment",
            "jira_people",
            "platform_project_of_ticket",
            "platform_project_users",
            "send_mail",
        ],
    ),
    (
        "ContactMessageRepliedEvent",
        &[
            "terms",
            "jira_people",
            "platform_project_of_ticket",
            "platform_project_users",
            "jira_add_reply",
            "send_mail",
        ],
    ),
    (
        "ReportUpdatedEvent",
        &[
            "terms",
            "platform_project_of_report",
            "platform_project_reports",
            "algolia_partial_update",
        ],
    ),
    ("ReportSchemaGeneratedEvent", &["terms", "reports_sync_schema"]),
    ("ProjectUpdatedEvent", &["terms", "reports_sync_project"]),
    (
        "TicketUpdatedEvent",
        &["terms", "jsm_sync_ticket", "jsm_sync_properties"],
    ),
    ("TicketCreatedEvent", &["terms", "jsm_sync_properties"]),
    ("TicketTransitionedEvent", &["terms", "jsm_sync_properties"]),
    ("ReportRunStoppedEvent", &["terms", "pusher_trigger"]),
    ("MeetingScheduledEvent", &["terms", "jsm_create_ticket"]),
];

/// Steps of sending a mail: it is noted, the server has it. And later mails than the first.
const BETWEEN: [&str; 5] = [
    "after claim",
    "after deliver_mail",
    "after claim 3",
    "after deliver_mail 3",
    "after send_mail 2",
];

fn cases() -> Vec<(&'static str, String)> {
    let mut cases = Vec::new();
    for (event, places) in PLACES {
        for place in places {
            cases.push((event, format!("before {place}")));
            cases.push((event, format!("after {place}")));
        }
        if places.contains(&"send_mail") {
            cases.extend(BETWEEN.map(|place| (event, place.to_owned())));
        }
    }
    cases
}

/// What is known before an event is sent.
struct Before {
    event: Value,
    ticket: String,
    mails: usize,
    calls: u64,
    pushes: usize,
}

/// The event of this type, made so that what it sets off can be told from what others do; `number` is the case's.
fn prepare(world: &StandIns, ty: &str, number: usize) -> Before {
    let definition = definition(ty).unwrap();
    let mut data = (definition.example)();
    let ticket = world.ticket(&format!("Prices of {number} are missing"));
    let comment = world.jira.add_comment(&ticket, "aron", "Where?", false).unwrap();
    for (field, value) in [
        ("ticket", json!(ticket)),
        ("comment", json!(comment)),
        ("change", json!(format!("change-{number}"))),
        ("message_id", json!(format!("reply-{number}@shop.example"))),
        ("revision", json!(number)),
        ("meeting", json!(format!("meeting-{number}"))),
        ("run", json!(format!("run-{number}"))),
    ] {
        if data.get(field).is_some() {
            data[field] = value;
        }
    }
    match ty {
        "ReportSchemaGeneratedEvent" => data["version"] = json!(number + 10),
        "MeetingScheduledEvent" => data["name"] = json!(format!("Lee {number}")),
        "ReportUpdatedEvent" => world
            .algolia
            .put(PROJECTS, "p-1", &json!({ "name": "as it was" })),
        _ => {}
    }
    Before {
        event: json!({
            "specversion": "1.0", "id": format!("crash-{number}"), "source": definition.sources[0], "type": ty,
            "data": data,
        }),
        mails: world.mails(&ticket).len(),
        calls: world.services.control().calls("SyncProject"),
        pushes: world.pushed("private-report-rep-1").len(),
        ticket,
    }
}

/// Nobody has two mails, and who has none is spoken of in the result.
fn check_mails(world: &StandIns, before: &Before, execution: &Value, all: &[&str], said: &str) {
    let told: Vec<_> = world
        .told(&before.ticket)
        .into_iter()
        .skip(before.mails)
        .collect();
    let mut once = told.clone();
    once.dedup();
    assert_eq!(told, once, "nobody is mailed twice: {said}");
    assert!(
        told.iter().all(|to| all.contains(&to.as_str())),
        "{told:?}: {said}"
    );
    let missing = all.len() - told.len();
    let doubtful = execution["result"]["done"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|line| {
            line.as_str()?
                .strip_suffix(" of them were being sent when a worker ended, and are not sent again")
        })
        .map_or(0, |count| count.parse().unwrap());
    assert!(
        missing <= doubtful,
        "{missing} mails are missing, {doubtful} in doubt: {said}"
    );
}

fn check(world: &StandIns, before: &Before, execution: &Value, place: &str) {
    let said = format!("{place}: {execution:#}");
    assert_eq!(execution["status"], "Completed", "{said}");
    let ty = before.event["type"].as_str().unwrap();
    let data = &before.event["data"];
    let ticket = &before.ticket;
    match ty {
        "TicketCommentedEvent" => {
            let all = [
                "carla@shop.example",
                "kim@shop.example",
                "max@webdata.example",
                "wanda@webdata.example",
            ];
            check_mails(world, before, execution, &all, &said);
            assert_eq!(world.jira.comments(ticket).len(), 1, "{said}");
        }
        "ContactMessageRepliedEvent" => {
            let all = ["kim@shop.example", "max@webdata.example", "wanda@webdata.example"];
            check_mails(world, before, execution, &all, &said);
            assert_eq!(world.jira.comments(ticket).len(), 2, "one comment: {said}");
        }
        "ReportUpdatedEvent" => {
            let object = world.algolia.record(PROJECTS, "p-1").unwrap();
            assert_eq!(object["reports"].as_array().unwrap().len(), 2, "{said}");
            assert_eq!(object["name"], "as it was", "the report list only: {said}");
        }
        "ReportSchemaGeneratedEvent" => {
            let (version, schema) = world.services.schema("rep-1").unwrap();
            assert_eq!(
                (json!(version), &schema),
                (data["version"].clone(), &data["schema"]),
                "{said}"
            );
        }
        "ProjectUpdatedEvent" => {
            assert_eq!(
                world.algolia.record(PROJECTS, "p-1").unwrap()["name"],
                "Shop prices",
                "{said}"
            );
            let calls = world.services.control().calls("SyncProject") - before.calls;
            assert!((1..=2).contains(&calls), "{calls}: {said}");
        }
        "TicketUpdatedEvent" | "TicketCreatedEvent" | "TicketTransitionedEvent" => {
            let tickets = world.hubspot.objects("tickets");
            let own = tickets
                .iter()
                .filter(|one| one["properties"]["jira_key"] == *ticket);
            assert_eq!(own.count(), 1, "{said}");
        }
        "ReportRunStoppedEvent" => {
            let told = world.pushed("private-report-rep-1").split_off(before.pushes);
            let again = place == "after pusher_trigger";
            assert_eq!(
                told,
                vec!["report-stop-progress"; 1 + usize::from(again)],
                "{said}"
            );
        }
        "MeetingScheduledEvent" => {
            let title = format!("Meeting with {}", data["name"].as_str().unwrap());
            let issues = world
                .jira
                .issues("MC")
                .into_iter()
                .filter_map(|key| world.jira.issue(&key));
            let own = issues.filter(|issue| {
                let summary = issue["fields"]["summary"].as_str().unwrap_or_default();
                summary == title || summary.starts_with(&format!("{title} "))
            });
            assert_eq!(own.count(), 1, "{said}");
        }
        _ => unreachable!("{ty}"),
    }
}

/// Waits until an execution is closed.
async fn closed(program: &Program, id: &str) -> Value {
    let mut url = Url::parse(&format!("{}/executions", program.segno)).unwrap();
    url.path_segments_mut().unwrap().push(id);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = program.ask(Method::GET, url.as_str(), None, None).await;
        if let Some((_, execution)) = &answer
            && execution["status"].is_string()
            && execution["status"] != "Running"
        {
            return execution.clone();
        }
        assert!(
            Instant::now() < deadline,
            "{id}: {answer:?}:\n{}",
            program.last_words()
        );
        sleep(Duration::from_millis(20)).await;
    }
}

/// Sends an event; none if the program ended before it answered.
async fn send(program: &Program, event: &Value) -> Option<String> {
    let url = format!("{}/events", program.segno);
    let (status, answer) = program.ask(Method::POST, &url, None, Some(event)).await?;
    assert!(status.is_success(), "{status}: {answer}");
    let executions = answer["events"][0]["executions"].as_array().unwrap();
    Some(executions[0]["workflow_id"].as_str().unwrap().to_owned())
}

/// Plays these cases one after the other, while there is time; how many it were. `engine` is Segno's configuration of it, and
/// `retry` more of the retry policy of all events.
async fn survives(
    engine: &str,
    retry: &str,
    cases: &[(usize, (&'static str, String))],
    share: &Share,
) -> usize {
    let (world, settings) = StandIns::start(retry).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("events.toml"), settings).unwrap();
    let segno = folder.path().join("segno.toml");
    let base = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = ["routes/*.toml", "schemas.toml"].map(|file| base.join(file).display().to_string());
    std::fs::write(&segno, format!("{engine}include = {own:?}\n")).unwrap();
    let more = format!("events = '{}'\n", folder.path().join("events.toml").display());
    let installation = Installation::new(folder.path(), &segno, &more);
    let mut program = installation.start().await;
    let mut count = 0;
    for (number, (ty, place)) in cases {
        if count > 0 && !share.goes_on() {
            break;
        }
        let before = prepare(&world, ty, *number);
        installation.arm(place);
        send(&program, &before.event).await;
        program.is_killed(&format!("{ty}, {place}")).await;
        program = installation.start().await;
        // Whoever had no answer sends it again, and so does who had one.
        let id = send(&program, &before.event).await.unwrap();
        let execution = closed(&program, &id).await;
        check(&world, &before, &execution, place);
        count += 1;
    }
    program.kill().await;
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_it_is_killed_an_event_is_handled_once() {
    let share = Share::of("SEGNO_CRAWL_PLACES", SHARE);
    let cases: Vec<_> = share.order(cases()).into_iter().enumerate().collect();
    let count = survives("", "", &cases, &share).await;
    eprintln!("killed at {count} places of {}", cases.len());
}

/// A real server learns of a worker's death by its silence alone: each case waits some seconds for that, so few are tried by
/// default, and several programs wait side by side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_on_temporal() {
    const PROGRAMS: usize = 3;
    let server = TemporalServer::start().await;
    let share = Share::of("SEGNO_CRAWL_PLACES", SHARE);
    let cases: Vec<_> = share.order(cases()).into_iter().enumerate().collect();
    let counts = cases.chunks(cases.len().div_ceil(PROGRAMS)).map(async |cases| {
        let (address, namespace) = (server.address(), server.namespace().await);
        let engine =
            format!("engine = {{ temporal = {{ address = {address:?}, namespace = {namespace:?} }} }}\n");
        // An attempt whose worker has died is over after three seconds, not fifteen.
        survives(&engine, "attempt = \"3s\"", cases, &share).await
    });
    let count: usize = join_all(counts).await.into_iter().sum();
    eprintln!("killed at {count} places of {}", cases.len());
}
