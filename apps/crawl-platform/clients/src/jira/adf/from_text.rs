//! From text.

use super::Node;

/// Paragraphs of the text's lines.
pub(super) fn blocks(text: &str) -> Vec<Node> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut blocks = Vec::new();
    let mut paragraph: Vec<Node> = Vec::new();
    for line in text.split('\n') {
        let line: String = line.chars().filter(|c| *c == '\t' || !c.is_control()).collect();
        let line = line.trim_end();
        if line.is_empty() {
            if !paragraph.is_empty() {
                blocks.push(Node::block("paragraph", std::mem::take(&mut paragraph)));
            }
            continue;
        }
        if !paragraph.is_empty() {
            paragraph.push(Node::line_break());
        }
        inline(line, &mut paragraph);
    }
    if !paragraph.is_empty() {
        blocks.push(Node::block("paragraph", paragraph));
    }
    blocks
}

/// A line's texts and links.
fn inline(mut line: &str, into: &mut Vec<Node>) {
    while let Some((start, end)) = url(line) {
        if start > 0 {
            into.push(Node::text(&line[..start]));
        }
        let link = &line[start..end];
        into.push(Node::text(link).link(link));
        line = &line[end..];
    }
    if !line.is_empty() {
        into.push(Node::text(line));
    }
}

/// Where the first web address in a line is. Marks that end a sentence or a bracket after it are not its own.
fn url(line: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let start = ["https://", "http://"]
            .iter()
            .filter_map(|scheme| line[from..].find(scheme))
            .min()?
            + from;
        let rest = &line[start..];
        let end = rest
            .find(|c: char| c.is_whitespace() || "<>\"".contains(c))
            .unwrap_or(rest.len());
        let found = rest[..end].trim_end_matches(|c: char| ".,;:!?')]}".contains(c));
        let scheme = if found.starts_with("https://") { 8 } else { 7 };
        if found.len() > scheme {
            return Some((start, start + found.len()));
        }
        // A scheme and nothing more.
        from = start + 4;
    }
}
