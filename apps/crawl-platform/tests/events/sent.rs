//! The record of what was sent, on every database.

use std::sync::Arc;

use segno_crawl_platform::{
    events::activities::{Claim, SentMails},
    store::Store,
};
use segno_test_support::servers::{MariaDb, Postgres};

async fn one_sends(url: &str) {
    let store = Arc::new(Store::open(url).await.unwrap());
    // Many at once: one of them is to send it.
    let claims = (0..20).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.claim("a@mail.example").await.unwrap() })
    });
    let mut claimed = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        claimed.push(claim.await.unwrap());
    }
    let count = |wanted| claimed.iter().filter(|claim| **claim == wanted).count();
    assert_eq!((count(Claim::Mine), count(Claim::Begun)), (1, 19), "{url}");

    // The server has refused it: the next attempt sends.
    store.release("a@mail.example").await.unwrap();
    assert_eq!(store.claim("a@mail.example").await.unwrap(), Claim::Mine);
    store.sent("a@mail.example").await.unwrap();
    assert_eq!(store.claim("a@mail.example").await.unwrap(), Claim::Sent);
    // What is sent is not taken back, and another mail is another.
    store.release("a@mail.example").await.unwrap();
    assert_eq!(store.claim("a@mail.example").await.unwrap(), Claim::Sent);
    assert_eq!(store.claim("b@mail.example").await.unwrap(), Claim::Mine);
    store.close().await;

    // It is there after a restart.
    let store = Store::open(url).await.unwrap();
    assert_eq!(store.claim("a@mail.example").await.unwrap(), Claim::Sent);
    assert_eq!(store.claim("b@mail.example").await.unwrap(), Claim::Begun);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    one_sends(&format!("sqlite:{}", folder.path().join("platform.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql() {
    one_sends(&Postgres::start().await.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_mariadb() {
    one_sends(&MariaDb::start().await.url()).await;
}
