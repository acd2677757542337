//! What a page says: its title, its properties, its links.

use std::collections::BTreeMap;

use html5gum::{Token, Tokenizer};
use serde::Serialize;
use url::Url;

/// What is kept of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Page {
    /// The text of `<title>`.
    pub(super) title: String,
    /// By the name in `itemprop`.
    pub(super) properties: BTreeMap<String, String>,
}

/// Reads a page; links are made whole, without their fragments.
pub(super) fn read(html: &str, base: &Url) -> (Page, Vec<Url>) {
    let (mut page, mut links) = (Page::default(), Vec::new());
    // The element whose text is being gathered: its name, and the property's, if it is one.
    let mut gathering: Option<(Vec<u8>, Option<String>)> = None;
    for token in Tokenizer::new(html) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name: &[u8] = &tag.name;
                let attribute = |wanted: &[u8]| {
                    tag.attributes
                        .iter()
                        .find(|(name, _)| name.as_slice() == wanted)
                        .map(|(_, value)| String::from_utf8_lossy(value.as_slice()).into_owned())
                };
                if name == b"a"
                    && let Some(link) = attribute(b"href")
                    && let Ok(mut link) = base.join(&link)
                {
                    link.set_fragment(None);
                    links.push(link);
                }
                if name == b"title" {
                    gathering = Some((name.to_vec(), None));
                }
                if let Some(property) = attribute(b"itemprop") {
                    match attribute(b"content") {
                        Some(content) => drop(page.properties.insert(property, content)),
                        None => {
                            page.properties.insert(property.clone(), String::new());
                            gathering = Some((name.to_vec(), Some(property)));
                        }
                    }
                }
            }
            Token::String(text) => {
                let text = String::from_utf8_lossy(&text);
                match &gathering {
                    Some((_, None)) => page.title.push_str(&text),
                    Some((_, Some(property))) => {
                        if let Some(value) = page.properties.get_mut(property) {
                            value.push_str(&text);
                        }
                    }
                    None => {}
                }
            }
            Token::EndTag(tag) => {
                let name: &[u8] = &tag.name;
                if gathering.as_ref().is_some_and(|(gathered, _)| gathered == name) {
                    gathering = None;
                }
            }
            _ => {}
        }
    }
    page.title = page.title.trim().to_owned();
    for value in page.properties.values_mut() {
        *value = value.trim().to_owned();
    }
    (page, links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let html = r#"<!doctype html><title> A book </title><a href="/b#top">b</a> <a href='c.html'>c</a>
            <h1 itemprop="name">Tom &amp; Jerry</h1><meta itemprop=price content="12.50"><a href="mailto:x@y.example">m</a>"#;
        let base = "http://shop.example/books/a.html".parse().unwrap();
        let (page, links) = read(html, &base);
        assert_eq!(page.title, "A book");
        assert_eq!(page.properties["name"], "Tom & Jerry");
        assert_eq!(page.properties["price"], "12.50");
        let links: Vec<_> = links.iter().map(Url::as_str).collect();
        assert_eq!(
            links,
            [
                "http://shop.example/b",
                "http://shop.example/books/c.html",
                "mailto:x@y.example"
            ]
        );
    }
}
