//! The URL that a timer calls.

use segno_sinks::webhook::Target;
use url::Url;

/// The URL to call for a timer: its id is the last segment of the path, before query and fragment.
pub(crate) fn with_id(target: &Target, id: &str) -> Url {
    let mut url = target.as_url().clone();
    // Every http URL has a path that can be added to.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(id);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimerId;

    #[test]
    fn the_id_is_the_last_segment() {
        let id = TimerId::from_key(b"a").to_string();
        for (url, called) in [
            ("http://a.example", "http://a.example/ID"),
            ("http://a.example/", "http://a.example/ID"),
            ("https://a.example:8443/hook", "https://a.example:8443/hook/ID"),
            ("http://a.example/hook/", "http://a.example/hook/ID"),
            ("http://a.example/hook//", "http://a.example/hook//ID"),
            (
                "http://a.example/hook?a=b&c=/d/",
                "http://a.example/hook/ID?a=b&c=/d/",
            ),
            ("http://a.example/hook/?a=b", "http://a.example/hook/ID?a=b"),
            ("http://a.example?a=b", "http://a.example/ID?a=b"),
            ("http://a.example/hook#part", "http://a.example/hook/ID#part"),
            ("http://a.example/a%2Fb", "http://a.example/a%2Fb/ID"),
            (
                "http://user:word@a.example/é",
                "http://user:word@a.example/%C3%A9/ID",
            ),
        ] {
            let target: Target = url.parse().unwrap();
            assert_eq!(with_id(&target, &id).as_str(), called.replace("ID", &id), "{url}");
        }
    }
}
