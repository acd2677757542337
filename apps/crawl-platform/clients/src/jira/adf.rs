//! [Atlassian Document Format]: the bodies of comments and descriptions, as JSON. Pure.
//!
//! ```
//! use segno_crawl_clients::jira::adf::Document;
//!
//! let document = Document::from_text("See https://example.com/a.\n\nBye");
//! assert_eq!(document.to_text(), "See https://example.com/a.\n\nBye");
//! assert_eq!(
//!     document.to_html(),
//!     "<p>See <a href=\"https://example.com/a\">https://example.com/a</a>.</p>\n<p>Bye</p>\n"
//! );
//! ```
//!
//! [Atlassian Document Format]: https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod from_text;
mod to_html;
mod to_text;

/// A document.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Document {
    /// Always 1.
    version: u64,
    #[serde(rename = "type")]
    kind: Doc,
    /// Its blocks.
    pub content: Vec<Node>,
}

/// The name of a document's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
enum Doc {
    #[serde(rename = "doc")]
    Doc,
}

impl Document {
    /// A document of these blocks.
    pub fn new(content: Vec<Node>) -> Self {
        Self {
            version: 1,
            kind: Doc::Doc,
            content,
        }
    }

    /// Paragraphs, with blank lines between them in the text; line breaks and links to web pages are kept. Spaces at the ends
    /// of lines and control characters are not.
    pub fn from_text(text: &str) -> Self {
        Self::new(from_text::blocks(text))
    }

    /// Whether files are shown in it.
    pub fn has_files(&self) -> bool {
        fn any(nodes: &[Node]) -> bool {
            nodes
                .iter()
                .any(|node| matches!(node.kind.as_str(), "media" | "mediaInline") || any(&node.content))
        }
        any(&self.content)
    }

    /// As text, with a blank line between blocks.
    pub fn to_text(&self) -> String {
        to_text::text(&self.content)
    }

    /// As HTML, without anything that runs: what is text is escaped, and links lead to web pages and mail addresses only.
    pub fn to_html(&self) -> String {
        to_html::html(&self.content)
    }
}

/// A block, or something in a line. Kinds that are not known are kept and shown by what is in them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Node {
    /// Such as `paragraph`, `text`, `hardBreak`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What further describes it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attrs: Map<String, Value>,
    /// What is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<Node>,
    /// Of a node `text`, the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How a text looks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
}

/// How a text looks, or where it leads.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Mark {
    /// Such as `strong`, `link`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What further describes it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attrs: Map<String, Value>,
}

impl Node {
    /// A block of this kind with these nodes in it.
    pub fn block(kind: &str, content: Vec<Node>) -> Self {
        Self {
            kind: kind.to_owned(),
            content,
            ..Self::default()
        }
    }

    /// A text. The service takes no empty one.
    pub fn text(text: &str) -> Self {
        Self {
            kind: "text".to_owned(),
            text: Some(text.to_owned()),
            ..Self::default()
        }
    }

    /// The same, which looks like this or is that: `strong`, `em`, `code`.
    #[must_use]
    pub fn mark(mut self, kind: &str) -> Self {
        self.marks.push(Mark {
            kind: kind.to_owned(),
            attrs: Map::new(),
        });
        self
    }

    /// The same, which leads to a page.
    #[must_use]
    pub fn link(mut self, href: &str) -> Self {
        self.marks.push(Mark {
            kind: "link".to_owned(),
            attrs: Map::from_iter([("href".to_owned(), Value::from(href))]),
        });
        self
    }

    /// A line break.
    pub fn line_break() -> Self {
        Self::block("hardBreak", Vec::new())
    }

    /// One of its attributes that is a text.
    fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.get(name)?.as_str()
    }

    /// Where it leads.
    fn href(&self) -> Option<&str> {
        let link = self.marks.iter().find(|mark| mark.kind == "link")?;
        link.attrs.get("href")?.as_str()
    }

    /// What nodes in a line say, that are no text.
    fn label(&self) -> Option<String> {
        match self.kind.as_str() {
            "mention" => {
                let name = self.attr("text").unwrap_or("someone").trim_start_matches('@');
                Some(format!("@{name}"))
            }
            "emoji" => self.attr("text").or(self.attr("shortName")).map(str::to_owned),
            "status" | "placeholder" => self.attr("text").map(str::to_owned),
            "inlineCard" | "blockCard" | "embedCard" => self.attr("url").map(str::to_owned),
            "media" | "mediaInline" => {
                let name = self.attr("alt").filter(|name| !name.is_empty());
                Some(format!("[{}]", name.unwrap_or("attachment")))
            }
            "date" => self.attr("timestamp").and_then(day),
            _ => None,
        }
    }

    /// Whether it stands in a line.
    fn is_inline(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "text"
                | "hardBreak"
                | "mention"
                | "emoji"
                | "status"
                | "placeholder"
                | "inlineCard"
                | "mediaInline"
                | "date"
        )
    }
}

/// The day of a number of milliseconds since 1970, as 2026-01-31.
fn day(milliseconds: &str) -> Option<String> {
    let days = milliseconds.parse::<i64>().ok()?.div_euclid(86_400_000);
    // Howard Hinnant's algorithm: years that begin in March, in cycles of 400.
    let shifted = days.checked_add(719_468)?;
    let (cycle, day_of_cycle) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_cycle + cycle * 400 + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests;
