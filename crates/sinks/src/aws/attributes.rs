//! Attributes of messages, which SQS and SNS have alike.

use std::collections::BTreeMap;

use super::OptionError;
use crate::{Delivery, Failure, Template, Trace};

/// Most attributes of a message.
const MOST: usize = 10;

/// The attributes of each message: names and texts.
#[derive(Debug)]
pub(crate) struct Attributes(BTreeMap<String, Template>);

impl Attributes {
    pub(crate) fn check(attributes: &BTreeMap<String, Template>) -> Result<(), OptionError> {
        if attributes.len() > MOST {
            return Err(OptionError::Attributes(attributes.len()));
        }
        match attributes.keys().find(|name| !is_name(name)) {
            Some(name) => Err(OptionError::AttributeName(name.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn new(attributes: BTreeMap<String, Template>) -> Self {
        Self(attributes)
    }

    /// Those of this delivery, and its trace where there is room. An empty text is no attribute: AWS takes none.
    pub(crate) fn render(&self, delivery: Delivery<'_>) -> Result<Vec<(String, String)>, Failure> {
        let mut rendered = Vec::with_capacity(self.0.len());
        for (name, template) in &self.0 {
            let text = template.render(delivery)?;
            if !text.is_empty() {
                rendered.push((name.clone(), text));
            }
        }
        for (name, value) in delivery.trace.into_iter().flat_map(Trace::headers) {
            if rendered.len() < MOST && !self.0.contains_key(name) {
                rendered.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(rendered)
    }
}

/// What they add to a message's size: names, texts and the type `String`.
pub(crate) fn bytes(attributes: &[(String, String)]) -> usize {
    let bytes = |(name, text): &(String, String)| name.len() + text.len() + "String".len();
    attributes.iter().map(bytes).sum()
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
fn is_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    (1..=256).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_aws_takes_them() {
        for good in ["tenant", "a.b-c_d", "awsome", &"n".repeat(256)] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            ".a",
            "a.",
            "a..b",
            "AWS.x",
            "amazon.x",
            "a b",
            "ä",
            &"n".repeat(257),
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
