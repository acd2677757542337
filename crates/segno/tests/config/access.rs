//! `[http]`: who may call.

use super::*;

#[test]
fn tokens_and_certificates_are_read() {
    use segno::{
        access::Role,
        config::{KeySource, TlsFiles, Token},
    };
    let config = parse(
        r#"
        [http]
        tls = { certificate = "server.pem", private_key = "server.key" }
        [[http.tokens]]
        name = "shop"
        env = "SHOP_TOKEN"
        role = "sender"
        [[http.tokens]]
        name = "ann"
        file = "ann.token"
        role = "admin"
        "#,
    )
    .expect("no mistakes");
    let tokens = [
        Token {
            name: "shop".into(),
            source: KeySource::Env("SHOP_TOKEN".into()),
            role: Role::Sender,
        },
        Token {
            name: "ann".into(),
            source: KeySource::File("base/ann.token".into()),
            role: Role::Admin,
        },
    ];
    assert_eq!(config.http.tokens, tokens);
    let files = TlsFiles {
        certificate: "base/server.pem".into(),
        private_key: "base/server.key".into(),
        client_ca: None,
    };
    assert_eq!(config.http.tls, Some(files));
}

#[test]
fn mistakes_in_tokens() {
    let token = |lines: &str| format!("[[http.tokens]]\nname = \"ann\"\n{lines}\n");
    for (lines, code, place) in [
        ("env = \"A\"\nrole = \"opertor\"", Code::Role, "\"opertor\""),
        (
            "env = \"A\"\nfile = \"a\"\nrole = \"viewer\"",
            Code::Value,
            "file",
        ),
        (
            "token = \"swordfish\"\nrole = \"viewer\"",
            Code::UnknownKey,
            "token",
        ),
        ("env = \"\"\nrole = \"viewer\"", Code::Value, "\"\""),
        ("env = \"A\"", Code::Missing, ""),
        ("role = \"viewer\"", Code::Missing, ""),
    ] {
        let found = found(&token(lines));
        assert!(
            found
                .iter()
                .any(|(other, _, text)| *other == code && (text == place || place.is_empty())),
            "{lines}: {found:?}"
        );
    }
    let twice = format!("{0}{0}", token("env = \"A\"\nrole = \"viewer\""));
    assert_eq!(found(&twice)[0].0, Code::DuplicateName);
    let mut shown = Vec::new();
    for mistake in &parse(&token("token = \"swordfish\"\nrole = \"viewer\""))
        .map(drop)
        .expect_err("mistakes")
    {
        segno::cli::output::diagnostic(&mut shown, mistake, false).unwrap();
    }
    assert!(!String::from_utf8(shown).unwrap().contains("swordfish"));
}

#[test]
fn mistakes_in_a_provider() {
    let oidc = |lines: &str| format!("[http.oidc]\nclient_id = \"segno\"\n{lines}\n");
    let issuer = "issuer = \"https://login.example.com\"";
    for (lines, code) in [
        (
            "issuer = \"http://login.example.com\"\ndefault_role = \"viewer\"".to_owned(),
            Code::Oidc,
        ),
        (issuer.to_owned(), Code::Oidc),
        (format!("{issuer}\nroles = {{ admin = \"a\" }}"), Code::Oidc),
        (format!("{issuer}\ndefault_role = \"guest\""), Code::Role),
        ("default_role = \"viewer\"".to_owned(), Code::Missing),
        (
            format!("{issuer}\ndefault_role = \"viewer\"\nrole = 1"),
            Code::UnknownKey,
        ),
    ] {
        assert_eq!(found(&oidc(&lines))[0].0, code, "{lines}");
    }
    let right = parse(&oidc(&format!(
        "{issuer}\ndefault_role = \"viewer\"\nclient_secret = \"hunter2\""
    )));
    let oidc = right.expect("no mistakes").http.oidc.expect("a provider");
    assert!(!format!("{oidc:?}").contains("hunter2"));
    assert_eq!(oidc.audience, "segno");
}
