//! To HTML.

use super::Node;

/// Blocks, each on a line of its own.
pub(super) fn html(nodes: &[Node]) -> String {
    let mut out = String::new();
    for node in nodes {
        block(node, &mut out);
    }
    out
}

fn block(node: &Node, out: &mut String) {
    let tag = match node.kind.as_str() {
        "paragraph" => "p",
        "heading" => match node.attrs.get("level").and_then(serde_json::Value::as_u64) {
            Some(1) => "h1",
            Some(2) => "h2",
            Some(3) => "h3",
            Some(4) => "h4",
            Some(5) => "h5",
            _ => "h6",
        },
        "bulletList" | "taskList" | "decisionList" => "ul",
        "orderedList" => "ol",
        "listItem" | "taskItem" | "decisionItem" => "li",
        "blockquote" => "blockquote",
        "table" => "table",
        "tableRow" => "tr",
        "tableHeader" => "th",
        "tableCell" => "td",
        "codeBlock" => {
            out.push_str("<pre><code>");
            content(node, out);
            out.push_str("</code></pre>\n");
            return;
        }
        "rule" => {
            out.push_str("<hr>\n");
            return;
        }
        _ if node.is_inline() => return inline(node, out),
        _ => match node.label() {
            Some(label) => {
                out.push_str("<p>");
                escape(&label, out);
                out.push_str("</p>\n");
                return;
            }
            // What is not known is shown by what is in it.
            None => return content(node, out),
        },
    };
    out.extend(["<", tag, ">"]);
    content(node, out);
    out.extend(["</", tag, ">\n"]);
}

fn content(node: &Node, out: &mut String) {
    if let Some(text) = &node.text {
        escape(text, out);
    }
    for node in &node.content {
        block(node, out);
    }
}

fn inline(node: &Node, out: &mut String) {
    if node.kind == "hardBreak" {
        out.push_str("<br>");
        return;
    }
    if node.kind == "inlineCard" {
        let url = node.attr("url").unwrap_or_default();
        return linked(url, out, |out| escape(url, out));
    }
    let Some(text) = &node.text else {
        escape(&node.label().unwrap_or_default(), out);
        return;
    };
    let tags: Vec<_> = node.marks.iter().filter_map(|mark| tag(&mark.kind)).collect();
    let marked = |out: &mut String| {
        for tag in &tags {
            out.extend(["<", tag, ">"]);
        }
        escape(text, out);
        for tag in tags.iter().rev() {
            out.extend(["</", tag, ">"]);
        }
    };
    match node.href() {
        Some(href) => linked(href, out, marked),
        None => marked(out),
    }
}

fn tag(mark: &str) -> Option<&'static str> {
    Some(match mark {
        "strong" => "strong",
        "em" => "em",
        "strike" => "s",
        "underline" => "u",
        "code" => "code",
        _ => return None,
    })
}

/// A link, if it leads to a page or a mail address; others may run something where they are followed.
fn linked(href: &str, out: &mut String, text: impl FnOnce(&mut String)) {
    let lower = href.to_ascii_lowercase();
    let safe = ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| lower.starts_with(scheme));
    if !safe {
        return text(out);
    }
    out.push_str("<a href=\"");
    escape(href, out);
    out.push_str("\">");
    text(out);
    out.push_str("</a>");
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
}
