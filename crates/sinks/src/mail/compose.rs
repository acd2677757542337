//! From a payload to a mail.

use lettre::{
    Address, Message,
    message::{Mailbox, Mailboxes, MessageBuilder, MultiPart, SinglePart, header::HeaderValue},
};
use serde_json::Value;

use crate::{Delivery, Failure, Template, Templates, signature::digest};

use super::{
    attachments::attachments,
    bodies::{Bodies, Rendered},
    options::{self, Options},
};

/// The mail of this delivery.
pub(super) fn compose(
    options: &Options,
    bodies: &Bodies,
    delivery: Delivery<'_>,
    keep_bcc: bool,
) -> Result<Message, Failure> {
    let from = sender(options, delivery)?;
    let domain = from.email.domain().to_owned();
    let content = content(options, bodies, delivery)?;
    let mut mail = Message::builder()
        .message_id(Some(format!("<{}@{domain}>", digest(delivery.key))))
        .from(from)
        .subject(content.subject.split_whitespace().collect::<Vec<_>>().join(" "));
    let to = match &options.to {
        Some(templates) => rendered("to", templates, delivery)?,
        None => recipients(delivery.payload)?,
    };
    if to.is_empty() {
        return Err(Failure::permanent(
            "the mail goes to nobody: give the payload an `email`, or the sink `to`",
        ));
    }
    mail = to.into_iter().fold(mail, MessageBuilder::to);
    mail = others("cc", options.cc.as_ref(), delivery)?
        .into_iter()
        .fold(mail, MessageBuilder::cc);
    mail = others("bcc", options.bcc.as_ref(), delivery)?
        .into_iter()
        .fold(mail, MessageBuilder::bcc);
    mail = others("reply_to", options.reply_to.as_ref(), delivery)?
        .into_iter()
        .fold(mail, MessageBuilder::reply_to);
    for header in headers(options, delivery)? {
        mail = mail.raw_header(header);
    }
    if keep_bcc {
        mail = mail.keep_bcc();
    }
    let attachments = attachments(&options.attachments, delivery)?;
    let mail = match (content.body, attachments.is_empty()) {
        (Body::One(part), true) => mail.singlepart(part),
        (Body::Both(parts), true) => mail.multipart(parts),
        (body, false) => {
            let mixed = match body {
                Body::One(part) => MultiPart::mixed().singlepart(part),
                Body::Both(parts) => MultiPart::mixed().multipart(parts),
            };
            mail.multipart(attachments.into_iter().fold(mixed, MultiPart::singlepart))
        }
    };
    mail.map_err(|error| Failure::permanent(format!("no mail can be made of this payload: {error}")))
}

enum Body {
    One(SinglePart),
    Both(MultiPart),
}

struct Content {
    subject: String,
    body: Body,
}

fn content(options: &Options, bodies: &Bodies, delivery: Delivery<'_>) -> Result<Content, Failure> {
    let payload = |field: &str| text(delivery.payload, field);
    let render = |template: &Template| template.render(delivery);
    let own = (
        options.text.as_ref().map(render).transpose()?,
        options.html.as_ref().map(|html| render(&html.0)).transpose()?,
    );
    let name = match &options.template {
        Some(template) => Some(template.render(delivery)?),
        None => payload("template")?.map(str::to_owned),
    };
    // The options' own bodies stand for the whole template.
    let template = match name {
        Some(name) if own == (None, None) => Some(bodies.render(&name, delivery)?),
        _ => None,
    };
    let Rendered { subject, text, html } = match (own, template) {
        ((None, None), Some(template)) => template,
        ((None, None), None) => Rendered {
            subject: None,
            text: payload("text")?.map(str::to_owned),
            html: payload("html")?.map(str::to_owned),
        },
        ((text, html), _) => Rendered {
            subject: None,
            text,
            html,
        },
    };
    let subject = match &options.subject {
        Some(template) => Some(template.render(delivery)?),
        None => payload("subject")?.map(str::to_owned).or(subject),
    };
    let body = match (text, html) {
        (Some(text), Some(html)) => Body::Both(MultiPart::alternative_plain_html(text, html)),
        (Some(text), None) => Body::One(SinglePart::plain(text)),
        (None, Some(html)) => Body::One(SinglePart::html(html)),
        (None, None) => {
            return Err(Failure::permanent(
                "the mail has no body: give the payload a `template`, `text` or `html`, or the sink one of them",
            ));
        }
    };
    Ok(Content {
        subject: subject.ok_or_else(|| {
            Failure::permanent(
                "the mail has no subject: give the payload a `subject`, the template a file NAME.subject.txt, or the sink \
                `subject`",
            )
        })?,
        body,
    })
}

/// A field of the payload that is a text, or is not there.
fn text<'a>(payload: &'a Value, field: &str) -> Result<Option<&'a str>, Failure> {
    match payload.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Failure::permanent(format!("the payload's `{field}` is no text"))),
    }
}

fn sender(options: &Options, delivery: Delivery<'_>) -> Result<Mailbox, Failure> {
    let from = options.from.render(delivery)?;
    let mut from: Mailbox = from
        .parse()
        .map_err(|error| Failure::permanent(format!("the sink's `from` is no mail address: {error}")))?;
    if let Some(email) = text(delivery.payload, "sender_email")? {
        from.email = address("sender_email", email)?;
    }
    if let Some(name) = text(delivery.payload, "sender_name")? {
        from.name = name_of(name);
    }
    Ok(from)
}

/// A name as it may stand in a header.
fn name_of(name: &str) -> Option<String> {
    let name: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(name)
}

/// The payload's `fullname` and `email`. The name is that of the only one.
fn recipients(payload: &Value) -> Result<Vec<Mailbox>, Failure> {
    let name = text(payload, "fullname")?.and_then(name_of);
    let mut addresses = texts(payload, "email")?
        .into_iter()
        .map(|email| address("email", email))
        .collect::<Result<Vec<_>, _>>()?;
    if addresses.len() == 1 {
        return Ok(addresses
            .drain(..)
            .map(|email| Mailbox::new(name.clone(), email))
            .collect());
    }
    Ok(addresses
        .into_iter()
        .map(|email| Mailbox::new(None, email))
        .collect())
}

/// Addresses by an option's templates, else by the payload's field of its name.
fn others(
    field: &str,
    templates: Option<&Templates>,
    delivery: Delivery<'_>,
) -> Result<Vec<Mailbox>, Failure> {
    match templates {
        Some(templates) => rendered(field, templates, delivery),
        None => {
            let given = texts(delivery.payload, field)?
                .into_iter()
                .map(|text| mailboxes(field, text));
            Ok(given.collect::<Result<Vec<_>, _>>()?.concat())
        }
    }
}

fn rendered(field: &str, templates: &Templates, delivery: Delivery<'_>) -> Result<Vec<Mailbox>, Failure> {
    let texts = templates.render(delivery)?;
    let parsed = texts.iter().map(|text| mailboxes(field, text));
    Ok(parsed.collect::<Result<Vec<_>, _>>()?.concat())
}

/// A field that is a text or a list of texts.
fn texts<'a>(payload: &'a Value, field: &str) -> Result<Vec<&'a str>, Failure> {
    let Some(Value::Array(list)) = payload.get(field) else {
        return Ok(text(payload, field)?.into_iter().collect());
    };
    let list = list.iter().map(|item| {
        item.as_str().ok_or_else(|| {
            Failure::permanent(format!("the payload's `{field}` has an entry that is no text"))
        })
    });
    list.collect()
}

/// `A <a@example.com>, b@example.com`, or nothing.
fn mailboxes(field: &str, text: &str) -> Result<Vec<Mailbox>, Failure> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let parsed: Mailboxes = text
        .trim()
        .parse()
        .map_err(|error| Failure::permanent(format!("`{field}` of the mail is no mail address: {error}")))?;
    Ok(parsed.into())
}

fn address(field: &str, text: &str) -> Result<Address, Failure> {
    text.trim()
        .parse()
        .map_err(|error| Failure::permanent(format!("the payload's `{field}` is no mail address: {error}")))
}

/// The options' headers, then the payload's.
fn headers(options: &Options, delivery: Delivery<'_>) -> Result<Vec<HeaderValue>, Failure> {
    let mut headers = Vec::new();
    for (name, template) in &options.headers.0 {
        let value = one_line(name, template.render(delivery)?)?;
        headers.push(HeaderValue::new(name.clone(), value));
    }
    match delivery.payload.get("headers") {
        None | Some(Value::Null) => {}
        Some(Value::Object(given)) => {
            for (name, value) in given {
                let name = options::header_name(name).map_err(Failure::permanent)?;
                let value = value.as_str().ok_or_else(|| {
                    Failure::permanent(format!("the header {name:?} of the payload is no text"))
                })?;
                headers.push(HeaderValue::new(name.clone(), one_line(&name, value.to_owned())?));
            }
        }
        Some(_) => return Err(Failure::permanent("the payload's `headers` are no object")),
    }
    Ok(headers)
}

/// A value that cannot begin a header of its own.
fn one_line(name: &str, value: String) -> Result<String, Failure> {
    if value.chars().any(char::is_control) {
        return Err(Failure::permanent(format!(
            "the header {name:?} has a value of more than one line"
        )));
    }
    Ok(value)
}
