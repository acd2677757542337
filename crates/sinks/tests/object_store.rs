//! The object store sink on a real folder, against emulators of S3 and of Azure Blob Storage, and against a stand-in for Google Cloud
//! Storage: no emulator of that has the protocol by which its objects are written here.
#![cfg(feature = "object-store")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test has no better use for an error"
)]

use std::{collections::BTreeMap, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use segno_sinks::{Delivered, Delivery, Failure, Sinks};
use segno_test_support::{
    Answer, CloudStorage, Cut, Receiver,
    servers::{Azurite, Ministack},
};
use serde_json::{Value, json};
use sha2::Sha256;

const KEY: &str = "archive/shop/1/store/0";

fn sinks(options: &str, base: &Path) -> Sinks {
    let options = toml::from_str(&format!("[store.object-store]\n{options}")).unwrap();
    Sinks::new(options, base).unwrap()
}

async fn deliver(sinks: &Sinks, payload: &Value) -> Result<Delivered, Failure> {
    sinks.deliver("store", Delivery::new(KEY, payload)).await
}

fn permanent(outcome: Result<Delivered, Failure>) -> String {
    match outcome {
        Err(Failure::Permanent { reason, .. }) => reason,
        other => panic!("not permanent: {other:?}"),
    }
}

fn retryable(outcome: Result<Delivered, Failure>) -> String {
    match outcome {
        Err(Failure::Retryable { reason, .. }) => reason,
        other => panic!("not retryable: {other:?}"),
    }
}

/// All files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_folder_has_a_file_for_each_object_and_a_repetition_is_the_same() {
    let base = tempfile::tempdir().unwrap();
    let by_key = sinks("url = \"a/b\"", base.path());
    deliver(&by_key, &json!({ "id": 7 })).await.unwrap();
    deliver(&by_key, &json!({ "id": 7 })).await.unwrap();
    let there = files(&base.path().join("a/b"));
    assert_eq!(there.values().collect::<Vec<_>>(), ["{\"id\":7}"]);
    assert!(there.keys().next().unwrap().ends_with(".json"));

    let url = format!("file://{}", base.path().join("c").display());
    let options =
        format!("url = \"{url}\"\nkey = \"orders/{{{{ payload.id }}}}.txt\"\ntext = \"/report/text\"");
    let sinks = sinks(&options, Path::new("/nowhere"));
    deliver(&sinks, &json!({ "id": 7, "report": { "text": "all fine\n" } }))
        .await
        .unwrap();
    let expected = BTreeMap::from([("orders/7.txt".to_owned(), "all fine\n".to_owned())]);
    assert_eq!(files(&base.path().join("c")), expected);
}

#[tokio::test]
async fn what_is_created_is_not_written_over() {
    let base = tempfile::tempdir().unwrap();
    let sinks = sinks(
        "url = \"a\"\nkey = \"{{ payload.id }}\"\ncreate = true\nbase64 = \"bytes\"",
        base.path(),
    );
    let first = json!({ "id": "x", "bytes": "Zmly\nc3Q=" });
    deliver(&sinks, &first).await.unwrap();
    // It was there and its answer was lost.
    deliver(&sinks, &first).await.unwrap();
    let reason = permanent(deliver(&sinks, &json!({ "id": "x", "bytes": "c2Vjb25k" })).await);
    assert_eq!(reason, "another object is there under this key");
    assert_eq!(files(&base.path().join("a"))["x"], "first");
}

#[tokio::test]
async fn keys_and_payloads_that_cannot_be_are_permanent_failures() {
    let base = tempfile::tempdir().unwrap();
    let by_id = sinks(
        "url = \"a\"\nkey = \"{{ payload.id }}\"\nbase64 = \"bytes\"",
        base.path(),
    );
    for id in ["../x", "a//b", "a/./b", "a/", "", "/", "..", &"x".repeat(256)] {
        let reason = permanent(deliver(&by_id, &json!({ "id": id, "bytes": "" })).await);
        assert!(reason.contains("key"), "{id:?}: {reason}");
    }
    for payload in [
        json!({ "id": "x" }),
        json!({ "id": "x", "bytes": 7 }),
        json!({ "id": "x", "bytes": "?" }),
        json!({}),
    ] {
        permanent(deliver(&by_id, &payload).await);
    }
    assert!(!base.path().join("a").exists());
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_tried_again_later() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("a"), "in the way").unwrap();
    let sinks = sinks("url = \"a/b\"", base.path());
    retryable(deliver(&sinks, &json!(1)).await);
    fs::remove_file(base.path().join("a")).unwrap();
    deliver(&sinks, &json!(1)).await.unwrap();
    assert_eq!(files(&base.path().join("a/b")).len(), 1);
}

fn s3(endpoint: &str, more: &str) -> Sinks {
    let options = format!(
        r#"
        url = "s3://events/out"
        key = "{{{{ payload.id }}}}.json"
        settings = {{ endpoint = "{endpoint}", allow_http = "true", region = "us-east-1", access_key_id = "T0KEN", secret_access_key = "T0KEN" }}
        {more}
        "#
    );
    sinks(&options, Path::new("/nowhere"))
}

async fn get(url: String) -> (u16, Option<String>, String) {
    let answer = reqwest::get(url).await.unwrap();
    let content_type = answer
        .headers()
        .get("content-type")
        .map(|value| value.to_str().unwrap().to_owned());
    (
        answer.status().as_u16(),
        content_type,
        answer.text().await.unwrap(),
    )
}

#[tokio::test]
async fn s3_takes_objects_and_they_are_there_once_it_is_back() {
    let mut server = Ministack::start().await;
    let sinks = s3(&server.url(), "");
    // No bucket: somebody has to make it.
    let reason = retryable(deliver(&sinks, &json!({ "id": 1 })).await);
    assert!(
        reason.contains("there is no such bucket") && reason.contains("NoSuchBucket"),
        "{reason}"
    );
    server.kill();
    let reason = retryable(deliver(&sinks, &json!({ "id": 1 })).await);
    assert!(reason.starts_with("the object cannot be written: "), "{reason}");
    assert!(!reason.contains("http") && !reason.contains("T0KEN"), "{reason}");
    server.start_again().await;
    let bucket = format!("{}/events", server.url());
    assert!(
        reqwest::Client::new()
            .put(&bucket)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    for _ in 0..2 {
        deliver(&sinks, &json!({ "id": 1, "x": "é" })).await.unwrap();
    }
    let there = get(format!("{bucket}/out/1.json")).await;
    assert_eq!(
        there,
        (
            200,
            Some("application/json".to_owned()),
            "{\"id\":1,\"x\":\"é\"}".to_owned()
        )
    );

    let create = s3(&server.url(), "create = true\ncontent_type = \"text/json\"");
    deliver(&create, &json!({ "id": 1, "x": "é" })).await.unwrap();
    let reason = permanent(deliver(&create, &json!({ "id": 1, "x": "e" })).await);
    assert_eq!(reason, "another object is there under this key");
    deliver(&create, &json!({ "id": 2 })).await.unwrap();
    assert_eq!(
        get(format!("{bucket}/out/2.json")).await.1.as_deref(),
        Some("text/json")
    );
}

#[tokio::test]
async fn over_a_cut_network_an_object_is_there_once() {
    let server = Ministack::start().await;
    let bucket = format!("{}/events", server.url());
    reqwest::Client::new().put(&bucket).send().await.unwrap();
    let cut = Cut::to(server.port()).await;
    let sinks = s3(&format!("http://127.0.0.1:{}", cut.port()), "create = true");
    for (id, answers) in [(1, true), (2, false)] {
        let payload = json!({ "id": id });
        // The object is there and nobody hears of it; or it is not.
        if answers {
            cut.cut_answers();
        } else {
            cut.cut();
        }
        retryable(deliver(&sinks, &payload).await);
        cut.mend();
        deliver(&sinks, &payload).await.unwrap();
        let there = get(format!("{bucket}/out/{id}.json")).await;
        assert_eq!((there.0, there.2), (200, payload.to_string()));
    }
}

/// A request to azurite with its account's key.
/// <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>
async fn azure(server: &Azurite, method: reqwest::Method, path: &str, query: &str) -> reqwest::Response {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let (account, version) = (Azurite::ACCOUNT, "2021-12-02");
    let resource = match query.split_once('=') {
        Some((name, value)) => format!("\n{name}:{value}"),
        None => String::new(),
    };
    // Eleven headers that may be signed and are not there, then those of Azure, then what is asked for.
    let text = format!(
        "{method}\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{version}\n/{account}/{account}{path}{resource}"
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(Azurite::KEY).unwrap()).unwrap();
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let request = reqwest::Client::new()
        .request(method, format!("{}{path}?{query}", server.url()))
        .header("x-ms-date", date)
        .header("x-ms-version", version)
        .header("content-length", 0)
        .header("authorization", format!("SharedKey {account}:{signature}"));
    request.send().await.unwrap()
}

#[tokio::test]
async fn azure_takes_objects_and_they_are_there_once_it_is_back() {
    let mut server = Azurite::start().await;
    let (account, key) = (Azurite::ACCOUNT, Azurite::KEY);
    let make = |url: &str, key: &str, more: &str| {
        let options = format!(
            r#"
            url = "az://events/out"
            key = "{{{{ payload.id }}}}.json"
            settings = {{ endpoint = "{url}", allow_http = "true", account_name = "{account}", account_key = "{key}" }}
            {more}
            "#
        );
        sinks(&options, Path::new("/nowhere"))
    };
    let sinks = make(&server.url(), key, "");
    // No container: somebody has to make it.
    let reason = retryable(deliver(&sinks, &json!({ "id": 1 })).await);
    assert!(
        reason.contains("there is no such bucket") && reason.contains("ContainerNotFound"),
        "{reason}"
    );
    server.kill();
    let reason = retryable(deliver(&sinks, &json!({ "id": 1 })).await);
    assert!(!reason.contains("http") && !reason.contains(key), "{reason}");
    server.start_again().await;
    let made = azure(&server, reqwest::Method::PUT, "/events", "restype=container").await;
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    for _ in 0..2 {
        deliver(&sinks, &json!({ "id": 1, "x": "é" })).await.unwrap();
    }
    let there = azure(&server, reqwest::Method::GET, "/events/out/1.json", "").await;
    assert_eq!(there.headers()["content-type"], "application/json");
    assert_eq!(there.text().await.unwrap(), "{\"id\":1,\"x\":\"é\"}");

    let create = make(&server.url(), key, "create = true");
    deliver(&create, &json!({ "id": 1, "x": "é" })).await.unwrap();
    let reason = permanent(deliver(&create, &json!({ "id": 1, "x": "e" })).await);
    assert_eq!(reason, "another object is there under this key");

    // A key that is not the account's, and a network that is cut before the answer.
    let strange = make(&server.url(), &STANDARD.encode("T0KEN"), "");
    let reason = retryable(deliver(&strange, &json!({ "id": 2 })).await);
    assert!(reason.starts_with("the object store does not"), "{reason}");
    let cut = Cut::to(server.port()).await;
    let url = format!("http://127.0.0.1:{}/{account}", cut.port());
    let sinks = make(&url, key, "create = true");
    cut.cut_answers();
    retryable(deliver(&sinks, &json!({ "id": 3 })).await);
    cut.mend();
    deliver(&sinks, &json!({ "id": 3 })).await.unwrap();
    let there = azure(&server, reqwest::Method::GET, "/events/out/3.json", "").await;
    assert_eq!(there.text().await.unwrap(), "{\"id\":3}");
}

#[tokio::test]
async fn google_takes_objects_and_they_are_there_once_it_can_be_reached() {
    let server = CloudStorage::start().await;
    let base = tempfile::tempdir().unwrap();
    segno_test_support::write_file(base.path(), "account.json", &server.account().to_string());
    let strange = CloudStorage::strange_account().to_string();
    segno_test_support::write_file(base.path(), "strange.json", &strange);
    let make = |url: &str, account: &str, more: &str| {
        let options = format!(
            r#"
            url = "gs://events/out"
            key = "{{{{ payload.id }}}}.json"
            settings = {{ service_account = "{}", base_url = "{url}", allow_http = "true" }}
            {more}
            "#,
            base.path().join(account).display()
        );
        sinks(&options, Path::new("/nowhere"))
    };
    let sinks = make(&server.url(), "account.json", "");
    // No bucket: somebody has to make it.
    let reason = retryable(deliver(&sinks, &json!({ "id": 1 })).await);
    assert!(
        reason.contains("there is no such bucket") && reason.contains("NoSuchBucket"),
        "{reason}"
    );
    server.create_bucket("events");
    for _ in 0..2 {
        deliver(&sinks, &json!({ "id": 1, "x": "é" })).await.unwrap();
    }
    let there = server.object("events", "out/1.json").unwrap();
    assert_eq!(there.content_type, "application/json");
    assert_eq!(there.body, "{\"id\":1,\"x\":\"é\"}");

    let create = make(
        &server.url(),
        "account.json",
        "create = true\ncontent_type = \"text/json\"",
    );
    deliver(&create, &json!({ "id": 1, "x": "é" })).await.unwrap();
    let reason = permanent(deliver(&create, &json!({ "id": 1, "x": "e" })).await);
    assert_eq!(reason, "another object is there under this key");
    let generation = |id: u8| {
        let object = server.object("events", &format!("out/{id}.json"));
        object.map(|object| object.generation)
    };
    assert_eq!(generation(1), Some(there.generation), "written by neither");

    // An account that is not known, and one that may not write.
    let strange = make(&server.url(), "strange.json", "");
    let reason = retryable(deliver(&strange, &json!({ "id": 2 })).await);
    assert_eq!(
        reason,
        "the object store does not know these credentials: 401 Unauthorized, AuthenticationRequired"
    );
    server.forbid(true);
    let reason = retryable(deliver(&create, &json!({ "id": 2 })).await);
    assert_eq!(
        reason,
        "the object store does not allow it: 403 Forbidden, AccessDenied"
    );
    server.forbid(false);
    assert_eq!(generation(2), None);

    let cut = Cut::to(server.port()).await;
    let sinks = make(
        &format!("http://127.0.0.1:{}", cut.port()),
        "account.json",
        "create = true",
    );
    for (id, answers) in [(2, true), (3, false)] {
        // The object is there and nobody hears of it; or it is not.
        if answers {
            cut.cut_answers();
        } else {
            cut.cut();
        }
        retryable(deliver(&sinks, &json!({ "id": id })).await);
        let first = generation(id);
        assert_eq!(first.is_some(), answers);
        cut.mend();
        deliver(&sinks, &json!({ "id": id })).await.unwrap();
        assert_eq!(generation(id), first.or(generation(id)), "once");
        let there = server.object("events", &format!("out/{id}.json")).unwrap();
        assert_eq!(there.content_type, "application/json");
        assert_eq!(there.body, json!({ "id": id }).to_string());
    }
}

#[tokio::test]
async fn what_a_store_answers_is_told_by_its_name() {
    let refusal = "<Error><Code>AccessDenied</Code><Message>T0KEN</Message></Error>";
    let receiver = Receiver::sequence([
        Answer::status(403).body(refusal),
        Answer::status(503).body("<Error><Code>SlowDown</Code></Error>"),
        Answer::status(500),
    ])
    .await;
    let sinks = s3(receiver.url("").trim_end_matches('/'), "");
    let reason = retryable(deliver(&sinks, &json!({ "id": 1 })).await);
    assert_eq!(
        reason,
        "the object store does not allow it: 403 Forbidden, AccessDenied"
    );
    let reason = retryable(deliver(&sinks, &json!({ "id": 1 })).await);
    assert_eq!(
        reason,
        "the object cannot be written: 503 Service Unavailable, SlowDown"
    );
    retryable(deliver(&sinks, &json!({ "id": 1 })).await);
    // Each attempt is one request.
    assert_eq!(receiver.requests().len(), 3);
    let long = permanent(deliver(&sinks, &json!({ "id": "x".repeat(1_020) })).await);
    assert!(long.contains("longer than 1024 bytes"), "{long}");
}

#[test]
fn options_that_cannot_work_are_refused() {
    for (options, says) in [
        ("url = \"ftp://x/y\"", "names no object store"),
        ("url = \"\"", "names no object store"),
        ("url = \"s3://me:T0KEN@bucket\"", "no place in this URL"),
        (
            "url = \"s3://bucket\"\ntext = \"a\"\nbase64 = \"b\"",
            "not of both",
        ),
        (
            "url = \"s3://bucket\"\nsettings = { colour = \"red\" }",
            "no setting \"colour\"",
        ),
        ("url = \"a\"\nsettings = { region = \"x\" }", "a folder has none"),
        ("url = \"a\"\ncontent_type = \"x\"", "have no `content_type`"),
        ("url = \"a\"\nkey = \"{{\"", "does not compile"),
        ("uri = \"a\"", "unknown field `uri`"),
    ] {
        let error = match toml::from_str(&format!("[store.object-store]\n{options}")) {
            Err(error) => error.message().to_owned(),
            Ok(options) => Sinks::new(options, Path::new("/nowhere"))
                .unwrap_err()
                .to_string(),
        };
        assert!(
            error.contains(says) && !error.contains("T0KEN"),
            "{options}: {error}"
        );
    }
    for url in ["gs://bucket/a", "az://container/a", "s3://bucket"] {
        let options = format!("[store.object-store]\nurl = \"{url}\"\nsettings = {{ account_name = \"a\" }}");
        let options = if url.starts_with("az") {
            options
        } else {
            options.replace("settings", "#")
        };
        Sinks::new(toml::from_str(&options).unwrap(), Path::new("/nowhere")).unwrap();
    }
}
