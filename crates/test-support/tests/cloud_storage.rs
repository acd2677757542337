//! The stand-in for Google Cloud Storage, judged by Google's own client and by the library that the sink uses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test has no better use for an error"
)]

use object_store::{
    Error, MultipartUpload as _, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, RetryConfig,
    gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder},
    path::Path,
};
use segno_test_support::{CloudStorage, write_file};
use tokio::process::Command;

/// The bucket `events` by the library.
fn bucket(server: &CloudStorage, account: &serde_json::Value) -> GoogleCloudStorage {
    // Its HTTP client panics without one; another test may have been quicker, with the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    GoogleCloudStorageBuilder::new()
        .with_bucket_name("events")
        .with_service_account_key(account.to_string())
        .with_config("base_url".parse().unwrap(), server.url())
        .with_config("allow_http".parse().unwrap(), "true")
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .build()
        .unwrap()
}

#[tokio::test]
async fn googles_own_client_takes_it_for_the_service() {
    let server = CloudStorage::start().await;
    server.create_bucket("events");
    let ours = bucket(&server, &server.account());
    let json =
        object_store::Attributes::from_iter([(object_store::Attribute::ContentType, "application/json")]);
    let body = PutPayload::from_static(b"{\"id\":1}");
    let key = Path::parse("from/rust 1.json").unwrap();
    ours.put_opts(&key, body, json.into()).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let big: Vec<u8> = (0..11_u32 << 20).map(|n| (n % 251) as u8).collect();
    let file = folder.path().join("big.bin");
    std::fs::write(&file, &big).unwrap();
    let account = write_file(folder.path(), "account.json", &server.account().to_string());
    let strange = CloudStorage::strange_account().to_string();
    let strange = write_file(folder.path(), "strange.json", &strange);
    let python = std::env::var("SEGNO_GOOGLE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let run = Command::new(python)
        .arg("-c")
        .arg(include_str!("../python/google_storage.py"))
        .arg(server.url())
        .args([account, strange, file])
        .output()
        .await
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(server.open_uploads(), 0);
    assert!(server.object("events", "x").is_none());

    let there = server.object("events", "big/ä.bin").unwrap();
    assert!(there.composed && there.body == big);
    let read = ours.get(&Path::parse("big/ä.bin").unwrap()).await.unwrap();
    assert_eq!(read.meta.version, Some(there.generation.to_string()));
    assert!(read.bytes().await.unwrap() == big);
}

#[tokio::test]
async fn the_library_writes_and_reads_whole_and_in_parts() {
    let server = CloudStorage::start().await;
    let (ours, key) = (bucket(&server, &server.account()), Path::from("a/b"));
    let put = |text: &'static str| PutPayload::from_static(text.as_bytes());
    let error = ours.put(&key, put("1")).await.unwrap_err();
    assert!(
        matches!(error, Error::NotFound { .. }) && error.to_string().contains("NoSuchBucket"),
        "{error}"
    );
    server.create_bucket("events");
    let first = ours.put(&key, put("1")).await.unwrap();
    let error = ours
        .put_opts(&key, put("2"), PutMode::Create.into())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    let second = ours
        .put_opts(&key, put("2"), PutMode::Update(first.clone().into()).into())
        .await
        .unwrap();
    let error = ours
        .put_opts(&key, put("3"), PutMode::Update(first.into()).into())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Precondition { .. }), "{error}");
    let read = ours.get(&key).await.unwrap();
    assert_eq!(
        (&read.meta.e_tag, &read.meta.version),
        (&second.e_tag, &second.version)
    );
    assert_eq!(read.bytes().await.unwrap(), "2");
    assert_eq!(ours.head(&key).await.unwrap().size, 1);

    let mut upload = ours.put_multipart(&key).await.unwrap();
    let part = vec![b'x'; 5 << 20];
    upload.put_part(part.clone().into()).await.unwrap();
    upload.put_part(put("end")).await.unwrap();
    assert_eq!(
        ours.head(&key).await.unwrap().size,
        1,
        "not before it is complete"
    );
    upload.complete().await.unwrap();
    let read = ours.get(&key).await.unwrap().bytes().await.unwrap();
    assert!(read == [&part[..], b"end"].concat());
    let mut given_up = ours.put_multipart(&key).await.unwrap();
    assert_eq!(server.open_uploads(), 1);
    given_up.abort().await.unwrap();
    assert_eq!(server.open_uploads(), 0);

    ours.delete(&key).await.unwrap();
    let error = ours.get(&key).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let strange = bucket(&server, &CloudStorage::strange_account());
    let error = strange.get(&key).await.unwrap_err();
    assert!(matches!(error, Error::Unauthenticated { .. }), "{error}");
    server.forbid(true);
    let error = ours.put(&key, put("4")).await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
}
