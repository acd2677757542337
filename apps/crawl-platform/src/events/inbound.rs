//! Mails come in over HTTP, as gateways for mail hand them on, and become events.
//!
//! `POST /mail/inbound` takes one mail as it came (RFC 5322) and answers 202 once the event that it becomes is durable; a
//! gateway that has got no answer, or 503, hands the same mail in again, and it is one event. What is not to be handed in again is
//! answered with 200 and the reason why nothing was done, or with 4xx.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use segno::{Event, intake::Intake};
use segno_crawl_clients::Confidential;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    mail_files::{self, MailFiles},
    mail_in::{self, Incoming},
    payloads::{ContactMessageReplied, MailFile, Payload},
    thread::{About, Threads, hex},
};

/// Largest mail, in bytes.
const LARGEST: usize = 20 * 1024 * 1024;
/// Longest text of an answer, in characters: Jira takes no longer comment.
const LONGEST: usize = 30_000;

/// What a mail that came in is to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// An event, and the files that have to be kept before it is taken in.
    Answer(Box<Event>, Vec<(String, Bytes)>),
    /// Nothing, for this reason.
    Ignored(&'static str),
    /// It belongs to no ticket.
    NoTicket,
}

/// Says what a mail is to be. Pure: the same mail is the same event.
///
/// # Errors
/// When the event cannot be written as JSON.
pub fn judge(threads: &Threads, mail: Incoming, raw: &[u8]) -> Result<Verdict, serde_json::Error> {
    // A mail of ours that somebody forwards to us, or a server sends back, would go around for ever.
    if mail.message_id.as_deref().is_some_and(|id| threads.is_ours(id))
        || threads.is_our_address(&mail.from.email)
    {
        return Ok(Verdict::Ignored("it is a mail of ours"));
    }
    if let Some(why) = mail.automatic {
        return Ok(Verdict::Ignored(why));
    }
    let Some((about, answered)) = about(threads, &mail) else {
        return Ok(Verdict::NoTicket);
    };
    if mail.text.trim().is_empty() && mail.files.is_empty() {
        return Ok(Verdict::Ignored("there is nothing in it but what it quotes"));
    }
    let mut text = mail.text;
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    if text.trim().is_empty() {
        "(no text)".clone_into(&mut text);
    }
    // A mail without an id is known by its bytes.
    let message_id = mail
        .message_id
        .unwrap_or_else(|| format!("sha256.{}", hex(&Sha256::digest(raw))));
    let numbered = mail.files.into_iter().enumerate();
    let (files, kept) = numbered
        .map(|(number, file)| {
            let place = mail_files::place(&message_id, number);
            let described = MailFile {
                name: file.name,
                content_type: file.content_type,
                size: file.bytes.len() as u64,
                place: place.clone(),
            };
            (described, (place, file.bytes))
        })
        .unzip();
    let data = ContactMessageReplied {
        ticket: about.ticket,
        from: mail.from,
        in_reply_to: answered,
        references: mail.references,
        subject: mail.subject,
        text,
        internal: about.internal,
        attachments: Vec::new(),
        files,
        message_id,
    };
    let id = data.message_id.clone();
    Ok(Verdict::Answer(Box::new(data.event(id)?), kept))
}

/// What a mail answers: by the mail that it names, the thread, or the address that it was sent to.
fn about(threads: &Threads, mail: &Incoming) -> Option<(About, Option<String>)> {
    let named = mail.in_reply_to.iter().chain(mail.references.iter().rev());
    let by_mail = named
        .filter_map(|id| threads.about(id).map(|about| (about, Some(id.clone()))))
        .next();
    let by_address = || {
        mail.to
            .iter()
            .find_map(|to| threads.about_address(to))
            .map(|about| (about, None))
    };
    by_mail.or_else(by_address)
}

/// Where mails come in.
#[derive(Clone)]
pub struct Inbound {
    intake: Intake,
    threads: Threads,
    files: MailFiles,
    token: Option<Confidential>,
}

impl Inbound {
    /// Mails become events of this intake, and their files are kept here. With a token, who hands one in needs it as `Authorization: Bearer …`; without one
    /// anybody who reaches the address may.
    pub fn new(intake: Intake, threads: Threads, files: MailFiles, token: Option<Confidential>) -> Self {
        Self {
            intake,
            threads,
            files,
            token,
        }
    }

    /// The route `POST /mail/inbound`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/mail/inbound", post(receive))
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(Arc::new(self))
    }

    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let given = given
            .and_then(|value| value.strip_prefix(b"Bearer "))
            .unwrap_or_default();
        // Digests take the same time to compare wherever they differ first, as far as anybody can make use of it.
        Sha256::digest(given) == Sha256::digest(token.expose().as_bytes())
    }
}

async fn receive(State(inbound): State<Arc<Inbound>>, headers: HeaderMap, raw: Bytes) -> Response {
    if !inbound.is_allowed(&headers) {
        return problem(
            StatusCode::UNAUTHORIZED,
            "hand mails in with `Authorization: Bearer` and the configured token",
        );
    }
    let mail = match mail_in::read(&raw) {
        Ok(mail) => mail,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let (event, files) = match judge(&inbound.threads, mail, &raw) {
        Ok(Verdict::Answer(event, files)) => (event, files),
        Ok(Verdict::Ignored(why)) => {
            tracing::info!(why, "a mail is ignored");
            return (StatusCode::OK, Json(json!({ "ignored": why }))).into_response();
        }
        Ok(Verdict::NoTicket) => {
            let detail = "the mail answers no mail of ours, and goes to no address of a ticket";
            return problem(StatusCode::UNPROCESSABLE_ENTITY, detail);
        }
        Err(error) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    for (place, bytes) in files {
        if let Err(error) = inbound.files.keep(&place, bytes).await {
            tracing::warn!(%error, "a file of a mail is not kept now");
            return problem(StatusCode::SERVICE_UNAVAILABLE, "not now; hand the mail in again");
        }
    }
    match inbound.intake.accept(std::slice::from_ref(&event)).await {
        Ok(accepted) => {
            let duplicate = accepted.iter().all(|one| one.duplicate);
            let reply = json!({ "event": event.id, "ticket": event.subject, "duplicate": duplicate });
            (StatusCode::ACCEPTED, Json(reply)).into_response()
        }
        Err(error) if !error.stays() => {
            tracing::warn!(%error, "a mail is not taken in now");
            problem(StatusCode::SERVICE_UNAVAILABLE, "not now; hand the mail in again")
        }
        Err(error) => problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    }
}

/// Problem details (RFC 9457).
fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({ "title": status.canonical_reason(), "status": status.as_u16(), "detail": detail });
    (
        status,
        [(header::CONTENT_TYPE, "application/problem+json")],
        body.to_string(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use segno::Data;

    use super::*;

    fn threads() -> Threads {
        Threads::new("mail.webdata.example", "hush")
    }

    fn judged(headers: &str, body: &str) -> Verdict {
        let raw = format!(
            "From: Carla <carla@shop.example>\r\nMessage-ID: <b@shop.example>\r\n{headers}\r\n{body}"
        );
        judge(&threads(), mail_in::read(raw.as_bytes()).unwrap(), raw.as_bytes()).unwrap()
    }

    fn answer(verdict: Verdict) -> ContactMessageReplied {
        let Verdict::Answer(event, _) = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(
            (event.id.as_str(), event.ty.as_str()),
            ("b@shop.example", ContactMessageReplied::TYPE)
        );
        let Some(Data::Json(data)) = event.data else {
            panic!("JSON")
        };
        serde_json::from_value(data).unwrap()
    }

    #[test]
    fn an_answer_belongs_to_the_ticket_that_it_was_written_about() {
        let id = threads().message_id("WD-12", "7", true, "carla@shop.example");
        let data = answer(judged(
            &format!("In-Reply-To: <{id}>\r\n"),
            "Fine.\r\n\r\n> Prices\r\n",
        ));
        assert_eq!(
            (data.ticket.as_str(), data.text.as_str(), data.internal),
            ("WD-12", "Fine.", true)
        );
        assert_eq!(data.in_reply_to.as_deref(), Some(id.as_str()));
        // By the thread, where a list or an old program names another mail.
        let root = threads().root("WD-12");
        let headers = format!("In-Reply-To: <x@y.example>\r\nReferences: <{root}> <x@y.example>\r\n");
        assert_eq!(answer(judged(&headers, "Fine.")).ticket, "WD-12");
        let address = threads().reply_to("WD-12", false);
        assert_eq!(
            answer(judged(&format!("To: Data team <{address}>\r\n"), "Fine.")).ticket,
            "WD-12"
        );
    }

    #[test]
    fn what_is_no_answer_of_a_person_is_ignored() {
        let id = threads().message_id("WD-12", "7", false, "carla@shop.example");
        let reply = format!("In-Reply-To: <{id}>\r\n");
        let ignored = |verdict| matches!(verdict, Verdict::Ignored(_));
        assert!(ignored(judged(
            &format!("{reply}Auto-Submitted: auto-replied\r\n"),
            "I am away."
        )));
        assert!(ignored(judged(&reply, "> only a quote\r\n")));
        // Ours, come back: by its id, and by whom it is from.
        let raw = format!("From: x@y.example\r\nMessage-ID: <{id}>\r\n\r\nhello");
        let ours = judge(&threads(), mail_in::read(raw.as_bytes()).unwrap(), raw.as_bytes());
        assert!(ignored(ours.unwrap()));
        let raw = format!("From: reply+x@mail.webdata.example\r\nIn-Reply-To: <{id}>\r\n\r\nhello");
        let ours = judge(&threads(), mail_in::read(raw.as_bytes()).unwrap(), raw.as_bytes());
        assert!(ignored(ours.unwrap()));
    }

    #[test]
    fn nobody_answers_to_a_ticket_that_they_were_not_told_of() {
        let forged = "In-Reply-To: <wd-12.7.p.000000000000.0000000000000000@mail.webdata.example>\r\n";
        assert_eq!(judged(forged, "hello"), Verdict::NoTicket);
        assert_eq!(judged("", "hello"), Verdict::NoTicket);
    }

    #[test]
    fn files_alone_are_an_answer() {
        let id = threads().root("WD-12");
        let headers = format!(
            "In-Reply-To: <{id}>\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name=a.pdf\r\n"
        );
        let verdict = judged(&headers, "x");
        let Verdict::Answer(_, kept) = &verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(
            kept[..],
            [(mail_files::place("b@shop.example", 0), Bytes::from_static(b"x"))]
        );
        let data = answer(verdict);
        assert_eq!((data.text.as_str(), data.files.len()), ("(no text)", 1));
        let file = &data.files[0];
        assert_eq!((file.name.as_str(), file.size), ("a.pdf", 1));
        assert_eq!(file.place, mail_files::place("b@shop.example", 0));
    }
}
