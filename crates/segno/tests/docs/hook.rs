//! What stands for `https://example.com/hook`: a receiver that answers with the status in the session's file
//! `hook.status` (204, if there is none) and writes a line for each request to `hook.log`.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
};
use tokio::net::TcpListener;

/// Starts it and returns its port; it ends with the test's runtime.
pub(crate) async fn start(folder: &Path) -> u16 {
    let folder = Arc::new(folder.to_owned());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let router = Router::new().fallback(answer).with_state(folder);
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

async fn answer(State(folder): State<Arc<PathBuf>>, request: Request) -> StatusCode {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("hook.log"));
    let line = format!("{} {}\n", request.method(), request.uri());
    log.and_then(|mut log| log.write_all(line.as_bytes()))
        .expect("the log is written");
    std::fs::read_to_string(folder.join("hook.status"))
        .ok()
        .and_then(|status| status.trim().parse::<u16>().ok())
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::NO_CONTENT)
}
