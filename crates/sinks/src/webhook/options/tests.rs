use super::*;

fn parse(toml: &str) -> Result<Options, String> {
    toml::from_str(toml).map_err(|error| error.to_string())
}

#[test]
fn reads_all_options() {
    let options = parse(
        r#"
        url = "https://user:word@example.com/hook/T0KEN?key=T0KEN"
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        secrets = ["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
        headers = { Authorization = "Bearer T0KEN" }
        method = "PUT"
        timeout = "1m 30s"
        allow_private = true
        "#,
    )
    .unwrap();
    assert_eq!(options.method.as_http(), http::Method::PUT);
    assert_eq!(options.timeout, Duration::from_secs(90));
    assert_eq!(options.headers.as_map()["authorization"], "Bearer T0KEN");
    let shown = format!("{options:?} {:?}", options.headers.as_map());
    assert!(
        shown.contains("https://example.com/***") && shown.contains("authorization"),
        "{shown}"
    );
    for hidden in ["T0KEN", "user", "word", "MfKQ"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn has_defaults() {
    let options = parse("url = \"http://example.com\"").unwrap();
    assert_eq!(options.timeout, Duration::from_secs(30));
    assert_eq!(options.method, Method::default());
    assert!(!options.allow_private && options.secret.is_none() && options.secrets.is_empty());
}

#[test]
fn says_what_is_wrong() {
    for (toml, part) in [
        ("url = \"example.com\"", "not a URL"),
        ("url = \"ftp://example.com\"", "http or https"),
        ("url = \"http://a\"\nmethod = \"TRACE\"", "one of POST"),
        ("url = \"http://a\"\ntimeout = \"soon\"", "30s"),
        ("url = \"http://a\"\ntimeout = \"0s\"", "longer than nothing"),
        ("url = \"http://a\"\nheaders = { Host = \"b\" }", "set by Segno"),
        (
            "url = \"http://a\"\nheaders = { Webhook-Id = \"b\" }",
            "set by Segno",
        ),
        (
            "url = \"http://a\"\nheaders = { \"a b\" = \"b\" }",
            "not a header name",
        ),
        ("url = \"http://a\"\nheaders = { a = \"b\\n\" }", "cannot hold"),
        (
            "url = \"http://a\"\nheaders = { a = \"b\", A = \"c\" }",
            "given twice",
        ),
        ("url = \"http://a\"\nsecrets = [\"s\"]", "whsec_"),
        ("url = \"http://a\"\nurls = []", "unknown field"),
        ("", "missing field `url`"),
    ] {
        let error = parse(toml).unwrap_err();
        assert!(error.contains(part), "{toml}: {error}");
    }
}
