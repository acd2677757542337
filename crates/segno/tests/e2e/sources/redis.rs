//! Redis Streams.

use redis::{AsyncCommands, Client};
use segno_test_support::servers::Redis;

use super::{body, check, config, until_written};
use crate::support::{Launch, TestEngine};

on_every_engine!(a_stream_while_segno_and_the_server_are_killed);

async fn add(server: &Redis, numbers: std::ops::Range<usize>) {
    let client = Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for n in numbers {
        let _: String = connection
            .xadd("events", "*", &[("payload", body(n))])
            .await
            .unwrap();
    }
}

async fn a_stream_while_segno_and_the_server_are_killed(engine: TestEngine) {
    let mut server = Redis::start().await;
    let source = format!(
        "redis = {{ url = {:?}, stream = \"events\", batch = 5, trim = true }}",
        server.url()
    );
    let mut launch = Launch::up(&engine, &config(&source));
    let program = launch.start().await;
    add(&server, 0..30).await;
    until_written(&engine, 5).await;
    program.kill().await;
    add(&server, 30..40).await;
    let program = launch.start().await;
    until_written(&engine, 20).await;
    server.kill();
    server.start_again().await;
    add(&server, 40..50).await;
    check(&until_written(&engine, 50).await, 50);
    drop(program);
}
