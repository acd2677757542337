//! `TicketCommentedEvent`: who is mailed about a comment, and how often.

use segno_crawl_platform::events::payloads::TicketCommented;
use serde_json::{Value, json};

use crate::world::{Engine, World};

/// Whoever is to be told of a comment that an agent made for all.
const ALL: [&str; 4] = [
    "carla@shop.example",
    "kim@shop.example",
    "max@webdata.example",
    "wanda@webdata.example",
];

impl World {
    /// A comment, and its event handled.
    pub(crate) async fn comment(&self, ticket: &str, author: &str, text: &str, internal: bool) -> Value {
        let comment = self.jira.add_comment(ticket, author, text, internal).unwrap();
        let event = TicketCommented {
            ticket: ticket.to_owned(),
            comment: Some(comment.clone()),
        };
        self.handle(&format!("comment-{ticket}-{comment}"), &event).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_by_the_rules() {
    let world = World::new(Engine::Embedded).await;

    // All but the author; who has unsubscribed gets nothing although she watches.
    let ticket = world.ticket("Prices are missing");
    let execution = world.comment(&ticket, "aron", "They are there now.", false).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(execution["type"], "TicketCommentedEventWorkflow");
    assert_eq!(world.told(&ticket), ALL);
    for mail in world.mails(&ticket) {
        assert_eq!(mail.subject, format!("[{ticket}] Prices are missing"));
        assert!(
            mail.text.contains("They are there now.") && mail.text.contains("Aron Agent"),
            "{}",
            mail.text
        );
        // Internal people see the project; customers their request.
        assert_eq!(
            mail.text.contains("Shop prices"),
            mail.to.ends_with("@webdata.example"),
            "{}",
            mail.text
        );
    }

    // The author is a watcher, or a user of the platform.
    for (author, others) in [("wanda", &ALL[..3]), ("carla", &ALL[1..])] {
        let ticket = world.ticket("Names are missing");
        world.comment(&ticket, author, "Me too.", false).await;
        assert_eq!(world.told(&ticket), others, "{author}");
    }

    // An internal note goes to internal people, by a template of its own.
    let ticket = world.ticket("Reviews are missing");
    world.comment(&ticket, "aron", "They do not pay.", true).await;
    assert_eq!(
        world.told(&ticket),
        ["max@webdata.example", "wanda@webdata.example"]
    );
    assert!(
        world
            .mails(&ticket)
            .iter()
            .all(|mail| mail.text.contains("INTERNAL NOTE"))
    );

    // A ticket of no project has its watchers and participants; una is no known user then.
    let lone = world.jira.add_issue("WD", "A question");
    world.jira.add_participant(&lone, "una");
    world.comment(&lone, "aron", "Yes.", false).await;
    assert_eq!(world.told(&lone), ["una@shop.example"]);

    // Without a comment's id the latest is meant.
    let ticket = world.ticket("Dates are missing");
    world
        .jira
        .add_comment(&ticket, "aron", "The first.", false)
        .unwrap();
    world
        .jira
        .add_comment(&ticket, "aron", "The second.", false)
        .unwrap();
    let event = TicketCommented {
        ticket: ticket.clone(),
        comment: None,
    };
    world.handle("latest", &event).await;
    assert!(
        world
            .mails(&ticket)
            .iter()
            .all(|mail| mail.text.contains("The second."))
    );
    assert_eq!(world.told(&ticket), ALL);

    // A comment that was deleted meanwhile is told to nobody; a ticket that is not there is a dead letter.
    let event = TicketCommented {
        ticket: ticket.clone(),
        comment: Some("999999".to_owned()),
    };
    let execution = world.handle("deleted", &event).await;
    assert_eq!(
        execution["result"]["done"],
        json!(["the comment is not there any more"])
    );
    let event = TicketCommented {
        ticket: "WD-4711".to_owned(),
        comment: None,
    };
    let execution = world.handle("nowhere", &event).await;
    assert_eq!(execution["status"], "Failed", "{execution:#}");
    let message = execution["failure"]["message"].as_str().unwrap();
    assert!(message.contains("jira_comment: Jira, "), "{message}");
    assert_eq!(world.told(&ticket).len(), ALL.len());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_hang_together() {
    let world = World::new(Engine::Embedded).await;
    let ticket = world.ticket("Prices are missing");
    world.comment(&ticket, "aron", "One.", false).await;
    world.comment(&ticket, "aron", "Two.", true).await;
    let mails = world.mails(&ticket);
    let mut ids: Vec<_> = mails.iter().map(|mail| mail.id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 6, "each mail is one of its own");
    for mail in mails {
        let about = world.threads.about(&mail.id).unwrap();
        assert_eq!(
            (about.ticket.as_str(), about.internal),
            (ticket.as_str(), mail.text.contains("Two."))
        );
        assert_eq!(mail.references, [world.threads.root(&ticket)]);
        assert_eq!(mail.in_reply_to, Some(world.threads.root(&ticket)));
        let answers = world.threads.about_address(mail.reply_to.as_ref().unwrap());
        assert_eq!(answers, Some(about));
    }
    world.stop().await;
}

const PLACES: [&str; 6] = [
    "jira_comment",
    "jira_people",
    "platform_project_of_ticket",
    "platform_project_users",
    "send_mail",
    "*",
];

/// Every activity, and the moment between a mail's sending and its record, fails after its effect, one in each round; or each in
/// its turn in a single one.
async fn nobody_is_mailed_twice_whichever_activity_is_done_again(engine: Engine, rounds: &[&'static str]) {
    let world = World::new(engine).await;
    for place in rounds {
        world.fail(Some(*place));
        let ticket = world.ticket("Prices are missing");
        let execution = world.comment(&ticket, "aron", "They are there now.", false).await;
        assert_eq!(execution["status"], "Completed", "{place}: {execution:#}");
        assert_eq!(world.told(&ticket), ALL, "{place}");
        let attempts = execution["actions"].as_array().unwrap();
        for action in attempts {
            let ty = action["type"].as_str().unwrap();
            // The terms are read, and nothing else is done there.
            if ty != "terms" {
                assert!(PLACES.contains(&ty), "{ty} never fails here");
                let fails = [ty, "*"].contains(place);
                assert_eq!(action["attempts"], 1 + u32::from(fails), "{place}: {execution:#}");
            }
        }
    }

    // A worker that ends between the server's answer and the record: the mail is there, and nobody can say so.
    world.fail(Some("send_mail/unrecorded"));
    let ticket = world.ticket("Prices are missing");
    let execution = world.comment(&ticket, "aron", "They are there now.", false).await;
    assert_eq!(world.told(&ticket), ALL);
    let done = execution["result"]["done"].to_string();
    assert!(
        done.contains("4 of them were being sent when a worker ended"),
        "{done}"
    );

    // An event that comes a second time under another id, after the window in which it is known as a repetition.
    world.fail(None);
    let event = TicketCommented {
        ticket: ticket.clone(),
        comment: None,
    };
    let execution = world.handle("again", &event).await;
    assert_eq!(execution["status"], "Completed");
    assert_eq!(world.told(&ticket), ALL);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_mailed_twice_whichever_activity_is_done_again_on_embedded() {
    nobody_is_mailed_twice_whichever_activity_is_done_again(Engine::Embedded, &PLACES).await;
}

/// There each round takes seconds, and one has all in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_mailed_twice_whichever_activity_is_done_again_on_temporal() {
    nobody_is_mailed_twice_whichever_activity_is_done_again(Engine::Temporal, &["*"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_was_refused_is_sent_later_and_one_that_broke_off_is_not() {
    let world = World::new(Engine::Embedded).await;

    // 4xx: the server has not taken it, and takes it soon.
    *world.refusal.lock().unwrap() = Some("451 try again".to_owned());
    let ticket = world.ticket("Prices are missing");
    let comment = world.jira.add_comment(&ticket, "aron", "Now.", false).unwrap();
    let event = TicketCommented {
        ticket: ticket.clone(),
        comment: Some(comment),
    };
    // How many mails the server was given so far, whatever it said to them.
    let handed = || {
        let commands = world.smtp.commands();
        commands.iter().filter(|command| *command == "DATA").count()
    };
    let (execution, ()) = tokio::join!(world.handle("refused", &event), async {
        while handed() < 4 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        *world.refusal.lock().unwrap() = None;
    });
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(world.told(&ticket), ALL);

    // 5xx for good: a dead letter that says so, and names no address.
    *world.refusal.lock().unwrap() = Some("550 no such mailbox".to_owned());
    let ticket = world.ticket("Prices are missing");
    let execution = world.comment(&ticket, "aron", "Now.", false).await;
    assert_eq!(execution["status"], "Failed", "{execution:#}");
    let message = execution["failure"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("4 of 4 mails failed: mail, send a mail: the mail server answered 550"),
        "{message}"
    );
    assert!(!message.contains("shop.example"), "{message}");

    // When somebody has it tried again, those that are missing are sent.
    *world.refusal.lock().unwrap() = None;
    let id = execution["workflow_id"].as_str().unwrap();
    world.retry(id).await;
    let execution = world.closed(id).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(world.told(&ticket), ALL);

    // No answer that can be read: the mails may have been taken, and are not sent again. That is told.
    *world.refusal.lock().unwrap() = Some("?".to_owned());
    let (doubtful, before) = (world.ticket("Names are missing"), handed());
    let told = world.comment(&doubtful, "aron", "Now.", false).await;
    assert_eq!(told["status"], "Completed", "{told:#}");
    assert!(
        told["result"]["done"]
            .to_string()
            .contains("4 of them were being sent"),
        "{told:#}"
    );
    assert_eq!(handed() - before, 4);
    world.stop().await;
}
