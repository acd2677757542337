//! A circuit breaker: after some failures in a row the target is left alone for a while.

use std::{
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de};
use tokio::time::Instant;

use crate::{Delivered, Failure};

/// When to leave the target alone, and for how long.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// After how many retryable failures in a row. What fails for good does so by its payload and says nothing of the target.
    pub failures: NonZeroU32,
    /// For how long. Then one attempt is let through, and what becomes of it decides. An attempt that is refused meanwhile counts
    /// as one of its action's attempts, and the next comes after the rest of the pause.
    #[serde(deserialize_with = "pause")]
    pub pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            failures: const { NonZeroU32::new(10).unwrap() },
            pause: Duration::from_secs(30),
        }
    }
}

fn pause<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    super::duration(deserializer)?.ok_or_else(|| de::Error::custom("a duration is missing"))
}

/// ```text
///            `failures` in a row              the pause is over
///   closed ──────────────────────▶ open ──────────────────────▶ trying: one attempt
///     ▲                             ▲                               │       │
///     │                             └───────────────────────────────┘       │
///     │                                       it fails                      │
///     └─────────────────────────────────────────────────────────────────────┘
///                                          anything else
/// ```
#[derive(Debug)]
pub struct Breaker {
    options: Options,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// `since` tells one try from the next.
    Trying {
        since: Instant,
    },
}

/// The leave to make one attempt. Dropped without [`tell`](Self::tell), as when the attempt is given up, it says nothing of the
/// target, and the next attempt is the one that decides.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    trying: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    /// Leave for one attempt.
    pub(super) fn ask(&self) -> Result<Pass<'_>, Failure> {
        let now = Instant::now();
        let mut state = self.state();
        let wait = match *state {
            State::Closed { .. } => {
                return Ok(Pass {
                    breaker: self,
                    trying: None,
                });
            }
            State::Open { until } if until <= now => {
                *state = State::Trying { since: now };
                return Ok(Pass {
                    breaker: self,
                    trying: Some(now),
                });
            }
            State::Open { until } => until - now,
            State::Trying { .. } => self.options.pause,
        };
        Err(Failure::Retryable {
            reason: format!(
                "the sink failed {} times in a row and is left alone for a while",
                self.options.failures
            ),
            status: None,
            retry_after: Some(wait),
        })
    }

    /// Whether it leaves the target alone, or tries it.
    pub(super) fn is_open(&self) -> bool {
        !matches!(*self.state(), State::Closed { .. })
    }

    fn open(&self) -> State {
        State::Open {
            until: Instant::now() + self.options.pause,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// What became of the attempt.
    pub(super) fn tell(self, outcome: &Result<Delivered, Failure>) {
        let failed = matches!(outcome, Err(Failure::Retryable { .. }));
        let mut state = self.breaker.state();
        *state = match *state {
            State::Closed { failures } if failed && failures + 1 >= self.breaker.options.failures.get() => {
                self.breaker.open()
            }
            State::Closed { failures } if failed => State::Closed {
                failures: failures + 1,
            },
            State::Trying { since } if self.trying == Some(since) && failed => self.breaker.open(),
            State::Trying { since } if self.trying != Some(since) => State::Trying { since },
            // An attempt of before it opened says nothing new.
            State::Open { until } if self.trying.is_none() => State::Open { until },
            _ => State::Closed { failures: 0 },
        };
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.breaker.state();
        if let (Some(trying), State::Trying { since }) = (self.trying, *state)
            && trying == since
        {
            *state = State::Open {
                until: Instant::now(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    fn breaker() -> Breaker {
        Breaker::new(Options {
            failures: NonZeroU32::new(2).unwrap(),
            pause: PAUSE,
        })
    }

    fn well() -> Result<Delivered, Failure> {
        Ok(Delivered { status: None })
    }

    fn ill() -> Result<Delivered, Failure> {
        Err(Failure::retryable("no"))
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_tries_and_closes() {
        let breaker = breaker();
        breaker.ask().unwrap().tell(&ill());
        breaker.ask().unwrap().tell(&well());
        breaker.ask().unwrap().tell(&ill());
        breaker
            .ask()
            .unwrap()
            .tell(&Err(Failure::permanent("not its fault")));
        breaker.ask().unwrap().tell(&ill());
        let late = breaker.ask().unwrap();
        breaker.ask().unwrap().tell(&ill());
        late.tell(&well());
        advance(Duration::from_secs(10)).await;
        let Err(Failure::Retryable { retry_after, .. }) = breaker.ask() else {
            panic!("it is open");
        };
        assert_eq!(retry_after, Some(Duration::from_secs(20)));
        advance(Duration::from_secs(20)).await;
        let trying = breaker.ask().unwrap();
        breaker.ask().unwrap_err();
        trying.tell(&ill());
        breaker.ask().unwrap_err();
        advance(PAUSE).await;
        breaker.ask().unwrap().tell(&well());
        breaker.ask().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_is_given_up_leaves_the_next_to_decide() {
        let breaker = breaker();
        breaker.ask().unwrap().tell(&ill());
        breaker.ask().unwrap().tell(&ill());
        advance(PAUSE).await;
        drop(breaker.ask().unwrap());
        breaker.ask().unwrap().tell(&well());
        breaker.ask().unwrap();
    }
}
