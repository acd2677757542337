//! Secrets of webhooks, as texts and where they are.

use std::fs;

use segno::config::{Code, Config};
use segno_sinks::Kind;

use super::{found, parse};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn hook(more: &str) -> String {
    format!("[sinks.shop.webhook]\nurl = \"https://shop.example.com/hook\"\n{more}\n[timers]\n")
}

#[test]
fn webhooks_read_secrets_and_headers_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        format!("{{ file = {:?} }}", path.display().to_string())
    };
    let secret = file("secret", &format!("{SECRET}\n"));
    let header = file("header", "Bearer T0KEN\n");
    let there = parse(&format!(
        "{}secret = {secret}\n",
        hook(&format!(
            "secret = {secret}\nsecrets = [{secret}, \"{SECRET}\"]\nheaders = {{ Authorization = {header} }}"
        ))
    ))
    .expect("no mistakes");
    let here = parse(&format!(
        "{}secret = \"{SECRET}\"\n",
        hook(&format!(
            "secret = \"{SECRET}\"\nsecrets = [\"{SECRET}\", \"{SECRET}\"]\nheaders = {{ Authorization = \"Bearer T0KEN\" }}"
        ))
    ))
    .expect("no mistakes");
    let options = |config: &Config| match &config.sinks["shop"].kind {
        Kind::Webhook(hook) => (hook.secret.clone(), hook.secrets.clone(), hook.headers.clone()),
        other => panic!("{other:?}"),
    };
    assert!(options(&there) == options(&here));
    assert_eq!(there.timers, here.timers);
    assert!(there.timers.secret.is_some());

    let wrong = file("wrong", "swordfish");
    let mistakes = found(&hook(&format!("secret = {wrong}")));
    assert_eq!(mistakes[0].0, Code::Secret);
    let nowhere = found(&hook("secret = { file = \"/nowhere/secret\" }"));
    assert_eq!((nowhere[0].0, nowhere[0].1), (Code::Value, 3));
    let unset = found(&hook("headers = { X-A = { env = \"SEGNO_TEST_UNSET\" } }"));
    assert_eq!((unset[0].0, unset[0].1), (Code::Value, 3));
    assert_eq!(found(&hook("secret = 5"))[0].0, Code::Type);
    assert_eq!(found(&hook("secrets = \"whsec_\""))[0].0, Code::Type);
}
