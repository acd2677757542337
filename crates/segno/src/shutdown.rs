//! Being told something by signals: to stop, or to take the configuration on again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Error;

/// The signals that a process listens to.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// Which one came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGINT: somebody at a terminal waits for the prompt.
    Interrupt,
    /// SIGTERM: a supervisor, with load balancers that have yet to notice.
    Terminate,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// To stop.
    Stop(Stop),
    /// SIGHUP: to take the configuration on again.
    Reload,
}

impl Signals {
    /// From now on the signals do not end the process by themselves.
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(Error::Signals)?,
            terminate: signal(SignalKind::terminate()).map_err(Error::Signals)?,
            hangup: signal(SignalKind::hangup()).map_err(Error::Signals)?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop(Stop::Interrupt),
            _ = self.terminate.recv() => Told::Stop(Stop::Terminate),
            _ = self.hangup.recv() => Told::Reload,
        }
    }

    /// The next one that asks to stop.
    pub(crate) async fn stop(&mut self) -> Stop {
        loop {
            if let Told::Stop(stop) = self.next().await {
                return stop;
            }
        }
    }
}
