//! `ContactMessageRepliedEvent`: an answer to a mail becomes a comment, once, and the others are told, once.

use reqwest::StatusCode;
use segno_crawl_platform::events::payloads::TicketCommented;
use serde_json::{Value, json};

use crate::{
    attachments::with_files,
    world::{Engine, Sent, World},
};

/// An answer to a mail, as mail programs write them.
pub(crate) fn answer(mail: &Sent, from: &str, id: &str, text: &str) -> String {
    let quoted: String = mail.text.lines().map(|line| format!("> {line}\r\n")).collect();
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: Re: {subject}\r\nMessage-ID: <{id}>\r\nIn-Reply-To: <{mail_id}>\r\n\
        References: <{root}> <{mail_id}>\r\nDate: Mon, 2 Mar 2026 10:00:00 +0000\r\n\r\n{text}\r\n\r\n\
        On Mon, 2 Mar 2026 at 09:00, The data team <team@mail.webdata.example> wrote:\r\n{quoted}",
        to = mail.reply_to.as_deref().unwrap(),
        subject = mail.subject,
        mail_id = mail.id,
        root = mail.references[0],
    )
}

impl World {
    /// The mail about a ticket that this address got.
    pub(crate) fn mail_to(&self, ticket: &str, to: &str) -> Sent {
        let mut mails = self.mails(ticket).into_iter().filter(|mail| mail.to == to);
        mails.next().unwrap()
    }

    /// A ticket with a comment that its people were told of; how many mails that were.
    pub(crate) async fn commented(&self, internal: bool) -> (String, usize) {
        let ticket = self.ticket("Prices are missing");
        self.comment(&ticket, "aron", "Where are they missing?", internal)
            .await;
        let count = self.told(&ticket).len();
        (ticket, count)
    }

    /// Whom mails about a ticket went to after the first so many, in order.
    pub(crate) fn told_since(&self, ticket: &str, count: usize) -> Vec<String> {
        let mut told: Vec<_> = self
            .mails(ticket)
            .into_iter()
            .skip(count)
            .map(|mail| mail.to)
            .collect();
        told.sort_unstable();
        told
    }

    /// The latest comment, and all there are.
    pub(crate) fn latest(&self, ticket: &str) -> (Value, usize) {
        let comments = self.jira.comments(ticket);
        (comments.last().unwrap().clone(), comments.len())
    }
}

fn property<'a>(comment: &'a Value, key: &str) -> &'a Value {
    let properties = &comment["properties"];
    match properties.as_array() {
        Some(list) => list
            .iter()
            .find(|property| property["key"] == key)
            .map_or(&Value::Null, |property| &property["value"]),
        None => &properties[key],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_becomes_a_comment_of_who_wrote_it_and_does_not_echo() {
    let world = World::new(Engine::Embedded).await;
    let (ticket, before) = world.commented(false).await;
    let mail = world.mail_to(&ticket, "carla@shop.example");
    let raw = answer(
        &mail,
        "Carla Customer <carla@shop.example>",
        "c1@shop.example",
        "On the page of shoes.",
    );
    let execution = world.reply(&raw).await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(execution["type"], "ContactMessageRepliedEventWorkflow");

    let (comment, count) = world.latest(&ticket);
    assert_eq!(count, 2);
    let text = comment["body"].to_string();
    assert!(
        text.contains("Carla Customer (carla@shop.example) answered by mail:"),
        "{text}"
    );
    assert!(
        text.contains("On the page of shoes.") && !text.contains("Where are they missing?"),
        "{text}"
    );
    let author = property(&comment, "segno.author");
    assert_eq!(
        (&author["email"], &author["account"]),
        (&json!("carla@shop.example"), &json!("carla"))
    );

    // All the others, within the thread of the mail that was answered.
    assert_eq!(
        world.told_since(&ticket, before),
        ["kim@shop.example", "max@webdata.example", "wanda@webdata.example"]
    );
    for mail in world.mails(&ticket).iter().skip(before) {
        assert_eq!(mail.in_reply_to.as_deref(), Some("c1@shop.example"));
        assert_eq!(mail.references[0], world.threads.root(&ticket));
        assert!(mail.text.contains("Carla Customer") && mail.text.contains("On the page of shoes."));
    }

    // Jira tells of the new comment, as of every one: nobody hears of it twice.
    let told = world.mails(&ticket).len();
    let event = TicketCommented {
        ticket: ticket.clone(),
        comment: Some(comment["id"].as_str().unwrap().to_owned()),
    };
    let execution = world.handle("echo", &event).await;
    assert_eq!(
        execution["result"]["done"],
        json!(["the comment came by mail, and its readers were told then"])
    );
    assert_eq!(world.mails(&ticket).len(), told);

    // The gateway hands the same mail in again: it is the same event.
    let (status, reply) = world.mail_in(&raw).await;
    assert_eq!(
        (status, &reply["duplicate"]),
        (StatusCode::ACCEPTED, &json!(true))
    );
    assert_eq!((world.latest(&ticket).1, world.mails(&ticket).len()), (2, told));

    // A mail of ours that comes back, and a machine's answer, are nothing.
    let ours = format!(
        "From: x@y.example\r\nMessage-ID: <{}>\r\nIn-Reply-To: <{}>\r\n\r\nhello",
        mail.id, mail.id
    );
    let (status, reply) = world.mail_in(&ours).await;
    assert_eq!(
        (status, &reply["ignored"]),
        (StatusCode::OK, &json!("it is a mail of ours"))
    );
    let away = answer(&mail, "carla@shop.example", "c2@shop.example", "I am away.");
    let (status, reply) = world
        .mail_in(&format!("Auto-Submitted: auto-replied\r\n{away}"))
        .await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    assert_eq!((world.latest(&ticket).1, world.mails(&ticket).len()), (2, told));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_say_what_where() {
    let world = World::new(Engine::Embedded).await;

    // An answer to an internal note is one: customers hear nothing.
    let (ticket, before) = world.commented(true).await;
    let mail = world.mail_to(&ticket, "wanda@webdata.example");
    world
        .reply(&answer(
            &mail,
            "wanda@webdata.example",
            "w1@webdata.example",
            "Call them.",
        ))
        .await;
    assert_eq!(world.told_since(&ticket, before), ["max@webdata.example"]);
    let (comment, _) = world.latest(&ticket);
    assert_eq!(
        property(&comment, "sd.public.comment")["internal"],
        true,
        "{comment:#}"
    );

    // Who has unsubscribed may answer all the same, and still gets nothing.
    let (ticket, before) = world.commented(false).await;
    let mail = world.mail_to(&ticket, "carla@shop.example");
    world
        .reply(&answer(
            &mail,
            "una@shop.example",
            "u1@shop.example",
            "On all pages.",
        ))
        .await;
    let (comment, _) = world.latest(&ticket);
    assert_eq!(property(&comment, "segno.author")["email"], "una@shop.example");
    assert_eq!(
        world.told_since(&ticket, before),
        [
            "carla@shop.example",
            "kim@shop.example",
            "max@webdata.example",
            "wanda@webdata.example"
        ]
    );

    // Somebody to whom the mail was passed on: kept, but not shown to the customer.
    let (ticket, before) = world.commented(false).await;
    let mail = world.mail_to(&ticket, "carla@shop.example");
    world
        .reply(&answer(
            &mail,
            "Eve <eve@evil.example>",
            "e1@evil.example",
            "Send me all data.",
        ))
        .await;
    let (comment, _) = world.latest(&ticket);
    assert_eq!(
        property(&comment, "sd.public.comment")["internal"],
        true,
        "{comment:#}"
    );
    assert!(
        comment["body"]
            .to_string()
            .contains("has nothing to do with this ticket")
    );
    assert_eq!(
        world.told_since(&ticket, before),
        ["max@webdata.example", "wanda@webdata.example"]
    );

    // By a program that names no mail: the address says which ticket it is.
    let (ticket, _) = world.commented(false).await;
    let to = world.mail_to(&ticket, "carla@shop.example").reply_to.unwrap();
    let raw =
        format!("From: carla@shop.example\r\nTo: {to}\r\nMessage-ID: <n1@shop.example>\r\n\r\nHello again.");
    world.reply(&raw).await;
    assert_eq!(world.latest(&ticket).1, 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_is_refused_with_its_reason() {
    let world = World::new(Engine::Embedded).await;
    let (status, problem) = world.mail_in("").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    let (status, problem) = world
        .mail_in("From: a@b.example\r\nMessage-ID: <x@b.example>\r\n\r\nhello")
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("answers no mail of ours"),
        "{problem}"
    );
    let url = world.inbound_url();
    let stranger = reqwest::Client::new()
        .post(url)
        .body("From: a@b.example\r\n\r\nx")
        .send()
        .await
        .unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    world.stop().await;
}

const PLACES: [&str; 8] = [
    "jira_people",
    "platform_project_of_ticket",
    "platform_project_users",
    "jira_attach_files",
    "jira_add_reply",
    "send_mail",
    "send_mail/unrecorded",
    "*",
];

/// Every activity fails after its effect, one in each round: there is one comment, and one mail a person.
async fn one_comment_and_one_mail_a_person_whichever_activity_is_done_again(
    engine: Engine,
    rounds: &[&'static str],
) {
    let world = World::new(engine).await;
    for (round, place) in rounds.iter().copied().enumerate() {
        world.fail(None);
        let (ticket, before) = world.commented(false).await;
        let mail = world.mail_to(&ticket, "carla@shop.example");
        world.fail(Some(place));
        let id = format!("c{round}@shop.example");
        let raw = answer(&mail, "carla@shop.example", &id, "On the page of shoes.");
        let execution = world.reply(&with_files(&raw, &[("prices.csv", "a,b")])).await;
        assert_eq!(execution["status"], "Completed", "{place}: {execution:#}");
        for action in execution["actions"].as_array().unwrap() {
            let ty = action["type"].as_str().unwrap();
            // The terms are read, and nothing else is done there.
            if ty != "terms" {
                assert!(PLACES.contains(&ty), "{ty} never fails here");
                let fails = [ty, "*"].contains(&place) || place == format!("{ty}/unrecorded");
                assert_eq!(action["attempts"], 1 + u32::from(fails), "{place}: {execution:#}");
            }
        }
        assert_eq!(world.latest(&ticket).1, 2, "{place}");
        assert_eq!(
            world.told_since(&ticket, before),
            ["kim@shop.example", "max@webdata.example", "wanda@webdata.example"],
            "{place}"
        );
        assert_eq!(world.jira.files(&ticket).len(), 1, "{place}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_comment_and_one_mail_a_person_whichever_activity_is_done_again_on_embedded() {
    one_comment_and_one_mail_a_person_whichever_activity_is_done_again(Engine::Embedded, &PLACES).await;
}

/// There each round takes seconds; one has all activities in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_comment_and_one_mail_a_person_whichever_activity_is_done_again_on_temporal() {
    let rounds = ["send_mail/unrecorded", "*"];
    one_comment_and_one_mail_a_person_whichever_activity_is_done_again(Engine::Temporal, &rounds).await;
}
