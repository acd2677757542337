//! Every event, one of each, on both engines: what its systems and people's mail boxes have then.

use segno_crawl_platform::events::registry::{EVENTS, definition};
use segno_crawl_stand_ins::services::PROJECTS;
use serde_json::{Value, json};

use crate::world::{Engine, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_engine() {
    every_event(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_temporal() {
    every_event(Engine::Temporal).await;
}

const ALL: [&str; 3] = ["carla@shop.example", "kim@shop.example", "max@webdata.example"];

/// What holds when an event is handled.
type Check = fn(&World, &str);

/// In the order in which they would happen.
const CHECKS: [(&str, Check); 29] = [
    ("UserCreatedEvent", |world, _| {
        let contact = world.contact("carla@shop.example");
        assert_eq!(
            (&contact["firstname"], &contact["company"]),
            (&json!("Carla"), &json!("Shop"))
        );
        assert_eq!(contact["lifecyclestage"], "customer");
        assert_eq!(world.told("Welcome, Carla Customer"), ["carla@shop.example"]);
    }),
    ("UserTeamInvitedEvent", |world, _| {
        let mails = world.mails("Carla Customer invites you to the team Shop");
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].to, "kim@shop.example");
        assert!(
            mails[0]
                .text
                .contains("https://app.webdata.example/invitations/i-7")
        );
    }),
    ("LoginEmailDeliveredEvent", |world, _| {
        assert_eq!(world.pushed("private-user-u-31"), ["login-email-delivered"]);
        let contact = world.contact("carla@shop.example");
        assert_eq!(contact["last_login_email_at"], "2026-03-02T09:00:00Z");
    }),
    ("PasswordResetRequestedEvent", |world, _| {
        let mails = world.mails("Your new password");
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].to, "carla@shop.example");
        assert!(mails[0].text.contains("https://app.webdata.example/password/r-5"));
        assert!(mails[0].text.contains("within 30 minutes"));
    }),
    ("InactiveUserDetectedEvent", |world, _| {
        assert_eq!(world.contact("carla@shop.example")["days_inactive"], "60");
        assert_eq!(world.told("Your data are waiting"), ["carla@shop.example"]);
    }),
    ("ContactFormSubmittedEvent", |world, _| {
        assert_eq!(world.contact("lee@prospect.example")["lifecyclestage"], "lead");
        assert_eq!(world.told("We have your message"), ["lee@prospect.example"]);
        assert_eq!(world.on_board("MC", "Contact form: Prospect"), 1);
    }),
    ("MeetingScheduledEvent", |world, _| {
        assert_eq!(world.on_board("MC", "Meeting with Lee Lead (Prospect)"), 1);
    }),
    ("ProjectCreatedEvent", |world, _| {
        assert_eq!(world.object()["name"], "Shop prices");
        assert_eq!(world.contact("carla@shop.example")["latest_project_id"], "p-1");
        assert_eq!(world.told("New project: Shop prices"), ["max@webdata.example"]);
    }),
    ("ProjectUpdatedEvent", |world, _| {
        assert_eq!(world.services.control().calls("SyncProject"), 2);
        assert_eq!(world.object()["name"], "Shop prices");
    }),
    ("MetadataUpdatedEvent", |world, ticket| {
        assert_eq!(world.object()["metadata"], json!({ "industry": "retail" }));
        assert_eq!(world.object()["name"], "Shop prices", "what else there is stays");
        assert_eq!(world.in_hubspot(ticket), 1);
    }),
    ("UserProjectAddedEvent", |world, _| {
        assert_eq!(
            world.told("You can work on Shop prices now"),
            ["kim@shop.example"]
        );
        assert_eq!(world.contact("kim@shop.example")["latest_project_id"], "p-1");
    }),
    ("ReportCreatedEvent", |world, _| {
        assert_eq!(world.object()["reports"][0]["name"], "Prices");
    }),
    ("ReportUpdatedEvent", |world, _| {
        let object = world.object();
        let report = |id: &str, name: &str| json!({ "id": id, "name": name, "status": "ACTIVE" });
        assert_eq!(
            object["reports"],
            json!([report("rep-1", "Prices"), report("rep-2", "Reviews")])
        );
        assert_eq!(object["name"], "Shop prices", "what else there is stays");
    }),
    ("ReportSchemaGeneratedEvent", |world, _| {
        let (version, schema) = world.services.schema("rep-1").unwrap();
        assert_eq!(
            (version, &schema["properties"]["price"]["type"]),
            (3, &json!("number"))
        );
    }),
    ("TicketCreatedEvent", |world, ticket| {
        assert_eq!(world.in_hubspot(ticket), 1);
        assert!(world.services.control().calls("SyncProperties") >= 2);
    }),
    ("TicketUpdatedEvent", |world, ticket| {
        assert_eq!(world.services.control().calls("SyncTicket"), 1);
        assert_eq!(
            world.services.ticket(ticket).unwrap().summary,
            "Prices are missing"
        );
        assert_eq!(world.in_hubspot(ticket), 1);
    }),
    ("TicketTransitionedEvent", |world, ticket| {
        assert_eq!(
            world.services.control().calls("SyncTicket"),
            1,
            "properties alone"
        );
        assert_eq!(world.in_hubspot(ticket), 1);
    }),
    ("TicketCommentedEvent", |world, ticket| {
        let told = world.told(ticket);
        assert_eq!(
            told,
            [
                "carla@shop.example",
                "kim@shop.example",
                "max@webdata.example",
                "wanda@webdata.example"
            ]
        );
    }),
    ("ContactMessageRepliedEvent", |world, ticket| {
        let comments = world.jira.comments(ticket);
        assert_eq!(comments.len(), 2);
        assert!(
            comments[1]["body"]
                .to_string()
                .contains("They are there now, thank you.")
        );
        assert_eq!(world.told(ticket).len(), 4 + 3, "all but who answered");
    }),
    ("CrawlerRunStartedEvent", |world, _| {
        assert_eq!(
            world.latest_run(),
            ("run-1".to_owned(), "PROCESSING".to_owned(), 0)
        );
    }),
    ("HistoryStatsAddedEvent", |world, _| {
        assert_eq!(world.pushed("private-report-rep-1"), ["run-stats"]);
    }),
    ("CrawlerSummaryCalculatedEvent", |world, _| {
        assert_eq!(
            world.latest_run(),
            ("run-1".to_owned(), "COMPLETED".to_owned(), 1200)
        );
        assert_eq!(world.object()["last_run"]["records"], 1200);
        assert_eq!(world.told("Prices: 1200 records"), ALL);
    }),
    ("ReportDeliveryInitiatedEvent", |world, _| {
        assert_eq!(
            world.pushed("private-report-rep-1").last().unwrap(),
            "delivery-initiated"
        );
    }),
    ("DataDeliveryFailedEvent", |world, _| {
        assert_eq!(world.on_board("OPS", "Delivery d-1 of report rep-1 failed"), 1);
        assert_eq!(
            world.pushed("private-report-rep-1").last().unwrap(),
            "delivery-failed"
        );
        assert_eq!(world.told("Prices will arrive late"), ALL[..2]);
        let internal = world.mails("Delivery failed: Prices");
        assert_eq!(internal.len(), 1);
        assert_eq!(internal[0].to, "max@webdata.example");
        assert!(internal[0].text.contains("1180 are stored"));
    }),
    ("CrawlerIncidentEvent", |world, _| {
        assert_eq!(world.on_board("OPS", "Crawler c-1: The pod has been pending"), 1);
        assert_eq!(world.told("Crawler c-1"), ["max@webdata.example"]);
    }),
    ("ReportRunStoppedEvent", |world, _| {
        assert_eq!(
            world.pushed("private-report-rep-1").last().unwrap(),
            "report-stop-progress"
        );
    }),
    ("ReportRunFailedEvent", |world, _| {
        assert_eq!(world.latest_run().1, "FAILED");
        assert_eq!(world.pushed("private-report-rep-1").last().unwrap(), "run-failed");
        assert_eq!(world.told("Run failed: Prices"), ["max@webdata.example"]);
        assert_eq!(world.told("Prices could not be completed"), ALL[..2]);
        assert!(
            !world.mails("Prices could not be completed")[0]
                .text
                .contains("connection refused")
        );
    }),
    ("ReportCanceledEvent", |world, _| {
        assert_eq!(
            world.pushed("private-report-rep-1").last().unwrap(),
            "report-canceled"
        );
        assert_eq!(world.told("Cancelled: Prices"), ALL);
    }),
    ("CustomerProjectTransferredEvent", |world, _| {
        assert_eq!(world.services.control().calls("SyncProject"), 3);
        assert_eq!(
            world.told("Shop prices belongs to Nico Newowner now"),
            ["carla@shop.example"]
        );
        assert_eq!(world.told("Shop prices is yours now"), ["nico@market.example"]);
    }),
];

async fn every_event(engine: Engine) {
    let world = World::new(engine).await;
    let ticket = world.ticket("Prices are missing");
    let comment = world.jira.add_comment(&ticket, "aron", "Where?", false).unwrap();
    let event = |ty: &str, id: &str| {
        let definition = definition(ty).unwrap();
        let mut data = (definition.example)();
        if data.get("ticket").is_some() {
            data["ticket"] = json!(ticket);
        }
        if data.get("comment").is_some() {
            data["comment"] = json!(comment);
        }
        json!({ "specversion": "1.0", "id": id, "source": definition.sources[0], "type": ty, "data": data })
    };
    for (ty, check) in CHECKS {
        let execution = world.handle_json(&event(ty, "1")).await;
        assert_eq!(execution["status"], "Completed", "{ty}: {execution:#}");
        assert_eq!(execution["type"], definition(ty).unwrap().workflow);
        assert!(
            !execution["result"]["done"].as_array().unwrap().is_empty(),
            "{ty} says nothing"
        );
        check(&world, &ticket);
    }

    // The same told under another id is known by its key, and nothing happens twice.
    let mails = world.smtp.mails().len();
    let pushes = world.pusher.requests().len();
    for (ty, _) in CHECKS {
        let accepted = world.send(&event(ty, "2")).await;
        assert_eq!(accepted["duplicate"], true, "{ty}: {accepted:#}");
    }
    assert_eq!(
        (world.smtp.mails().len(), world.pusher.requests().len()),
        (mails, pushes)
    );

    // Each has its schema in the catalogue, and what does not fit it does not come in.
    let catalogue = world.get("/catalogue").await;
    let types = catalogue["types"].as_array().unwrap();
    assert_eq!(types.len(), EVENTS.len());
    for known in EVENTS {
        let ty = types.iter().find(|ty| ty["type"] == known.ty).unwrap();
        assert_eq!(ty["schema"], (known.schema)(), "{}", known.ty);
        assert_eq!(ty["examples"], json!([(known.example)()]), "{}", known.ty);
        assert_eq!(ty["routes"], json!([known.name()]), "{}", known.ty);
        let mut misfit = event(known.ty, "3");
        misfit["data"] = json!({});
        world.is_refused(&misfit).await;
    }
    world.stop().await;
}

impl World {
    fn contact(&self, email: &str) -> Value {
        let contacts = self.hubspot.objects("contacts");
        let contact = contacts
            .into_iter()
            .find(|contact| contact["properties"]["email"] == email);
        contact.unwrap()["properties"].take()
    }

    /// How many records of a ticket HubSpot has.
    fn in_hubspot(&self, ticket: &str) -> usize {
        let tickets = self.hubspot.objects("tickets");
        tickets
            .iter()
            .filter(|one| one["properties"]["jira_key"] == ticket)
            .count()
    }

    /// The project's object in the search index.
    fn object(&self) -> Value {
        self.algolia.record(PROJECTS, "p-1").unwrap()
    }

    /// How many tickets of a board have a title that begins so.
    fn on_board(&self, board: &str, summary: &str) -> usize {
        let issues = self
            .jira
            .issues(board)
            .into_iter()
            .filter_map(|key| self.jira.issue(&key));
        let titles = issues.map(|issue| issue["fields"]["summary"].as_str().unwrap_or_default().to_owned());
        titles.filter(|title| title.starts_with(summary)).count()
    }

    /// The latest run that the report's page shows: id, status, records.
    fn latest_run(&self) -> (String, String, u64) {
        let run = self.services.report("rep-1").unwrap().latest_run.unwrap();
        (run.run_id, run.status, run.records)
    }
}
