//! The file sink: JSON lines appended to a file, for trying things out and for tests.
//!
//! Each delivery is one line `{"key": …, "sink": …, "payload": …}`, written by one write to the end of the
//! file and on disk before it counts as delivered. A delivery that is repeated after a crash may be there
//! twice: the key tells. Several processes may append to one file (they take turns by a lock on it), and it
//! may be moved away at any time: the next delivery makes a new one.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::{Delivered, Delivery, Failure, Sink};

mod writer;

use writer::Writer;

/// Most lines that share one sync.
const BATCH: usize = 1_000;

/// Options of a file sink.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The file; made with its folders when it is not there.
    pub path: PathBuf,
}

/// The sink these options describe; a relative path is taken from `base`.
pub(crate) fn build(options: Options, name: &str, base: &Path) -> std::io::Result<Arc<dyn Sink>> {
    let path = base.join(options.path);
    Ok(Arc::new(File::new(name, Options { path })?))
}

/// One line to write and who waits for it.
struct Job {
    line: Vec<u8>,
    done: oneshot::Sender<Result<(), String>>,
}

/// A file sink. Lines that come side by side share one sync.
#[derive(Debug)]
pub struct File {
    name: String,
    jobs: mpsc::Sender<Job>,
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    sink: &'a str,
    payload: &'a Value,
}

impl File {
    /// The sink these options describe, with the name that its lines carry. It opens the file when the
    /// first line comes, on a thread of its own that ends with the sink.
    ///
    /// # Errors
    ///
    /// When the machine gives no thread.
    pub fn new(name: &str, options: Options) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let writer = Writer::new(options.path);
        thread::Builder::new()
            .name("segno-file-sink".to_owned())
            .spawn(move || serve(&queue, &writer))?;
        Ok(Self {
            name: name.to_owned(),
            jobs,
        })
    }
}

fn serve(queue: &mpsc::Receiver<Job>, writer: &Writer) {
    while let Ok(first) = queue.recv() {
        let mut batch = vec![first];
        batch.extend(queue.try_iter().take(BATCH - 1));
        let result = writer.append(batch.iter().map(|job| job.line.as_slice()));
        let result = result.map_err(|error| format!("the file cannot be written: {error}"));
        for job in batch {
            // Who no longer waits will deliver again.
            let _ = job.done.send(result.clone());
        }
    }
}

#[async_trait]
impl Sink for File {
    async fn deliver(&self, delivery: Delivery<'_>) -> Result<Delivered, Failure> {
        let mut line = serde_json::to_vec(&Line {
            key: delivery.key,
            sink: &self.name,
            payload: delivery.payload,
        })
        .map_err(|error| Failure::permanent(format!("the payload cannot be written as JSON: {error}")))?;
        line.push(b'\n');
        let (done, wait) = oneshot::channel();
        let gone = || Failure::retryable("the file's writer has ended");
        self.jobs.send(Job { line, done }).map_err(|_| gone())?;
        wait.await.map_err(|_| gone())?.map_err(Failure::retryable)?;
        Ok(Delivered { status: None })
    }
}
