//! Being told to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Error;

/// The signals that stop a process in order.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// Which one came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGINT: somebody at a terminal waits for the prompt.
    Interrupt,
    /// SIGTERM: a supervisor, with load balancers that have yet to notice.
    Terminate,
}

impl Signals {
    /// From now on the signals do not end the process by themselves.
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(Error::Signals)?,
            terminate: signal(SignalKind::terminate()).map_err(Error::Signals)?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }
}
