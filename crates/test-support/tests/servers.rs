//! Each server starts, is there again after it was killed, and leaves no process behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by them")]

use std::ops::DerefMut;

use segno_test_support::{
    Cut,
    servers::{Azurite, Maildev, MariaDb, Ministack, Nats, Postgres, Redis, Server, Soketi},
};
use tokio::net::TcpStream;

async fn comes_back(mut server: impl DerefMut<Target = Server>) {
    let reach = |port| TcpStream::connect(("127.0.0.1", port));
    reach(server.port()).await.unwrap();
    server.kill();
    reach(server.port()).await.unwrap_err();
    server.start_again().await;
    reach(server.port()).await.unwrap();
}

#[tokio::test]
async fn redis() {
    comes_back(Redis::start().await).await;
}

#[tokio::test]
async fn azurite() {
    comes_back(Azurite::start().await).await;
}

#[tokio::test]
async fn maildev() {
    comes_back(Maildev::start().await).await;
}

#[tokio::test]
async fn soketi() {
    comes_back(Soketi::start().await).await;
}

#[tokio::test]
async fn nats() {
    comes_back(Nats::start().await).await;
}

#[tokio::test]
async fn postgres() {
    comes_back(Postgres::start().await).await;
}

#[tokio::test]
async fn mariadb() {
    comes_back(MariaDb::start().await).await;
}

#[tokio::test]
async fn ministack() {
    comes_back(Ministack::start().await).await;
}

#[tokio::test]
async fn a_cut_breaks_connections_until_it_is_mended() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let redis = Redis::start().await;
    let cut = Cut::to(redis.port()).await;
    let ping = async || -> std::io::Result<[u8; 7]> {
        let mut stream = TcpStream::connect(("127.0.0.1", cut.port())).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    assert_eq!(&ping().await.unwrap(), b"+PONG\r\n");
    let mut open = TcpStream::connect(("127.0.0.1", cut.port())).await.unwrap();
    open.write_all(b"PING\r\n").await.unwrap();
    open.read_exact(&mut [0; 7]).await.unwrap();
    cut.cut();
    assert_eq!(open.read(&mut [0; 1]).await.unwrap_or(0), 0);
    ping().await.unwrap_err();
    cut.mend();
    assert_eq!(&ping().await.unwrap(), b"+PONG\r\n");
}

#[tokio::test]
async fn of_a_way_without_answers_only_the_answers_are_lost() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let redis = Redis::start().await;
    let cut = Cut::to(redis.port()).await;
    let mut stream = TcpStream::connect(("127.0.0.1", cut.port())).await.unwrap();
    stream.write_all(b"INCR n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    cut.cut_answers();
    stream.write_all(b"INCR n\r\n").await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    cut.mend();
    let mut stream = TcpStream::connect(("127.0.0.1", cut.port())).await.unwrap();
    stream.write_all(b"GET n\r\n").await.unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"$1\r\n2\r\n", "what was asked for is done");
}
