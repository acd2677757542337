//! The clients of the platform's own services, against servers of the same definitions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::time::Duration;

use segno_crawl_clients::{
    Confidential, GrpcOptions,
    platform::{Account, Platform, Project, Report, ReportRun, Topic, User},
    proto::Timestamp,
    reports::Reports,
    support::{NewTicket, Support, Target},
};
use segno_crawl_stand_ins::{
    Fault,
    algolia::Algolia,
    hubspot::HubSpot,
    jira::{Jira, ProjectKind},
    services::{Links, PROJECTS, Services, TOKEN},
};
use segno_test_support::free_port;
use serde_json::json;

fn options(url: &str) -> GrpcOptions {
    GrpcOptions {
        url: url.parse().unwrap(),
        token: Some(Confidential::from(TOKEN.to_owned())),
        timeout: Some(Duration::from_secs(10)),
    }
}

fn project() -> Project {
    Project {
        id: "p1".to_owned(),
        account_id: "a1".to_owned(),
        name: "Prices".to_owned(),
        ticket_key: "SUP-1".to_owned(),
        status: "active".to_owned(),
        ..Project::default()
    }
}

async fn alone() -> Services {
    let services = Services::start(Links::default()).await.unwrap();
    services.add_account(Account {
        id: "a1".to_owned(),
        name: "Shop".to_owned(),
        ..Account::default()
    });
    services.add_project(project());
    services.add_report(report("r1"));
    services
}

fn report(id: &str) -> Report {
    Report {
        id: id.to_owned(),
        project_id: "p1".to_owned(),
        name: format!("Report {id}"),
        ..Report::default()
    }
}

fn run(id: &str, status: &str, started: i64) -> ReportRun {
    ReportRun {
        run_id: id.to_owned(),
        status: status.to_owned(),
        started_at: Some(Timestamp {
            seconds: started,
            nanos: 0,
        }),
        ..ReportRun::default()
    }
}

#[tokio::test]
async fn the_platforms_records_are_read() {
    let services = alone().await;
    let platform = Platform::new(&options(&services.url())).unwrap();
    assert_eq!(platform.account("a1").await.unwrap().name, "Shop");
    assert_eq!(platform.project("p1").await.unwrap(), project());
    assert_eq!(
        platform.project_of_ticket("SUP-1").await.unwrap(),
        Some(project())
    );
    assert_eq!(platform.project_of_ticket("SUP-2").await.unwrap(), None);
    let missing = platform.project("p2").await.unwrap_err();
    assert!(missing.is_not_found() && !missing.is_retryable(), "{missing}");

    // More than a page.
    for n in 0..250 {
        let id = format!("u{n:03}");
        services.add_user(User {
            id: id.clone(),
            email: format!("{id}@example.org"),
            active: true,
            ..User::default()
        });
        services.join("p1", &id, "member", &[Topic::Tickets, Topic::Runs]);
        services.add_report(report(&format!("r{n}")));
    }
    let users = platform.project_users("p1").await.unwrap();
    assert_eq!(users.len(), 250);
    assert_eq!(users[249].user.as_ref().unwrap().email, "u249@example.org");
    assert_eq!(
        users[0].subscriptions().collect::<Vec<_>>(),
        [Topic::Tickets, Topic::Runs]
    );
    assert_eq!(platform.reports("p1").await.unwrap().len(), 250);
    assert!(platform.reports("p2").await.unwrap_err().is_not_found());
    assert_eq!(services.control().calls("ListProjectUsers"), 3);
    assert_eq!(platform.user("u001").await.unwrap().email, "u001@example.org");
    let found = platform.user_of_email("U002@example.org").await.unwrap().unwrap();
    assert_eq!(found.id, "u002");
    assert_eq!(platform.user_of_email("x@example.org").await.unwrap(), None);
}

#[tokio::test]
async fn a_run_is_set_once_under_its_key_and_no_older_one() {
    let services = alone().await;
    let platform = Platform::new(&options(&services.url())).unwrap();
    services
        .control()
        .fail_next("SetReportRun", 1, Fault::DroppedAfter);
    let lost = platform
        .set_report_run("k1", "r1", run("7", "PROCESSING", 100))
        .await
        .unwrap_err();
    assert!(lost.is_retryable(), "{lost}");
    platform
        .set_report_run("k2", "r1", run("7", "COMPLETED", 100))
        .await
        .unwrap();
    // The first call comes again, late.
    let answer = platform
        .set_report_run("k1", "r1", run("7", "PROCESSING", 100))
        .await
        .unwrap();
    assert_eq!(answer.latest_run.unwrap().status, "PROCESSING");
    platform
        .set_report_run("k3", "r1", run("6", "FAILED", 50))
        .await
        .unwrap();
    let shown = services.report("r1").unwrap().latest_run.unwrap();
    assert_eq!((shown.run_id.as_str(), shown.status.as_str()), ("7", "COMPLETED"));
    assert_eq!(platform.report("r1").await.unwrap().latest_run.unwrap(), shown);
}

#[tokio::test]
async fn tickets_are_synced_with_the_systems_beside() {
    let (jira, hubspot) = (Jira::start().await.unwrap(), HubSpot::start().await.unwrap());
    jira.add_project("MC", ProjectKind::Business);
    let ticket = jira.add_issue("SUP", "Prices are missing");
    let services = Services::start(Links {
        jira: Some(jira.clone()),
        hubspot: Some(hubspot.clone()),
        algolia: None,
    })
    .await
    .unwrap();
    services.add_project(project());
    let support = Support::new(&options(&services.url())).unwrap();
    let synced = support.sync_ticket("k1", &ticket).await.unwrap();
    assert_eq!(
        (synced.summary.as_str(), synced.project_id.as_str()),
        ("Prices are missing", "p1")
    );
    assert_eq!(services.ticket(&ticket).unwrap(), synced);
    assert!(
        support
            .sync_ticket("k2", "SUP-9")
            .await
            .unwrap_err()
            .is_not_found()
    );

    let both = [Target::Jira, Target::Hubspot];
    let answer = support.sync_properties("k3", &ticket, &both).await.unwrap();
    assert_eq!(answer.properties["project_name"], "Prices");
    let record = &hubspot.objects("tickets")[0];
    assert_eq!(record["id"], answer.hubspot_ticket_id.as_str());
    assert_eq!(record["properties"]["project_name"], "Prices");
    assert_eq!(
        jira.issue(&ticket).unwrap()["properties"]["platform"]["project_id"],
        "p1"
    );
    let none = support.sync_properties("k4", &ticket, &[]).await.unwrap_err();
    assert!(!none.is_retryable(), "{none}");

    let lead = NewTicket {
        board: "MC".to_owned(),
        issue_type: "Task".to_owned(),
        summary: "Meeting with Eve".to_owned(),
        description: "At noon\n\nAbout prices".to_owned(),
        reporter_email: "eve@example.org".to_owned(),
        labels: vec!["lead".to_owned()],
        ..NewTicket::default()
    };
    for fault in [Fault::DroppedAfter, Fault::ErrorAfter] {
        services.control().fail_next("CreateTicket", 1, fault);
        assert!(
            support
                .create_ticket("k5", lead.clone())
                .await
                .unwrap_err()
                .is_retryable()
        );
    }
    let key = support.create_ticket("k5", lead.clone()).await.unwrap();
    assert_eq!(jira.issues("MC"), std::slice::from_ref(&key));
    assert_eq!(jira.issue(&key).unwrap()["fields"]["summary"], "Meeting with Eve");
    assert_ne!(support.create_ticket("k6", lead.clone()).await.unwrap(), key);
    let nowhere = NewTicket {
        board: "XX".to_owned(),
        ..lead
    };
    assert!(
        !support
            .create_ticket("k7", nowhere)
            .await
            .unwrap_err()
            .is_retryable()
    );
}

#[tokio::test]
async fn reports_and_projects_are_synced() {
    let algolia = Algolia::start().await.unwrap();
    let services = Services::start(Links {
        algolia: Some(algolia.clone()),
        ..Links::default()
    })
    .await
    .unwrap();
    services.add_project(project());
    services.add_report(report("r1"));
    algolia.put(PROJECTS, "p1", &json!({ "reports": ["r1"], "name": "Old" }));
    let reports = Reports::new(&options(&services.url())).unwrap();
    assert_eq!(reports.sync_project("k1", "p1").await.unwrap(), "p1");
    let record = algolia.record(PROJECTS, "p1").unwrap();
    assert_eq!(
        (&record["name"], &record["reports"]),
        (&json!("Prices"), &json!(["r1"]))
    );
    assert!(reports.sync_project("k2", "p2").await.unwrap_err().is_not_found());
    let (first, second) = (json!({ "type": "object" }), json!({ "type": "array" }));
    assert_eq!(reports.sync_schema("k3", "r1", 2, &second).await.unwrap(), 2);
    assert_eq!(reports.sync_schema("k4", "r1", 1, &first).await.unwrap(), 2);
    assert_eq!(services.schema("r1"), Some((2, second)));
    assert!(
        !reports
            .sync_schema("k5", "r1", 3, &json!(7))
            .await
            .unwrap_err()
            .is_retryable()
    );
}

#[tokio::test]
async fn what_may_pass_is_told_from_what_stays() {
    let services = alone().await;
    let platform = Platform::new(&options(&services.url())).unwrap();
    let limited = Fault::RateLimited { retry_after: 1 };
    for fault in [
        limited,
        Fault::Status(503),
        Fault::Status(500),
        Fault::DroppedBefore,
    ] {
        services.control().fail_next("GetProject", 1, fault);
        let error = platform.project("p1").await.unwrap_err();
        assert!(error.is_retryable(), "{fault:?}: {error}");
    }
    for status in [400, 401, 403, 404] {
        services
            .control()
            .fail_next("GetProject", 1, Fault::Status(status));
        let error = platform.project("p1").await.unwrap_err();
        assert_eq!(
            (error.status(), error.is_retryable()),
            (Some(status), false),
            "{error}"
        );
    }
    let hurried = Platform::new(&GrpcOptions {
        timeout: Some(Duration::from_millis(200)),
        ..options(&services.url())
    })
    .unwrap();
    services.control().fail_next("GetProject", 1, Fault::Silence);
    assert!(hurried.project("p1").await.unwrap_err().is_retryable());
    let stranger = Platform::new(&GrpcOptions {
        token: Some(Confidential::from("hunter2".to_owned())),
        ..options(&services.url())
    })
    .unwrap();
    let error = stranger.project("p1").await.unwrap_err();
    assert_eq!((error.status(), error.is_retryable()), (Some(401), false));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let nobody = Platform::new(&options(&format!("http://127.0.0.1:{}", free_port()))).unwrap();
    assert!(nobody.project("p1").await.unwrap_err().is_retryable());
    assert_eq!(platform.project("p1").await.unwrap(), project());
    let page = reqwest::get(services.page_url()).await.unwrap();
    let page: serde_json::Value = page.json().await.unwrap();
    assert_eq!(page["state"]["projects"][0]["name"], "Prices");
}
