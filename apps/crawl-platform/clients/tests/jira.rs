//! The client of Jira, against a stand-in that is checked with a client of others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::time::Duration;

use segno_crawl_clients::{
    Confidential, Failure,
    jira::{Edit, Jira, NewComment, NewIssue, Options, Upload, Visibility, adf::Document},
};
use segno_crawl_stand_ins::{
    Fault,
    jira::{self as site, ProjectKind, User},
};
use serde_json::{Map, json};

const ADD: &str = "POST /rest/api/3/issue/{issue}/comment";
const LIST: &str = "GET /rest/api/3/issue/{issue}/comment";

fn options(site: &site::Jira) -> Options {
    Options {
        url: site.url().parse().unwrap(),
        email: site::EMAIL.to_owned(),
        token: Confidential::from(site::TOKEN.to_owned()),
        timeout: Some(Duration::from_secs(10)),
    }
}

/// A site with an issue of a service desk, and a client.
async fn begin() -> (site::Jira, Jira, String) {
    let site = site::Jira::start().await.unwrap();
    site.add_project("SUP", ProjectKind::ServiceDesk);
    site.add_user(User::new("ann", "Ann", "ann@example.com"));
    let issue = site.add_issue("SUP", "help");
    let jira = Jira::new(&options(&site)).unwrap();
    (site, jira, issue)
}

#[tokio::test]
async fn the_latest_comment_comes_with_who_may_see_it() {
    let (site, jira, issue) = begin().await;
    assert_eq!(jira.latest_comment(&issue).await.unwrap(), None);
    site.add_comment(&issue, "ann", "for all", false);
    let latest = jira.latest_comment(&issue).await.unwrap().unwrap();
    assert!(!latest.is_internal());
    assert_eq!(latest.body.to_text(), "for all");
    let author = latest.author.unwrap();
    assert_eq!(
        (author.account_id.as_str(), author.email_address.as_deref()),
        ("ann", Some("ann@example.com"))
    );
    let id = site.add_comment(&issue, "ann", "for us", true).unwrap();
    let latest = jira.latest_comment(&issue).await.unwrap().unwrap();
    assert!(latest.is_internal());
    assert_eq!(latest.id, id);
    assert_eq!(jira.comment(&issue, &id).await.unwrap(), Some(latest));
    assert_eq!(jira.comment(&issue, "1").await.unwrap(), None);
}

#[tokio::test]
async fn comments_are_read_page_by_page_the_newest_first() {
    let (site, jira, issue) = begin().await;
    for n in 0..230 {
        site.add_comment(&issue, "ann", &n.to_string(), false);
    }
    let all = jira.comments(&issue, usize::MAX).await.unwrap();
    let texts: Vec<_> = all.iter().map(|comment| comment.body.to_text()).collect();
    let expected: Vec<_> = (0..230).rev().map(|n| n.to_string()).collect();
    assert_eq!(texts, expected);
    assert_eq!(site.control().calls(LIST), 3);
    assert_eq!(jira.comments(&issue, 150).await.unwrap().len(), 150);
    assert_eq!(jira.comments(&issue, 0).await.unwrap(), []);
}

#[tokio::test]
async fn a_comment_is_added_once_whatever_happens() {
    for fault in [
        Fault::DroppedBefore,
        Fault::DroppedAfter,
        Fault::ErrorAfter,
        Fault::Status(503),
        Fault::RateLimited { retry_after: 7 },
    ] {
        let (site, jira, issue) = begin().await;
        site.add_comment(&issue, "ann", "before", false);
        site.control().fail_next(ADD, 1, fault);
        let comment =
            NewComment::text("Hello", Visibility::Internal).property("origin", json!({ "mail": "<1@x>" }));
        let error = jira.add_comment_once(&issue, "key", &comment).await.unwrap_err();
        assert!(error.is_retryable(), "{fault:?}: {error}");
        let wait = matches!(fault, Fault::RateLimited { .. }).then_some(Duration::from_secs(7));
        assert_eq!(error.retry_after(), wait);
        let again = jira.add_comment_once(&issue, "key", &comment).await.unwrap();
        let done = matches!(fault, Fault::DroppedAfter | Fault::ErrorAfter);
        assert_eq!(again.was_there, done, "{fault:?}");
        assert_eq!(again.comment.once_key(), Some("key"));
        assert_eq!(again.comment.properties["origin"], json!({ "mail": "<1@x>" }));
        assert!(again.comment.is_internal());
        let other = jira
            .add_comment_once(&issue, "other key", &comment)
            .await
            .unwrap();
        assert!(!other.was_there);
        assert_eq!(site.comments(&issue).len(), 3, "{fault:?}");
        // What loops are told by is there for who reads it.
        let latest = jira.latest_comment(&issue).await.unwrap().unwrap();
        assert_eq!(latest.properties["origin"], json!({ "mail": "<1@x>" }));
        assert_eq!(
            latest.author.unwrap().account_id,
            jira.myself().await.unwrap().account_id
        );
    }
}

#[tokio::test]
async fn watchers_and_participants_are_all_read() {
    let (site, jira, issue) = begin().await;
    site.add_watcher(&issue, "ann");
    for n in 0..120 {
        let id = format!("c{n}");
        site.add_user(User::new(&id, "Customer", &format!("{id}@example.org")).customer());
        site.add_participant(&issue, &id);
    }
    let watchers = jira.watchers(&issue).await.unwrap();
    assert_eq!(watchers[0].email_address.as_deref(), Some("ann@example.com"));
    let participants = jira.participants(&issue).await.unwrap();
    assert_eq!(participants.len(), 120);
    assert_eq!(
        participants[119].email_address.as_deref(),
        Some("c119@example.org")
    );
    // The stand-in gives 50 a page, whatever was asked for.
    assert_eq!(
        site.control()
            .calls("GET /rest/servicedeskapi/request/{issue}/participant"),
        3
    );
    site.add_project("DEV", ProjectKind::Business);
    let no_request = site.add_issue("DEV", "a task");
    assert_eq!(jira.participants(&no_request).await.unwrap(), []);
    assert!(jira.watchers("SUP-99").await.unwrap_err().is_not_found());
    assert_eq!(jira.user("ann").await.unwrap().unwrap().display_name, "Ann");
    assert_eq!(jira.user("nobody").await.unwrap(), None);
}

#[tokio::test]
async fn issues_are_created_changed_and_found() {
    let (site, jira, _) = begin().await;
    let mut new = NewIssue::new("SUP", "Task", "two\nlines");
    new.description = Some(Document::from_text("See https://example.com"));
    new.labels = vec!["lead".to_owned()];
    new.properties.insert("origin".to_owned(), json!("form"));
    let created = jira.create_issue(&new).await.unwrap();
    let issue = jira.issue(&created.key, &[], &["origin"]).await.unwrap();
    assert_eq!(issue.summary(), Some("two lines"));
    assert_eq!(issue.id, created.id);

    let issue = jira
        .issue(&created.key, &["summary", "description"], &[])
        .await
        .unwrap();
    assert_eq!(issue.description(), new.description);
    assert_eq!(issue.fields.len(), 2);
    let mut edit = Edit {
        fields: Map::from_iter([("summary".to_owned(), json!("better"))]),
        ..Edit::default()
    };
    edit.properties.insert("edited".to_owned(), json!(true));
    jira.edit_issue(&created.key, &edit).await.unwrap();
    assert_eq!(
        jira.issue_property(&created.key, "edited").await.unwrap(),
        Some(json!(true))
    );
    assert_eq!(jira.issue_property(&created.key, "none").await.unwrap(), None);
    assert!(
        jira.issue_property("SUP-99", "none")
            .await
            .unwrap_err()
            .is_not_found()
    );
    jira.set_issue_property(&created.key, "run", &json!({ "id": 7 }))
        .await
        .unwrap();
    jira.remove_issue_property(&created.key, "edited").await.unwrap();
    jira.remove_issue_property(&created.key, "edited").await.unwrap();
    let shown = site.issue(&created.key).unwrap();
    assert_eq!(shown["fields"]["summary"], "better");
    assert_eq!(
        shown["properties"],
        json!({ "origin": "form", "run": { "id": 7 } })
    );

    assert!(jira.move_to(&created.key, "Resolved").await.unwrap());
    assert!(!jira.move_to(&created.key, "Resolved").await.unwrap());
    let nowhere = jira.move_to(&created.key, "Lost").await.unwrap_err();
    assert!(
        !nowhere.is_retryable() && nowhere.to_string().contains("Lost"),
        "{nowhere}"
    );
    assert_eq!(
        site.issue(&created.key).unwrap()["fields"]["status"]["name"],
        "Resolved"
    );

    for n in 0..130 {
        site.add_issue("SUP", &n.to_string());
    }
    let all = jira.search("project = SUP", &["summary"], 1_000).await.unwrap();
    assert_eq!(all.len(), 132);
    let leads = jira
        .search("labels = lead AND project = SUP", &["summary"], 10)
        .await
        .unwrap();
    assert_eq!(leads[0].key, created.key);
}

#[tokio::test]
async fn properties_of_comments_are_read_and_set() {
    let (site, jira, issue) = begin().await;
    let id = site.add_comment(&issue, "ann", "hello", false).unwrap();
    assert_eq!(jira.comment_property(&id, "seen").await.unwrap(), None);
    jira.set_comment_property(&id, "seen", &json!({ "by": "us" }))
        .await
        .unwrap();
    assert_eq!(
        jira.comment_property(&id, "seen").await.unwrap(),
        Some(json!({ "by": "us" }))
    );
}

#[tokio::test]
async fn errors_tell_what_is_wrong_and_no_secret() {
    let (site, jira, issue) = begin().await;
    let missing = jira.issue("SUP-99", &[], &[]).await.unwrap_err();
    assert_eq!((missing.status(), missing.is_retryable()), (Some(404), false));
    assert!(missing.to_string().contains("does not exist"), "{missing}");
    let empty = NewComment::text(" ", Visibility::Public);
    let refused = jira.add_comment(&issue, &empty).await.unwrap_err();
    assert_eq!((refused.status(), refused.is_retryable()), (Some(400), false));
    assert!(refused.to_string().contains("comment: "), "{refused}");
    let stranger = Jira::new(&Options {
        token: Confidential::from("hunter2".to_owned()),
        ..options(&site)
    })
    .unwrap();
    let unknown = stranger.myself().await.unwrap_err();
    assert_eq!((unknown.status(), unknown.is_retryable()), (Some(401), false));
    assert!(!format!("{unknown} {unknown:?}").contains("hunter2"));

    let hurried = Jira::new(&Options {
        timeout: Some(Duration::from_millis(200)),
        ..options(&site)
    })
    .unwrap();
    site.control().fail_next("*", 1, Fault::Silence);
    let silent = hurried.myself().await.unwrap_err();
    assert!(
        silent.is_retryable() && silent.to_string().contains("no answer within 200ms"),
        "{silent}"
    );

    let url = site.url();
    drop(site);
    let gone = hurried.myself().await.unwrap_err();
    assert!(
        matches!(gone.failure, Failure::Retryable { status: None, .. }),
        "{gone}"
    );
    assert!(!gone.to_string().contains(&url), "{gone}");
}

#[tokio::test]
async fn a_file_is_attached_once_and_read_again() {
    const ATTACH: &str = "POST /rest/api/3/issue/{issue}/attachments";
    let (site, jira, issue) = begin().await;
    let upload = Upload {
        name: "prices \"für alle\".csv",
        content_type: "text/csv",
        bytes: b"a,b\r\n--\r\n\0\xff",
    };
    // Its answer is lost.
    site.control().fail_next(ATTACH, 1, Fault::DroppedAfter);
    let lost = jira.attach_once(&issue, upload).await.unwrap_err();
    assert!(matches!(lost.failure, Failure::Retryable { .. }), "{lost}");
    let attached = jira.attach_once(&issue, upload).await.unwrap();
    assert!(attached.was_there);
    let file = attached.attachment;
    assert_eq!(
        (file.filename.as_str(), file.size),
        (upload.name, upload.bytes.len() as u64)
    );
    assert_eq!(file.mime_type, "text/csv");
    assert_eq!(site.files(&issue).len(), 1);
    assert_eq!(
        jira.attachments(&issue).await.unwrap(),
        std::slice::from_ref(&file)
    );
    assert_eq!(jira.attachment(&file.id).await.unwrap(), Some(file.clone()));
    assert_eq!(jira.attachment("1").await.unwrap(), None);
    assert_eq!(jira.attachment_content(&file.id).await.unwrap(), upload.bytes);
    assert!(jira.attachment_content("1").await.unwrap_err().is_not_found());

    // One that a comment shows, and one that it does not.
    let shown = ("shown.txt", "text/plain", &b"hello"[..]);
    let comment = site
        .add_comment_with_file(&issue, "ann", "See there.", shown)
        .unwrap();
    let latest = jira.latest_comment(&issue).await.unwrap().unwrap();
    assert!(latest.body.has_files());
    let of = jira.attachments_of(&issue, &comment).await.unwrap();
    assert_eq!(
        of.iter().map(|file| file.filename.as_str()).collect::<Vec<_>>(),
        ["shown.txt"]
    );
    let plain = site.add_comment(&issue, "ann", "No file.", false).unwrap();
    assert_eq!(jira.attachments_of(&issue, &plain).await.unwrap(), []);
}
