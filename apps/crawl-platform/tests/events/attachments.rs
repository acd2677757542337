//! Files that belong to what people write: from tickets into mails, and from mails into tickets, each once.

use segno_crawl_platform::events::payloads::TicketCommented;
use serde_json::{Value, json};

use crate::{
    replies::answer,
    world::{Engine, World},
};

impl World {
    /// A comment that shows a file, and its event handled.
    async fn comment_with(&self, ticket: &str, name: &str, bytes: &[u8]) -> Value {
        let file = (name, "application/octet-stream", bytes);
        let comment = self
            .jira
            .add_comment_with_file(ticket, "aron", "See the file.", file)
            .unwrap();
        let event = TicketCommented {
            ticket: ticket.to_owned(),
            comment: Some(comment.clone()),
        };
        self.handle(&format!("comment-{ticket}-{comment}"), &event).await
    }
}

/// The same mail with files.
pub(crate) fn with_files(mail: &str, files: &[(&str, &str)]) -> String {
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    let mut raw = format!(
        "{head}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n\
        --b0\r\nContent-Type: text/plain\r\n\r\n{body}\r\n"
    );
    for (name, text) in files {
        raw.push_str(&format!(
            "--b0\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n{text}\r\n"
        ));
    }
    raw.push_str("--b0--\r\n");
    raw
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_a_comment_go_along_with_its_mails() {
    let world = World::new(Engine::Embedded).await;
    let ticket = world.ticket("Prices are missing");
    let bytes: Vec<u8> = (0..=255).collect();
    world
        .comment_with(&ticket, "prices für \"alle\".csv", &bytes)
        .await;
    let mails = world.mails(&ticket);
    assert_eq!(mails.len(), 4);
    for mail in mails {
        assert_eq!(
            mail.files,
            [("prices für \"alle\".csv".to_owned(), bytes.clone())]
        );
        assert!(
            mail.text.contains("See the file.") && !mail.text.contains("Not with"),
            "{}",
            mail.text
        );
    }
    world.stop().await;

    // What there is no room for is named.
    let world = World::with(Engine::Embedded, "", "").await;
    let ticket = world.ticket("Prices are missing");
    world
        .comment_with(&ticket, "all.csv", &vec![b'x'; 10_000_001])
        .await;
    let mails = world.mails(&ticket);
    assert_eq!(mails.len(), 4);
    for mail in mails {
        assert!(mail.files.is_empty());
        assert!(
            mail.text
                .contains("Not with this mail: all.csv (10.0 MB, too large; it is in the ticket)"),
            "{}",
            mail.text
        );
    }
    world.stop().await;
}

/// Whichever attempt fails after its effect, on both engines.
async fn a_file_of_an_answer_is_attached_once(engine: Engine) {
    let world = World::new(engine).await;
    for (round, place) in [
        None,
        Some("jira_attach_files"),
        Some("jira_add_reply"),
        Some("send_mail"),
        Some("*"),
    ]
    .into_iter()
    .enumerate()
    {
        world.fail(None);
        let (ticket, before) = world.commented(false).await;
        let mail = world.mail_to(&ticket, "carla@shop.example");
        world.fail(place);
        let id = format!("f{round}@shop.example");
        let raw = answer(&mail, "carla@shop.example", &id, "On the page of shoes.");
        let raw = with_files(&raw, &[("prices.csv", "a,b"), ("prices.csv", "c,d")]);
        let execution = world.reply(&raw).await;
        assert_eq!(execution["status"], "Completed", "{place:?}: {execution:#}");
        // A gateway that has got no answer.
        world.reply(&raw).await;

        let files = world.jira.files(&ticket);
        let contents: Vec<_> = files.iter().map(|(_, bytes)| &bytes[..]).collect();
        assert_eq!(contents, [b"a,b", b"c,d"], "{place:?}");
        assert_ne!(files[0].0, files[1].0);
        assert!(
            files.iter().all(|(name, _)| name.starts_with("prices (")),
            "{files:?}"
        );
        let (comment, count) = world.latest(&ticket);
        assert_eq!(count, 2, "{place:?}");
        let text = comment["body"].to_string();
        let named = format!("Attached: {}, {}", files[0].0, files[1].0);
        assert!(text.contains(&named), "{place:?}: {text}");

        // The others have got them too, once.
        let others = ["kim@shop.example", "max@webdata.example", "wanda@webdata.example"];
        assert_eq!(world.told_since(&ticket, before), others, "{place:?}");
        for mail in world.mails(&ticket).into_iter().skip(before) {
            let got: Vec<_> = mail.files.iter().map(|(_, bytes)| &bytes[..]).collect();
            assert_eq!(got, [b"a,b", b"c,d"], "{place:?}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_an_answer_is_attached_once_on_embedded() {
    a_file_of_an_answer_is_attached_once(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_an_answer_is_attached_once_on_temporal() {
    a_file_of_an_answer_is_attached_once(Engine::Temporal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_attached_is_named() {
    let world = World::new(Engine::Embedded).await;
    // Who has nothing to do with the ticket.
    let (ticket, _) = world.commented(false).await;
    let mail = world.mail_to(&ticket, "carla@shop.example");
    let raw = answer(&mail, "eve@evil.example", "e1@evil.example", "Open this.");
    world.reply(&with_files(&raw, &[("invoice.exe", "x")])).await;
    assert!(world.jira.files(&ticket).is_empty());
    let (comment, _) = world.latest(&ticket);
    assert!(
        comment["body"]
            .to_string()
            .contains("Not taken over: invoice.exe"),
        "{comment:#}"
    );

    // What Jira does not take.
    let (ticket, _) = world.commented(false).await;
    let mail = world.mail_to(&ticket, "carla@shop.example");
    let raw = answer(&mail, "carla@shop.example", "l1@shop.example", "All of it.");
    let large = "x".repeat(10 * 1024 * 1024 + 1);
    let execution = world
        .reply(&with_files(&raw, &[("all.csv", &large), ("some.csv", "y")]))
        .await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(world.jira.files(&ticket).len(), 1);
    let (comment, _) = world.latest(&ticket);
    let text = comment["body"].to_string();
    assert!(
        text.contains("Not taken over: all.csv (10.4 MB; Jira takes none so large)"),
        "{text}"
    );

    // By a program that has sent the event itself, and has no file for it.
    let (ticket, _) = world.commented(false).await;
    let event = json!({
        "specversion": "1.0", "id": "own", "source": "phoenix-webhooks", "type": "ContactMessageRepliedEvent",
        "subject": ticket, "datacontenttype": "application/json",
        "data": {
            "ticket": ticket, "from": { "email": "carla@shop.example" }, "message_id": "own@shop.example",
            "text": "See.", "attachments": ["a.pdf"],
            "files": [{ "name": "gone.pdf", "content_type": "application/pdf", "size": 3, "place": "mail/0/0" }],
        },
    });
    let execution = world.handle_json(&event).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    let (comment, _) = world.latest(&ticket);
    let text = comment["body"].to_string();
    assert!(
        text.contains("Not taken over: a.pdf, gone.pdf (not kept for so long)"),
        "{text}"
    );
    world.stop().await;
}
