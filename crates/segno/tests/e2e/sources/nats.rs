//! NATS JetStream.

use async_nats::jetstream::{self, Context, stream};
use segno_test_support::servers::Nats;

use super::{body, check, config, until_written};
use crate::support::{Launch, TestEngine};

on_every_engine!(a_stream_while_segno_and_the_server_are_killed);

async fn connect(server: &Nats) -> Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

async fn publish(context: &Context, numbers: std::ops::Range<usize>) {
    for n in numbers {
        context
            .publish("events", body(n).into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
}

async fn a_stream_while_segno_and_the_server_are_killed(engine: TestEngine) {
    let mut server = Nats::start().await;
    let context = connect(&server).await;
    let stream = stream::Config {
        name: "events".to_owned(),
        ..stream::Config::default()
    };
    let source = format!(
        "nats = {{ url = {:?}, stream = \"events\", batch = 5, ack_wait = \"2s\" }}",
        server.url()
    );
    // The broker may come after Segno: the source waits for its stream, and Segno is ready without it.
    let mut launch = Launch::up(&engine, &config(&source));
    let program = launch.start().await;
    context.create_stream(stream).await.unwrap();
    publish(&context, 0..30).await;
    until_written(&engine, 5).await;
    program.kill().await;
    publish(&context, 30..40).await;
    let program = launch.start().await;
    until_written(&engine, 20).await;
    server.kill();
    server.start_again().await;
    publish(&connect(&server).await, 40..50).await;
    check(&until_written(&engine, 50).await, 50);
    drop(program);
}
