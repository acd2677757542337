//! The mail sink: into a folder, and by SMTP to real servers.
#![cfg(feature = "mail")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use std::{fs, path::Path, time::Duration};

use segno_sinks::{Delivered, Delivery, Failure, Sinks};
use segno_test_support::{
    Authority, Cut, SmtpStandIn,
    servers::{Aiosmtpd, Maildev},
    write_file,
};
use serde_json::{Value, json};
use tokio::time::Instant;

const KEY: &str = "welcome/shop/1/mail/0";
/// Of `KEY`, to recognize repetitions by.
const ID: &str = "56d3d6bf3b73d1a1ec9a9a7f56578aa9";

fn sinks(options: &str, base: &Path) -> Sinks {
    let options = toml::from_str(&format!("[post.mail]\n{options}")).unwrap();
    Sinks::new(options, base).unwrap()
}

async fn deliver(sinks: &Sinks, payload: &Value) -> Result<Delivered, Failure> {
    sinks.deliver("post", Delivery::new(KEY, payload)).await
}

fn permanent(outcome: Result<Delivered, Failure>) -> String {
    match outcome {
        Err(Failure::Permanent { reason, .. }) => reason,
        other => panic!("not permanent: {other:?}"),
    }
}

fn retryable(outcome: Result<Delivered, Failure>) -> String {
    match outcome {
        Err(Failure::Retryable { reason, .. }) => reason,
        other => panic!("not retryable: {other:?}"),
    }
}

/// As a choreographer of another make fills its queue of mails.
fn payload() -> Value {
    json!({
        "event_name": "user.password.reset",
        "entity": "user",
        "guid": "0a6a1a0e-54d0-4d0c-9a63-3d4e3c6c1f5e",
        "sender_name": "Ümlaut, the shop",
        "fullname": "Ann <b>O'Hara</b>",
        "email": "ann@example.com",
        "subject": "Your password",
        "template": "account/reset",
        "data": { "name": "<Ann> & co", "url": "https://example.com/?a=1&b=2" },
        "attachments": [
            { "filename": "note.txt", "text": "read me" },
            { "filename": "pixel.png", "content_type": "image/png", "base64": "aGVs\r\nbG8=" },
        ],
    })
}

/// A folder with the templates that the payload names.
fn templates() -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("templates/account");
    fs::create_dir_all(&folder).unwrap();
    write_file(&folder, "reset.subject.txt", "Reset of {{ payload.entity }}\n");
    write_file(&folder, "reset.txt", "Dear {{ data.name }}, see {{ data.url }}");
    write_file(
        &folder,
        "reset.html",
        "{% extends \"layout.html\" %}{% block body %}Dear {{ data.name }}, <a href=\"{{ data.url }}\">see</a>{% endblock %}",
    );
    write_file(
        &base.path().join("templates"),
        "layout.html",
        "<html>{% block body %}{% endblock %}</html>",
    );
    base
}

/// The only mail in a folder.
fn only(folder: &Path) -> String {
    let files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [file] = &files[..] else {
        panic!("one file: {files:?}")
    };
    assert_eq!(file.file_name().unwrap().to_str(), Some(&*format!("{ID}.eml")));
    fs::read_to_string(file).unwrap()
}

#[tokio::test]
async fn without_a_server_mails_are_files_and_a_repetition_replaces_itself() {
    let base = templates();
    let sinks = sinks(
        "from = \"shop@example.com\"\ntemplates = \"templates\"",
        base.path(),
    );
    let mut payload = payload();
    payload["bcc"] = json!(["blind@example.com"]);
    deliver(&sinks, &payload).await.unwrap();
    let first = only(&base.path().join("mail"));
    assert!(
        first.contains(&format!("Message-ID: <{ID}@example.com>\r\n")),
        "{first}"
    );
    assert!(first.contains("Subject: Your password\r\n"), "{first}");
    assert!(first.contains("Bcc: blind@example.com\r\n"), "{first}");
    assert!(
        first.contains("Dear <Ann> & co, see https://example.com/?a=1&b=2"),
        "{first}"
    );
    assert!(
        first.contains("<html>Dear &lt;Ann&gt; &amp; co, <a href"),
        "{first}"
    );
    payload["subject"] = Value::Null;
    deliver(&sinks, &payload).await.unwrap();
    let second = only(&base.path().join("mail"));
    assert!(second.contains("Subject: Reset of user\r\n"), "{second}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_tried_again_later() {
    let base = tempfile::tempdir().unwrap();
    let in_the_way = write_file(base.path(), "out", "no folder");
    let sinks = sinks("from = \"a@example.com\"\nfolder = \"out\"", base.path());
    let payload = json!({ "email": "b@example.com", "subject": "s", "text": "t" });
    retryable(deliver(&sinks, &payload).await);
    fs::remove_file(in_the_way).unwrap();
    deliver(&sinks, &payload).await.unwrap();
    only(&base.path().join("out"));
}

#[tokio::test]
async fn a_mail_arrives_whole_and_once_more_after_the_server_was_down() {
    let (base, mut server) = (templates(), Maildev::start().await);
    let options = format!(
        "from = \"shop@example.com\"\ntemplates = \"templates\"\nheaders = {{ X-Guid = \"{{{{ payload.guid }}}}\" }}\n\
        smtp = {{ host = \"127.0.0.1\", port = {} }}",
        server.smtp()
    );
    let sinks = sinks(&options, base.path());
    server.kill();
    let reason = retryable(deliver(&sinks, &payload()).await);
    assert!(
        reason.starts_with("the mail server cannot be talked to: "),
        "{reason}"
    );
    server.start_again().await;
    server.takes_mails().await;
    assert_eq!(deliver(&sinks, &payload()).await, Ok(Delivered { status: None }));
    let mails = server.mails().await;
    let [mail] = &mails[..] else {
        panic!("one mail: {mails:?}")
    };
    assert_eq!(mail["subject"], "Your password");
    assert_eq!(
        mail["from"],
        json!([{ "address": "shop@example.com", "name": "Ümlaut, the shop" }])
    );
    assert_eq!(
        mail["to"],
        json!([{ "address": "ann@example.com", "name": "Ann <b>O'Hara</b>" }])
    );
    assert_eq!(mail["messageId"], format!("{ID}@example.com"));
    assert_eq!(mail["headers"]["x-guid"], payload()["guid"]);
    assert_eq!(
        mail["text"].as_str().unwrap().trim(),
        "Dear <Ann> & co, see https://example.com/?a=1&b=2"
    );
    let html = mail["html"].as_str().unwrap();
    assert!(html.contains("Dear &lt;Ann&gt; &amp; co"), "{html}");
    let files: Vec<_> = mail["attachments"].as_array().unwrap().iter().collect();
    assert_eq!(
        files
            .iter()
            .map(|file| (&file["fileName"], &file["contentType"], &file["length"]))
            .collect::<Vec<_>>(),
        [
            (&json!("note.txt"), &json!("text/plain"), &json!(7)),
            (&json!("pixel.png"), &json!("image/png"), &json!(5))
        ]
    );
    // Once more, as after an answer that was lost: the same message to who looks at it.
    deliver(&sinks, &payload()).await.unwrap();
    let mails = server.mails().await;
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0]["messageId"], mails[1]["messageId"]);
}

#[tokio::test]
async fn over_a_cut_network_a_mail_that_comes_again_is_known_by_its_id() {
    let server = Maildev::start().await;
    let cut = Cut::to(server.smtp()).await;
    let options = format!(
        "from = \"shop@example.com\"\nsmtp = {{ host = \"127.0.0.1\", port = {} }}",
        cut.port()
    );
    let sinks = sinks(&options, Path::new("/nowhere"));
    let payload = json!({ "email": "ann@example.com", "subject": "s", "text": "t" });
    for round in 1..=2 {
        cut.cut();
        retryable(deliver(&sinks, &payload).await);
        cut.mend();
        deliver(&sinks, &payload).await.unwrap();
        // In the middle of a conversation.
        cut.cut_answers();
        retryable(deliver(&sinks, &payload).await);
        cut.mend();
        assert_eq!(server.mails().await.len(), round);
    }
    let mails = server.mails().await;
    assert_eq!(mails[0]["messageId"], mails[1]["messageId"]);
}

#[tokio::test]
async fn everything_can_come_from_the_options() {
    let server = Maildev::start().await;
    let options = format!(
        r#"
        from = "{{{{ payload.shop }}}} <shop@example.com>"
        to = ["{{{{ payload.customer }}}}", "Desk <desk@example.com>, second@example.com"]
        cc = "{{{{ payload.cc or '' }}}}"
        bcc = "archive@example.com"
        reply_to = "answers@example.com"
        subject = "Order {{{{ payload.id }}}}"
        html = "<p>{{{{ payload.note }}}}</p>"
        attachments = [{{ filename = "order-{{{{ payload.id }}}}.txt", text = "{{{{ payload.note }}}}" }}]
        smtp = {{ host = "localhost", port = {} }}
        "#,
        server.smtp()
    );
    let sinks = sinks(&options, Path::new("/nowhere"));
    let payload =
        json!({ "id": 7, "shop": "Nord", "customer": "c@example.com", "note": "1 < 2", "template": "none" });
    deliver(&sinks, &payload).await.unwrap();
    let mails = server.mails().await;
    let mail = &mails[0];
    assert_eq!(
        mail["from"],
        json!([{ "address": "shop@example.com", "name": "Nord" }])
    );
    let to: Vec<_> = mail["to"]
        .as_array()
        .unwrap()
        .iter()
        .map(|to| to["address"].as_str().unwrap())
        .collect();
    assert_eq!(to, ["c@example.com", "desk@example.com", "second@example.com"]);
    assert_eq!(mail["subject"], "Order 7");
    assert_eq!(mail["html"].as_str().unwrap().trim(), "<p>1 &lt; 2</p>");
    assert_eq!(mail["headers"]["reply-to"], "answers@example.com");
    assert_eq!(mail["attachments"][0]["fileName"], "order-7.txt");
    // Those with a blind copy are told to the server, and to nobody else.
    let envelope: Vec<_> = mail["envelope"]["to"]
        .as_array()
        .unwrap()
        .iter()
        .map(|to| &to["address"])
        .collect();
    assert!(envelope.contains(&&json!("archive@example.com")), "{envelope:?}");
    assert!(!server.source(mail).await.contains("archive@example.com"));
}

#[tokio::test]
async fn what_a_payload_holds_begins_no_header() {
    let server = Maildev::start().await;
    let options = format!(
        "from = \"shop@example.com\"\nsmtp = {{ host = \"127.0.0.1\", port = {} }}",
        server.smtp()
    );
    let sinks = sinks(&options, Path::new("/nowhere"));
    let evil = "x\r\nBcc: evil@example.com\r\n\r\nbody";
    let mut payload = json!({ "email": "a@example.com", "subject": evil, "fullname": evil, "sender_name": evil, "text": "t" });
    deliver(&sinks, &payload).await.unwrap();
    let mails = server.mails().await;
    let source = server.source(&mails[0]).await;
    assert!(
        source
            .lines()
            .all(|line| !line.to_ascii_lowercase().starts_with("bcc")),
        "{source}"
    );
    assert_eq!(mails[0]["envelope"]["to"].as_array().unwrap().len(), 1);
    assert_eq!(mails[0]["subject"], "x Bcc: evil@example.com body");
    for (field, value) in [
        ("headers", json!({ "X-A": evil })),
        ("headers", json!({ "Bcc": "evil@example.com" })),
        ("headers", json!({ "X-A:\r\nBcc": "evil@example.com" })),
        ("cc", json!(evil)),
        ("email", json!("a@example.com>\r\nRCPT TO:<evil@example.com")),
        ("attachments", json!([{ "filename": evil, "text": "x" }])),
        (
            "attachments",
            json!([{ "filename": "x", "content_type": evil, "text": "x" }]),
        ),
    ] {
        let before = payload[field].clone();
        payload[field] = value;
        permanent(deliver(&sinks, &payload).await);
        payload[field] = before;
    }
    assert_eq!(server.mails().await.len(), 1);
}

#[tokio::test]
async fn a_payload_that_is_no_mail_is_told_what_it_lacks() {
    let base = templates();
    let folder = sinks(
        "from = \"shop@example.com\"\ntemplates = \"templates\"",
        base.path(),
    );
    let without = sinks("from = \"shop@example.com\"", base.path());
    for (sinks, field, value, says) in [
        (&folder, "email", Value::Null, "goes to nobody"),
        (&folder, "email", json!("ann"), "`email` is no mail address"),
        (&folder, "email", json!(7), "`email` is no text"),
        (
            &folder,
            "template",
            json!("account/none"),
            "no mail template \"account/none\"",
        ),
        (&folder, "template", json!("../../etc/passwd"), "no mail template"),
        (&folder, "template", Value::Null, "has no body"),
        (
            &folder,
            "data",
            json!({}),
            "account/reset.txt fails on this payload",
        ),
        (
            &folder,
            "sender_email",
            json!("x"),
            "`sender_email` is no mail address",
        ),
        (
            &folder,
            "attachments",
            json!([{ "filename": "x", "base64": "?" }]),
            "is not base64",
        ),
        (&folder, "attachments", json!([{ "url": "x" }]), "attachments[0]"),
        (&folder, "attachments", json!({}), "are no list"),
        (&folder, "reply_to", json!("x"), "`reply_to` of the mail"),
        (&without, "template", json!("x"), "no folder of `templates`"),
    ] {
        let mut payload = payload();
        payload[field] = value;
        let reason = permanent(deliver(sinks, &payload).await);
        assert!(reason.contains(says), "{field}: {reason}");
    }
    assert!(!base.path().join("mail").exists());
}

#[tokio::test]
async fn answers_are_told_apart_by_their_first_digit() {
    for (at, answer, again) in [
        ("RCPT", "450 4.2.1 <ann@example.com> is busy", true),
        ("RCPT", "550 5.1.1 <ann@example.com> does not live here", false),
        ("MAIL", "451 4.3.0 later", true),
        ("DATA", "554 5.7.1 no", false),
        (".", "452 4.2.2 full", true),
        (".", "552 5.3.4 too large", false),
        ("", "421 4.3.2 closing", true),
    ] {
        let server = SmtpStandIn::start(None, move |command| {
            let hit = if at.len() > 1 {
                command.starts_with(at)
            } else {
                command == at
            };
            hit.then(|| answer.to_owned())
        })
        .await;
        let options = format!(
            "from = \"shop@example.com\"\nsmtp = {{ host = \"127.0.0.1\", port = {} }}",
            server.port()
        );
        let payload = json!({ "email": "ann@example.com", "subject": "s", "text": "t" });
        let outcome = deliver(&sinks(&options, Path::new("/nowhere")), &payload).await;
        let reason = if again {
            retryable(outcome)
        } else {
            permanent(outcome)
        };
        let told = answer.replacen(' ', ": ", 1);
        assert!(reason.contains(&told[..10]), "{at} {answer}: {reason}");
        assert!(!reason.contains("ann@"), "{reason}");
        assert!(server.mails().is_empty());
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = SmtpStandIn::start(None, |_| None).await;
    let options = format!(
        "from = \"shop@example.com\"\nsmtp = {{ host = \"127.0.0.1\", port = {}, connections = 2 }}",
        server.port()
    );
    let sinks = sinks(&options, Path::new("/nowhere"));
    let payload = json!({ "email": "ann@example.com", "subject": "s", "text": "t" });
    let keys: Vec<_> = (0..20).map(|n| format!("key/{n}")).collect();
    let deliveries = keys
        .iter()
        .map(|key| sinks.deliver("post", Delivery::new(key, &payload)));
    for outcome in futures::future::join_all(deliveries).await {
        outcome.unwrap();
    }
    assert_eq!(server.mails().len(), 20);
    // A connection is given back a moment after its mail is sent, and another may have been opened by then.
    assert!(server.connections() <= 10, "{}", server.connections());
}

#[tokio::test]
async fn nothing_is_sent_past_tls_that_was_asked_for() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let base = tempfile::tempdir().unwrap();
    write_file(base.path(), "ours.pem", &ours.pem());
    let payload = json!({ "email": "ann@example.com", "subject": "s", "text": "t" });
    let options = |port: u16| {
        format!(
            "from = \"shop@example.com\"\nsmtp = {{ host = \"localhost\", port = {port}, tls = \"starttls\", ca = \"ours.pem\", \
            username = \"me\", password = \"hunter2\" }}"
        )
    };
    // The server is who it says.
    let good = SmtpStandIn::start(Some(&ours.server()), |_| None).await;
    deliver(&sinks(&options(good.port()), base.path()), &payload)
        .await
        .unwrap();
    assert_eq!(good.mails().len(), 1);
    let commands = good.commands();
    let begun = commands.iter().position(|command| command == "STARTTLS").unwrap();
    assert!(
        commands[begun + 1..]
            .iter()
            .all(|command| command.starts_with("TLS ")),
        "{commands:?}"
    );
    assert!(
        commands.iter().any(|command| command.starts_with("TLS AUTH ")),
        "{commands:?}"
    );
    // It is not, or has no TLS at all.
    let strange = SmtpStandIn::start(Some(&other.server()), |_| None).await;
    let plain = SmtpStandIn::start(None, |_| None).await;
    for server in [&strange, &plain] {
        retryable(deliver(&sinks(&options(server.port()), base.path()), &payload).await);
        let commands = server.commands();
        let sent = |command: &String| ["AUTH", "MAIL"].iter().any(|verb| command.contains(verb));
        assert!(!commands.iter().any(sent), "{commands:?}");
    }
}

#[tokio::test]
async fn signs_in_over_implicit_tls() {
    let authority = Authority::new("ours");
    let base = tempfile::tempdir().unwrap();
    write_file(base.path(), "ours.pem", &authority.pem());
    let server = Maildev::secure(&authority.server(), "me", "hunter2").await;
    let payload = json!({ "email": "ann@example.com", "subject": "s", "text": "t" });
    let options = format!(
        "from = \"shop@example.com\"\nsmtp = {{ host = \"localhost\", port = {}, tls = \"implicit\", ca = \"ours.pem\", \
        username = \"me\", password = \"hunter2\" }}",
        server.smtp()
    );
    let sinks = sinks(&options, base.path());
    let deadline = Instant::now() + Duration::from_secs(60);
    // It may not take mails yet.
    while let Err(failure) = deliver(&sinks, &payload).await {
        assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
        assert!(Instant::now() < deadline, "{failure:?}");
    }
    assert_eq!(server.mails().await.len(), 1);
    // A login that is refused stays so; a server that is not trusted may be mended.
    write_file(base.path(), "other.pem", &Authority::new("other").pem());
    let wrong = options.replace("hunter2", "T0KEN");
    let reason = permanent(deliver(&self::sinks(&wrong, base.path()), &payload).await);
    assert!(reason.contains("535") && !reason.contains("T0KEN"), "{reason}");
    assert_eq!(server.mails().await.len(), 1);
    // This ends the server, which does not take it well that somebody hangs up.
    let strange = options.replace("ours.pem", "other.pem");
    retryable(deliver(&self::sinks(&strange, base.path()), &payload).await);
}

#[tokio::test]
async fn signs_in_behind_starttls() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let base = tempfile::tempdir().unwrap();
    write_file(base.path(), "ours.pem", &ours.pem());
    write_file(base.path(), "other.pem", &other.pem());
    let mut server = Aiosmtpd::start(&ours.server(), "me", "hunter2").await;
    let payload = json!({ "email": "ann@example.com", "subject": "s", "text": "t" });
    let login = ", username = \"me\", password = \"hunter2\"";
    let options = format!(
        "from = \"shop@example.com\"\nsmtp = {{ host = \"localhost\", port = {}, tls = \"starttls\", ca = \"ours.pem\"{login} }}",
        server.port()
    );
    let make = |options: &str| sinks(options, base.path());
    let good = make(&options);
    deliver(&good, &payload).await.unwrap();
    let mails = server.mails();
    let [mail] = &mails[..] else {
        panic!("one mail: {mails:?}")
    };
    assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!("me")));
    assert_eq!(mail["to"], json!(["ann@example.com"]));
    let content = mail["content"].as_str().unwrap();
    assert!(
        content.contains(&format!("Message-ID: <{ID}@example.com>\r\n")),
        "{content}"
    );

    // A server that is not trusted may be mended: nothing is told to it.
    let reason = retryable(deliver(&make(&options.replace("ours.pem", "other.pem")), &payload).await);
    assert!(
        reason.starts_with("the mail server cannot be talked to: ") && reason.contains("certificate"),
        "{reason}"
    );
    // What the server says to a wrong login, to none, and to somebody who does without TLS, it will say again.
    let clear = options
        .replace("starttls", "none")
        .replace(", ca = \"ours.pem\"", "");
    for (options, said) in [
        (options.replace("hunter2", "T0KEN"), "535: 5.7.8"),
        (options.replace(login, ""), "530: 5.7.0"),
        (
            clear.replace(login, ""),
            "530: Must issue a STARTTLS command first",
        ),
    ] {
        let reason = permanent(deliver(&make(&options), &payload).await);
        assert!(
            reason.contains(said) && !reason.contains("T0KEN"),
            "{said}: {reason}"
        );
    }
    assert_eq!(server.mails().len(), 1);

    // Signed in again, after it was away.
    server.kill();
    retryable(deliver(&good, &payload).await);
    server.start_again().await;
    deliver(&good, &payload).await.unwrap();
    assert_eq!(server.mails().len(), 2);
}

#[tokio::test]
async fn a_wrong_password_stays_wrong_and_is_not_shown() {
    let server = SmtpStandIn::start(None, |command| {
        command
            .starts_with("AUTH")
            .then(|| "535 5.7.8 not you".to_owned())
    })
    .await;
    let options = format!(
        "from = \"shop@example.com\"\nsmtp = {{ host = \"127.0.0.1\", port = {}, username = \"me\", password = \"T0KEN\" }}",
        server.port()
    );
    let payload = json!({ "email": "ann@example.com", "subject": "s", "text": "t" });
    let reason = permanent(deliver(&sinks(&options, Path::new("/nowhere")), &payload).await);
    assert_eq!(reason, "the mail server answered 535: 5.7.8 not you");
    assert!(
        !server
            .commands()
            .iter()
            .any(|command| command.starts_with("MAIL"))
    );
}

#[tokio::test]
async fn options_that_cannot_work_are_refused() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("broken")).unwrap();
    write_file(&base.path().join("broken"), "a.html", "{% if %}");
    for (options, says) in [
        ("folder = \"a\"\nsmtp = { host = \"h\" }", "has both"),
        ("templates = \"none\"", "cannot be read"),
        ("templates = \"broken\"", "does not compile"),
        ("smtp = { host = \"h\", username = \"u\" }", "takes both"),
        (
            "smtp = { host = \"h\", ca = \"none.pem\" }",
            "none.pem cannot be read",
        ),
        (
            "smtp = { host = \"mx.example.com\", tls = \"none\", username = \"u\", password = \"p\" }",
            "clear text",
        ),
        ("smtp = { host = \"h\", tls = \"no\" }", "none of \"none\""),
        ("smtp = { host = \"h\", port = 70000 }", "invalid value"),
        ("smtp = { hots = \"h\" }", "unknown field `hots`"),
        ("html = \"{% if %}\"", "does not compile"),
        ("headers = { Subject = \"x\" }", "is made by Segno"),
        (
            "attachments = [{ filename = \"x\", content_type = \"x\" }]",
            "no content type",
        ),
    ] {
        let options = format!("[post.mail]\nfrom = \"a@example.com\"\n{}", options);
        let error = match toml::from_str(&options) {
            Err(error) => error.to_string(),
            Ok(options) => Sinks::new(options, base.path()).unwrap_err().to_string(),
        };
        assert!(error.contains(says), "{options}: {error}");
    }
}
