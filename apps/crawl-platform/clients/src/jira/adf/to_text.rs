//! To text.

use super::Node;

/// Blocks, with a blank line between them.
pub(super) fn text(nodes: &[Node]) -> String {
    let blocks: Vec<_> = nodes.iter().filter_map(block).collect();
    blocks.join("\n\n")
}

/// A block's text; none for one that says nothing.
fn block(node: &Node) -> Option<String> {
    let text = match node.kind.as_str() {
        "bulletList" => items(node, |_| "- ".to_owned()),
        "orderedList" => {
            let first = node
                .attrs
                .get("order")
                .and_then(serde_json::Value::as_u64)
                .unwrap_or(1);
            items(node, |n| format!("{}. ", first.saturating_add(n)))
        }
        "taskList" | "decisionList" => items(node, |_| "- ".to_owned()),
        "blockquote" => {
            let quoted = text(&node.content);
            let lines: Vec<_> = quoted.split('\n').map(|line| format!("> {line}")).collect();
            lines.join("\n")
        }
        "rule" => "---".to_owned(),
        "table" => lines(&node.content),
        "tableRow" => {
            let cells: Vec<_> = node
                .content
                .iter()
                .map(|cell| text(&cell.content).replace('\n', " "))
                .collect();
            cells.join(" | ")
        }
        _ => match node.label() {
            Some(label) => label,
            None if node.text.is_some() || node.content.iter().any(Node::is_inline) => {
                if node.text.is_some() {
                    inline(node)
                } else {
                    node.content.iter().map(inline).collect()
                }
            }
            None => text(&node.content),
        },
    };
    (!text.is_empty()).then_some(text)
}

fn lines(nodes: &[Node]) -> String {
    let lines: Vec<_> = nodes.iter().filter_map(block).collect();
    lines.join("\n")
}

/// A list's items, the lines after their first indented.
fn items(list: &Node, bullet: impl Fn(u64) -> String) -> String {
    let items: Vec<_> = (0..)
        .zip(&list.content)
        .map(|(n, item)| {
            let bullet = bullet(n);
            let said = if item.content.iter().any(Node::is_inline) {
                item.content.iter().map(inline).collect()
            } else {
                lines(&item.content)
            };
            let indent = format!("\n{}", " ".repeat(bullet.len()));
            format!("{bullet}{}", said.replace('\n', &indent))
        })
        .collect();
    items.join("\n")
}

fn inline(node: &Node) -> String {
    if node.kind == "hardBreak" {
        return "\n".to_owned();
    }
    let Some(text) = &node.text else {
        return node
            .label()
            .unwrap_or_else(|| node.content.iter().map(inline).collect());
    };
    match node.href() {
        Some(href) if href != text => format!("{text} ({href})"),
        _ => text.clone(),
    }
}
