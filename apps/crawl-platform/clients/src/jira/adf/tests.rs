use proptest::prelude::*;
use serde_json::json;

use super::*;

fn document(content: Value) -> Document {
    serde_json::from_value(json!({ "version": 1, "type": "doc", "content": content })).unwrap()
}

#[test]
fn text_becomes_paragraphs_breaks_and_links() {
    let made =
        Document::from_text("\r\n\nHello  \nsee (https://example.com/a?b=c), http:// and\u{7}\n\n\n  Bye\n");
    let link = json!([{ "type": "link", "attrs": { "href": "https://example.com/a?b=c" } }]);
    assert_eq!(
        serde_json::to_value(made).unwrap(),
        json!({ "version": 1, "type": "doc", "content": [
            { "type": "paragraph", "content": [
                { "type": "text", "text": "Hello" },
                { "type": "hardBreak" },
                { "type": "text", "text": "see (" },
                { "type": "text", "text": "https://example.com/a?b=c", "marks": link },
                { "type": "text", "text": "), http:// and" },
            ]},
            { "type": "paragraph", "content": [{ "type": "text", "text": "  Bye" }] },
        ]})
    );
    assert_eq!(Document::from_text(" \n\t\n"), Document::new(Vec::new()));
}

#[test]
fn what_people_write_is_shown() {
    let document = document(json!([
        { "type": "heading", "attrs": { "level": 2 }, "content": [{ "type": "text", "text": "Run <1>" }] },
        { "type": "paragraph", "content": [
            { "type": "mention", "attrs": { "id": "1", "text": "@Ann" } },
            { "type": "text", "text": " see " },
            { "type": "text", "text": "here", "marks": [
                { "type": "strong" }, { "type": "link", "attrs": { "href": "https://example.com/?a&b" } } ] },
            { "type": "text", "text": "x", "marks": [{ "type": "link", "attrs": { "href": "javascript:alert(1)" } }] },
            { "type": "emoji", "attrs": { "shortName": ":ok:", "text": "👌" } },
            { "type": "date", "attrs": { "timestamp": "1582152559000" } },
        ]},
        { "type": "bulletList", "content": [
            { "type": "listItem", "content": [
                { "type": "paragraph", "content": [{ "type": "text", "text": "one" }] },
                { "type": "orderedList", "attrs": { "order": 3 }, "content": [
                    { "type": "listItem", "content": [
                        { "type": "paragraph", "content": [{ "type": "text", "text": "deep" }] } ] } ] },
            ]},
            { "type": "listItem", "content": [
                { "type": "paragraph", "content": [
                    { "type": "text", "text": "two" }, { "type": "hardBreak" }, { "type": "text", "text": "lines" } ] } ] },
        ]},
        { "type": "blockquote", "content": [
            { "type": "paragraph", "content": [{ "type": "text", "text": "said" }] } ] },
        { "type": "codeBlock", "content": [{ "type": "text", "text": "a < b" }] },
        { "type": "table", "content": [
            { "type": "tableRow", "content": [
                { "type": "tableHeader", "content": [
                    { "type": "paragraph", "content": [{ "type": "text", "text": "A" }] } ] },
                { "type": "tableCell", "content": [
                    { "type": "paragraph", "content": [{ "type": "text", "text": "B" }] } ] } ] } ] },
        { "type": "mediaSingle", "content": [{ "type": "media", "attrs": { "id": "1", "alt": "shot.png" } }] },
        { "type": "panel", "attrs": { "panelType": "info" }, "content": [
            { "type": "paragraph", "content": [{ "type": "text", "text": "note" }] } ] },
        { "type": "rule" },
    ]));
    assert_eq!(
        document.to_text(),
        "Run <1>\n\n\
        @Ann see here (https://example.com/?a&b)x (javascript:alert(1))👌2020-02-19\n\n\
        - one\n  3. deep\n- two\n  lines\n\n\
        > said\n\n\
        a < b\n\n\
        A | B\n\n\
        [shot.png]\n\n\
        note\n\n\
        ---"
    );
    assert_eq!(
        document.to_html(),
        "<h2>Run &lt;1&gt;</h2>\n\
        <p>@Ann see <a href=\"https://example.com/?a&amp;b\"><strong>here</strong></a>x👌2020-02-19</p>\n\
        <ul><li><p>one</p>\n<ol><li><p>deep</p>\n</li>\n</ol>\n</li>\n<li><p>two<br>lines</p>\n</li>\n</ul>\n\
        <blockquote><p>said</p>\n</blockquote>\n\
        <pre><code>a &lt; b</code></pre>\n\
        <table><tr><th><p>A</p>\n</th>\n<td><p>B</p>\n</td>\n</tr>\n</table>\n\
        <p>[shot.png]</p>\n\
        <p>note</p>\n\
        <hr>\n"
    );
}

#[test]
fn days_are_those_of_the_calendar() {
    for (milliseconds, expected) in [
        ("0", "1970-01-01"),
        ("-1", "1969-12-31"),
        ("951782400000", "2000-02-29"),
        ("4107542400000", "2100-03-01"),
    ] {
        assert_eq!(day(milliseconds).as_deref(), Some(expected));
    }
    assert_eq!(day("soon"), None);
    assert_eq!(day("9223372036854775807").map(|day| day.len() > 10), Some(true));
}

/// Any node that JSON can describe, known or not.
fn node() -> impl Strategy<Value = Node> {
    let kinds = prop::sample::select(vec![
        "paragraph",
        "text",
        "hardBreak",
        "bulletList",
        "orderedList",
        "listItem",
        "table",
        "tableRow",
        "tableCell",
        "blockquote",
        "codeBlock",
        "mention",
        "emoji",
        "inlineCard",
        "media",
        "heading",
        "rule",
        "date",
        "unheardOf",
    ]);
    let leaf =
        (kinds, prop::option::of(".{0,8}"), prop::option::of(".{0,8}")).prop_map(|(kind, text, attr)| {
            let mut node = Node {
                kind: kind.to_owned(),
                text,
                ..Node::default()
            };
            if let Some(attr) = attr {
                for name in ["text", "url", "alt", "timestamp"] {
                    node.attrs.insert(name.to_owned(), Value::from(attr.clone()));
                }
                node = node.link(&attr).mark("strong");
            }
            node
        });
    leaf.prop_recursive(4, 40, 5, |inner| {
        (inner.clone(), prop::collection::vec(inner, 0..5)).prop_map(|(mut node, content)| {
            node.content = content;
            node
        })
    })
}

proptest! {
    #[test]
    fn text_comes_back(text in "([a-zA-Z<>&\"'().:/ \t\r\n\u{7}é-]|https://[a-z.?]{0,9}){0,60}") {
        let made = Document::from_text(&text);
        let kept: String = text.replace("\r\n", "\n").replace('\r', "\n")
            .chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
        let mut paragraphs = vec![Vec::new()];
        for line in kept.split('\n').map(str::trim_end) {
            if line.is_empty() {
                paragraphs.push(Vec::new());
            } else if let Some(paragraph) = paragraphs.last_mut() {
                paragraph.push(line);
            }
        }
        let wanted: Vec<_> = paragraphs.iter().filter(|lines| !lines.is_empty())
            .map(|lines| lines.join("\n")).collect();
        prop_assert_eq!(made.to_text(), wanted.join("\n\n"));
    }

    /// What the service refuses is never made.
    #[test]
    fn no_text_is_empty(text in "\\PC{0,40}") {
        fn check(node: &Node) -> bool {
            node.text.as_deref() != Some("") && node.content.iter().all(check)
        }
        let made = Document::from_text(&text);
        prop_assert!(made.content.iter().all(check));
        prop_assert!(made.content.iter().all(|block| !block.content.is_empty()));
    }

    #[test]
    fn documents_are_kept_as_they_are(content in prop::collection::vec(node(), 0..5)) {
        let document = Document::new(content);
        let json = serde_json::to_value(&document).unwrap();
        prop_assert_eq!(serde_json::from_value::<Document>(json).unwrap(), document);
    }

    /// Whatever is in a document: tags are ours alone, and no link runs anything.
    #[test]
    fn html_holds_only_tags_of_ours(content in prop::collection::vec(node(), 0..5)) {
        let html = Document::new(content).to_html();
        for part in html.split('<').skip(1) {
            let tag = part.split('>').next().unwrap();
            let name = tag.trim_start_matches('/').split(' ').next().unwrap();
            let known = ["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "table", "tr", "th",
                "td", "pre", "code", "hr", "br", "a", "strong", "em", "s", "u"];
            prop_assert!(known.contains(&name), "{}", tag);
            if let Some(href) = tag.strip_prefix("a href=\"") {
                let href = href.to_ascii_lowercase();
                prop_assert!(href.starts_with("http://") || href.starts_with("https://") || href.starts_with("mailto:"));
            }
        }
    }
}
