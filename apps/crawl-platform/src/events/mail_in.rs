//! A mail that has come in: who wrote it, what it answers, and what was written in it.

mod quotes;

use bytes::Bytes;
use mail_parser::{HeaderValue, Message, MessageParser, PartType, decoders::html::html_to_text};

use super::payloads::Person;

pub use quotes::{DELIMITER, strip_html, strip_text};

/// A mail, as far as it is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Who wrote it.
    pub from: Person,
    /// Whom it went to: To and Cc, and what servers noted about the delivery.
    pub to: Vec<String>,
    /// Its `Message-ID`, without angle brackets.
    pub message_id: Option<String>,
    /// The mails that it answers.
    pub in_reply_to: Vec<String>,
    /// Its thread, the oldest first.
    pub references: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// What was written, without what it quotes.
    pub text: String,
    /// The files that came with it.
    pub files: Vec<IncomingFile>,
    /// Why a machine must have written it, if one has.
    pub automatic: Option<&'static str>,
}

/// A file that came with a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingFile {
    /// Its name.
    pub name: String,
    /// Its type, such as `text/csv`.
    pub content_type: String,
    /// What is in it.
    pub bytes: Bytes,
}

/// Why bytes are no mail that can be worked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoMail {
    /// They are not of a mail's form.
    #[error("this is no mail (RFC 5322): a mail begins with header fields such as `From:`")]
    Malformed,
    /// Nobody has sent it.
    #[error("the mail says in no `From` who has sent it")]
    NoSender,
}

/// Reads a mail as it came over the network.
///
/// # Errors
/// [`NoMail`].
pub fn read(raw: &[u8]) -> Result<Incoming, NoMail> {
    let message = MessageParser::default().parse(raw).ok_or(NoMail::Malformed)?;
    if message.headers().is_empty() {
        return Err(NoMail::Malformed);
    }
    let sender = message
        .from()
        .and_then(|from| from.first())
        .ok_or(NoMail::NoSender)?;
    let email = sender
        .address()
        .filter(|address| address.contains('@'))
        .ok_or(NoMail::NoSender)?;
    let from = Person {
        name: sender.name().map(str::to_owned),
        email: email.to_owned(),
    };
    Ok(Incoming {
        to: recipients(&message),
        message_id: message.message_id().map(str::to_owned),
        in_reply_to: ids(message.in_reply_to()),
        references: ids(message.references()),
        subject: message.subject().unwrap_or_default().to_owned(),
        text: written(&message),
        files: message.attachments().filter_map(file_of).collect(),
        automatic: automatic(&message),
        from,
    })
}

fn recipients(message: &Message<'_>) -> Vec<String> {
    let listed = [message.to(), message.cc()].into_iter().flatten();
    let mut all: Vec<String> = listed
        .flat_map(|list| list.iter())
        .filter_map(|one| one.address().map(str::to_owned))
        .collect();
    for noted in ["Delivered-To", "X-Original-To", "Envelope-To"] {
        all.extend(message.header_raw(noted).map(|value| value.trim().to_owned()));
    }
    all
}

fn ids(header: &HeaderValue<'_>) -> Vec<String> {
    let list = header.as_text_list().unwrap_or_default();
    list.iter().map(|id| id.trim().to_owned()).collect()
}

/// What has a name is a file; what has none is a program's, such as a signature.
fn file_of(part: &mail_parser::MessagePart<'_>) -> Option<IncomingFile> {
    use mail_parser::MimeHeaders;
    let content_type = part.content_type().map(|ty| {
        let subtype = ty.subtype().unwrap_or("octet-stream");
        format!("{}/{subtype}", ty.ctype())
    });
    Some(IncomingFile {
        name: file_name(part.attachment_name()?)?,
        content_type: content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
        bytes: Bytes::copy_from_slice(part.contents()),
    })
}

/// A file's name, without the folder that some programs put before it, and what is no character of a name.
fn file_name(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next()?;
    let name: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
    let name = name.trim();
    (!name.is_empty() && name.chars().any(|c| c != '.')).then(|| name.to_owned())
}

fn written(message: &Message<'_>) -> String {
    match message.text_part(0).map(|part| &part.body) {
        Some(PartType::Html(html)) => strip_text(&html_to_text(&strip_html(html))),
        Some(PartType::Text(text)) => strip_text(text),
        _ => message
            .body_text(0)
            .map_or_else(String::new, |text| strip_text(&text)),
    }
}

/// Whether a machine wrote it, which is not to be answered or passed on (RFC 3834; and what came before it).
fn automatic(message: &Message<'_>) -> Option<&'static str> {
    let header = |name: &'static str| {
        message
            .header_raw(name)
            .map(|value| value.trim().to_ascii_lowercase())
    };
    if header("Auto-Submitted").is_some_and(|value| !value.starts_with("no")) {
        return Some("it is marked as submitted by a machine (Auto-Submitted)");
    }
    if header("Precedence")
        .is_some_and(|value| matches!(value.as_str(), "bulk" | "junk" | "list" | "auto_reply"))
    {
        return Some("it went to many, or a machine answered (Precedence)");
    }
    if header("X-Autoreply").is_some() || header("X-Autorespond").is_some() {
        return Some("a machine answered (X-Autoreply)");
    }
    if header("Return-Path").is_some_and(|value| value == "<>") {
        return Some("it tells of a delivery that failed (an empty Return-Path)");
    }
    let report = message
        .header_raw("Content-Type")
        .is_some_and(|value| value.trim().to_ascii_lowercase().starts_with("multipart/report"));
    report.then_some("it tells what became of another mail (multipart/report)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(headers: &str, body: &str) -> Incoming {
        let raw =
            format!("From: Carla <carla@shop.example>\r\nTo: reply@mail.example\r\n{headers}\r\n{body}");
        read(raw.as_bytes()).unwrap()
    }

    #[test]
    fn headers_are_read() {
        let mail = mail(
            "Message-ID: <b@shop.example>\r\nIn-Reply-To: <a@mail.example>\r\nReferences: <r@mail.example>\r\n \
             <a@mail.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDelivered-To: reply+x@mail.example\r\n",
            "Thanks!\r\n",
        );
        assert_eq!(mail.from, Person::new("Carla", "carla@shop.example"));
        assert_eq!(mail.message_id.as_deref(), Some("b@shop.example"));
        assert_eq!(mail.in_reply_to, ["a@mail.example"]);
        assert_eq!(mail.references, ["r@mail.example", "a@mail.example"]);
        assert_eq!(mail.to, ["reply@mail.example", "reply+x@mail.example"]);
        assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("Grüße", "Thanks!"));
        assert_eq!(mail.automatic, None);
    }

    #[test]
    fn machines_are_told_from_people() {
        for headers in [
            "Auto-Submitted: auto-replied\r\n",
            "Precedence: bulk\r\n",
            "X-Autoreply: yes\r\n",
            "Return-Path: <>\r\n",
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
        ] {
            assert!(mail(headers, "x").automatic.is_some(), "{headers}");
        }
        for headers in [
            "Auto-Submitted: no\r\n",
            "Precedence: first-class\r\n",
            "Return-Path: <a@b.example>\r\n",
        ] {
            assert_eq!(mail(headers, "x").automatic, None, "{headers}");
        }
    }

    #[test]
    fn of_html_alone_the_text_is_taken() {
        let mail = mail(
            "Content-Type: text/html; charset=utf-8\r\n",
            "<div>They are <b>there</b> now.</div><br><div class=\"gmail_quote\"><div>On Monday, X wrote:</div>\
             <blockquote>Prices are missing</blockquote></div>",
        );
        assert_eq!(mail.text, "They are there now.");
    }

    #[test]
    fn files_are_named_and_not_taken_for_text() {
        let mail = mail(
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
            "--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--b\r\nContent-Type: text/csv; \
             name=prices.csv\r\nContent-Disposition: attachment; filename=prices.csv\r\n\r\na,b\r\n--b--\r\n",
        );
        assert_eq!(mail.text, "See the file.");
        let file = IncomingFile {
            name: "prices.csv".to_owned(),
            content_type: "text/csv".to_owned(),
            bytes: Bytes::from_static(b"a,b"),
        };
        assert_eq!(mail.files, [file]);
    }

    #[test]
    fn names_of_files_are_names() {
        for (given, name) in [
            ("prices.csv", Some("prices.csv")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\data\\a b.csv", Some("a b.csv")),
            ("a\r\nb.csv", Some("ab.csv")),
            ("..", None),
            (" ", None),
        ] {
            assert_eq!(file_name(given).as_deref(), name, "{given}");
        }
    }

    #[test]
    fn what_is_no_mail_is_refused() {
        assert_eq!(read(b""), Err(NoMail::Malformed));
        assert_eq!(read(b"Subject: x\r\n\r\nhello"), Err(NoMail::NoSender));
        assert_eq!(read(b"From: nobody\r\n\r\nhello"), Err(NoMail::NoSender));
    }
}
