//! Mails: into a folder, to a mail server that keeps them, to one that answers as programmed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::path::Path;

use segno_crawl_clients::{
    Failure,
    mail::{Mail, Mailer, MessageId, Options, OptionsError, Templates},
};
use segno_test_support::{SmtpStandIn, servers::Maildev};
use serde_json::{Value, json};

const TEMPLATES: [(&str, &str); 3] = [
    ("comment.subject.txt", "[{{ ticket }}] {{ author }} wrote"),
    ("comment.txt", "{{ author }} wrote:\n\n{{ text }}\n"),
    ("comment.html", "<p>{{ author }} wrote:</p><p>{{ text }}</p>"),
];

fn mailer(options: &str, base: &Path) -> Mailer {
    let options: Options = serde_json::from_str(options).unwrap();
    Mailer::new(&options, Templates::new(TEMPLATES).unwrap(), base).unwrap()
}

fn smtp(port: u16) -> Mailer {
    let options =
        json!({ "from": "Platform <bot@mail.example.com>", "smtp": { "host": "127.0.0.1", "port": port } });
    mailer(&options.to_string(), Path::new("/"))
}

fn mail<'a>(mailer: &Mailer, key: &str, to: &'a str) -> Mail<'a, Value> {
    let values = json!({ "ticket": "SUP-1", "author": "Ann <b>", "text": "Hello\nthere" });
    let mut mail = Mail::new(MessageId::of_key(key, mailer.domain()), to, "comment", values);
    mail.name = Some("Eve\r\nBcc: x@example.com");
    mail.from_name = Some("Ann (Platform)");
    mail.reply_to = Some("reply+SUP-1@mail.example.com");
    mail.in_reply_to = Some("<1@example.org>".parse().unwrap());
    mail.references = MessageId::list("<0@example.org> <1@example.org>");
    mail
}

#[tokio::test]
async fn a_folder_has_each_mail_once() {
    let folder = tempfile::tempdir().unwrap();
    let mailer = mailer(
        r#"{ "from": "Platform <bot@mail.example.com>", "folder": "out" }"#,
        folder.path(),
    );
    for _ in 0..2 {
        mailer
            .send(&mail(&mailer, "comment/1/eve", "eve@example.org"))
            .await
            .unwrap();
    }
    mailer
        .send(&mail(&mailer, "comment/1/bob", "bob@example.org"))
        .await
        .unwrap();
    let mut mails: Vec<_> = std::fs::read_dir(folder.path().join("out"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(mails.len(), 2);
    mails.sort_by_key(|mail| mail.contains("bob@"));
    let (head, body) = mails[0].split_once("\r\n\r\n").unwrap();
    let id = MessageId::of_key("comment/1/eve", "mail.example.com");
    for line in [
        format!("Message-ID: {id}"),
        "In-Reply-To: <1@example.org>".to_owned(),
        "References: <0@example.org> <1@example.org>".to_owned(),
        "Auto-Submitted: auto-generated".to_owned(),
        "Reply-To: reply+SUP-1@mail.example.com".to_owned(),
        "Subject: [SUP-1] Ann <b> wrote".to_owned(),
    ] {
        assert!(head.lines().any(|other| other == line), "{line}\n{head}");
    }
    // Encoded, as it has brackets (RFC 2047).
    let from = "From: =?utf-8?b?QW5uIChQbGF0Zm9ybSk=?= <bot@mail.example.com>";
    assert!(head.lines().any(|line| line == from), "{head}");
    // A name cannot begin a header.
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    let body = body.replace("\r\n", "\n");
    assert!(body.contains("Ann <b> wrote:\n\nHello\nthere"), "{body}");
    assert!(body.contains("<p>Ann &lt;b&gt; wrote:</p>"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_gets_the_same_message_again() {
    let maildev = Maildev::start().await;
    let mailer = smtp(maildev.smtp());
    for _ in 0..2 {
        mailer
            .send(&mail(&mailer, "comment/1/eve", "eve@example.org"))
            .await
            .unwrap();
    }
    let mails = maildev.mails().await;
    assert_eq!(mails.len(), 2);
    for mail in &mails {
        assert_eq!(mail["to"][0]["address"], "eve@example.org");
        assert_eq!(mail["from"][0]["name"], "Ann (Platform)");
        assert_eq!(mail["subject"], "[SUP-1] Ann <b> wrote");
        let source = maildev.source(mail).await;
        let id = MessageId::of_key("comment/1/eve", "mail.example.com");
        assert!(source.contains(&format!("Message-ID: {id}")), "{source}");
    }
}

#[tokio::test]
async fn what_may_pass_is_told_from_what_stays() {
    let server = SmtpStandIn::start(None, |command| {
        let answer = match command {
            "RCPT TO:<gone@example.org>" => "550 no such gone@example.org",
            "RCPT TO:<full@example.org>" => "452 mailbox full",
            _ => return None,
        };
        Some(answer.to_owned())
    })
    .await;
    let mailer = smtp(server.port());
    let gone = mailer
        .send(&mail(&mailer, "1", "gone@example.org"))
        .await
        .unwrap_err();
    assert!(!gone.is_retryable() && gone.to_string().contains("550"), "{gone}");
    assert!(!gone.to_string().contains("gone@example.org"), "{gone}");
    assert!(
        mailer
            .send(&mail(&mailer, "1", "full@example.org"))
            .await
            .unwrap_err()
            .is_retryable()
    );
    let wrong = mailer.send(&mail(&mailer, "1", "nobody")).await.unwrap_err();
    assert!(
        !wrong.is_retryable() && wrong.to_string().contains("no mail address"),
        "{wrong}"
    );
    let mut unfilled = mail(&mailer, "1", "eve@example.org");
    unfilled.values = json!({});
    let unfilled = mailer.send(&unfilled).await.unwrap_err();
    assert!(
        !unfilled.is_retryable() && unfilled.to_string().contains("comment.subject.txt"),
        "{unfilled}"
    );
    assert_eq!(server.mails().len(), 0);
    mailer.send(&mail(&mailer, "1", "eve@example.org")).await.unwrap();
    assert_eq!(server.mails().len(), 1);
    let port = server.port();
    drop(server);
    let down = smtp(port)
        .send(&mail(&mailer, "1", "eve@example.org"))
        .await
        .unwrap_err();
    assert!(matches!(down.failure, Failure::Retryable { .. }), "{down}");
}

#[test]
fn wrong_options_are_told() {
    let made = |options: Value| {
        let options: Options = serde_json::from_value(options).unwrap();
        Mailer::new(&options, Templates::new(TEMPLATES).unwrap(), Path::new("/")).map(drop)
    };
    assert!(matches!(
        made(json!({ "from": "nobody" })),
        Err(OptionsError::From(_))
    ));
    let both = json!({ "from": "a@example.com", "folder": "x", "smtp": { "host": "localhost" } });
    assert!(matches!(made(both), Err(OptionsError::Transport(_))));
    assert!(serde_json::from_value::<Options>(json!({ "from": "a@b.cc", "sender": "x" })).is_err());
}
