//! Whether a body is a document in Atlassian's format. As strict as the service is about what is missing; more lenient about
//! what is in what.

use serde_json::Value;

const BLOCKS: [&str; 19] = [
    "paragraph",
    "heading",
    "bulletList",
    "orderedList",
    "listItem",
    "blockquote",
    "codeBlock",
    "panel",
    "rule",
    "table",
    "tableRow",
    "tableHeader",
    "tableCell",
    "mediaSingle",
    "mediaGroup",
    "media",
    "expand",
    "taskList",
    "taskItem",
];
const INLINE: [&str; 8] = [
    "text",
    "hardBreak",
    "mention",
    "emoji",
    "inlineCard",
    "date",
    "status",
    "mediaInline",
];

/// Whether it is one, and says something.
pub(super) fn is_document(body: &Value) -> bool {
    body["type"] == "doc"
        && body["version"] == 1
        && body["content"]
            .as_array()
            .is_some_and(|content| content.iter().all(|node| is_node(node, false)))
}

fn is_node(node: &Value, inline: bool) -> bool {
    let Some(kind) = node["type"].as_str() else {
        return false;
    };
    if inline && !INLINE.contains(&kind) || !inline && !BLOCKS.contains(&kind) {
        return false;
    }
    let text = node["text"].as_str();
    if (kind == "text") != text.is_some_and(|text| !text.is_empty()) {
        return false;
    }
    let marks = node.get("marks").map(Value::as_array);
    let has_types = |marks: &Vec<Value>| marks.iter().all(|mark| mark["type"].is_string());
    if marks.is_some_and(|marks| !marks.is_some_and(has_types)) {
        return false;
    }
    // What is in a line is in these.
    let lines = ["paragraph", "heading", "codeBlock", "taskItem"].contains(&kind);
    match node.get("content") {
        None => true,
        Some(Value::Array(content)) => content.iter().all(|node| is_node(node, lines)),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_documents_only() {
        let doc = |content: Value| json!({ "type": "doc", "version": 1, "content": content });
        let paragraph = |content: Value| doc(json!([{ "type": "paragraph", "content": content }]));
        assert!(is_document(&doc(json!([]))));
        assert!(is_document(&paragraph(
            json!([{ "type": "text", "text": "a" }, { "type": "hardBreak" }])
        )));
        for wrong in [
            json!("a"),
            json!({ "type": "doc", "content": [] }),
            doc(json!("a")),
            doc(json!([{ "type": "text", "text": "not in a block" }])),
            paragraph(json!([{ "type": "text", "text": "" }])),
            paragraph(json!([{ "type": "text" }])),
            paragraph(json!([{ "type": "paragraph" }])),
            paragraph(json!([{ "type": "text", "text": "a", "marks": ["strong"] }])),
            doc(json!([{ "type": "unheardOf" }])),
        ] {
            assert!(!is_document(&wrong), "{wrong}");
        }
    }
}
