//! Message groups, which FIFO queues and topics have alike.

use crate::{Delivery, Failure, Template};

/// The group that the options give; an empty one is none.
pub(crate) fn given(template: Option<&Template>, delivery: Delivery<'_>) -> Result<Option<String>, Failure> {
    let group = template.map(|template| template.render(delivery)).transpose()?;
    Ok(group.filter(|group| !group.is_empty()))
}

/// The group where none is given: the event's subject, or the delivery alone.
pub(crate) fn of<'a>(delivery: Delivery<'a>) -> &'a str {
    let subject = delivery.event.and_then(|event| event.subject.as_deref());
    subject
        .filter(|subject| !subject.is_empty())
        .unwrap_or(delivery.key)
}
