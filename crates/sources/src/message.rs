//! A message as a source has received it, before anything is known of its content.

/// Headers of HTTP and NATS, attributes of SQS, fields of a Redis entry: names with texts.
pub type Headers = Vec<(String, String)>;

/// A message from outside.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// What the sender or the broker calls it: the same when it is delivered again. The id of events that have none.
    pub id: &'a str,
    /// What came beside the body.
    pub headers: &'a [(String, String)],
    /// Whether CloudEvents attributes among the headers are percent-encoded, as they are in HTTP and NATS.
    pub encoded: bool,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// A message without headers.
    pub fn new(id: &'a str, body: &'a [u8]) -> Self {
        Self {
            id,
            headers: &[],
            encoded: false,
            body,
        }
    }

    /// The header of this name, whose case does not count.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        header(self.headers, name)
    }
}

/// The first header of this name, whose case does not count.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// A message in hand.
#[cfg(any(feature = "nats", feature = "redis", feature = "sqs"))]
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) headers: Headers,
    pub(crate) encoded: bool,
    pub(crate) body: Vec<u8>,
}

#[cfg(any(feature = "nats", feature = "redis", feature = "sqs"))]
impl Received {
    pub(crate) fn message(&self) -> Message<'_> {
        Message {
            id: &self.id,
            headers: &self.headers,
            encoded: self.encoded,
            body: &self.body,
        }
    }
}
