//! An engine on a gRPC port: `cargo run -p segno-engine --example serve -- 127.0.0.1:7233 engine.db`
#![allow(clippy::print_stdout, reason = "it says where it serves")]

use std::error::Error;

use segno_engine::{Engine, Options};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:7233".to_owned());
    let file = arguments.next().unwrap_or_else(|| "engine.db".to_owned());

    let engine = Engine::open(Options::new(file)).await?;
    let listener = TcpListener::bind(&address).await?;
    println!("serving on {}", listener.local_addr()?);
    segno_engine::serve(&engine.handle(), listener, async {
        // Where no signal can be waited for, the engine serves until it is killed.
        let _ = tokio::signal::ctrl_c().await;
    })
    .await?;
    engine.shutdown().await;
    Ok(())
}
