//! The hosts of an application, and which of them to ask first.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{Endpoint, EndpointError};

/// How long a host that did not answer is asked last.
const AVOIDED: Duration = Duration::from_secs(120);

/// Hosts, and since when they do not answer. Clones share what they know.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    hosts: Arc<[Endpoint]>,
    down: Arc<Mutex<Vec<Option<Instant>>>>,
}

impl Hosts {
    pub(super) fn these(hosts: Vec<Endpoint>) -> Self {
        Self {
            down: Arc::new(Mutex::new(vec![None; hosts.len()])),
            hosts: hosts.into(),
        }
    }

    /// The application's own, and the three others in an order by chance: so that not all clients ask the same one when the
    /// first is down.
    pub(super) fn of_application(id: &str) -> Result<Self, EndpointError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if id.is_empty() || !id.bytes().all(fits) {
            return Err(EndpointError::More);
        }
        let mut others = ["-1.algolianet.com", "-2.algolianet.com", "-3.algolianet.com"];
        others.rotate_left(chance() % 3);
        if chance() % 2 == 1 {
            others.swap(1, 2);
        }
        let hosts = [".algolia.net"]
            .iter()
            .chain(&others)
            .map(|rest| format!("https://{id}{rest}").parse());
        hosts.collect::<Result<_, _>>().map(Self::these)
    }

    /// Those that answer, then those that did not lately; each in its order.
    pub(super) fn in_order(&self, now: Instant) -> Vec<&Endpoint> {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let avoided = |since: &Option<Instant>| since.is_some_and(|since| now - since < AVOIDED);
        let mut hosts: Vec<_> = self.hosts.iter().zip(down.iter().map(avoided)).collect();
        hosts.sort_by_key(|(_, avoided)| *avoided);
        hosts.into_iter().map(|(host, _)| host).collect()
    }

    pub(super) fn is_down(&self, host: &Endpoint, since: Instant) {
        self.set(host, Some(since));
    }

    pub(super) fn is_up(&self, host: &Endpoint) {
        self.set(host, None);
    }

    fn set(&self, host: &Endpoint, since: Option<Instant>) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        for (known, state) in self.hosts.iter().zip(down.iter_mut()) {
            if known == host {
                *state = since;
            }
        }
    }
}

/// A number that differs from client to client, from the keys that each hash map is given.
fn chance() -> usize {
    use std::hash::{BuildHasher as _, RandomState};
    #[expect(clippy::cast_possible_truncation, reason = "any bits of it will do")]
    let number = RandomState::new().hash_one(0_u8) as usize;
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_has_four_hosts() {
        let hosts = Hosts::of_application("ABC123").unwrap();
        let mut names: Vec<_> = hosts
            .in_order(Instant::now())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names[0], "https://abc123.algolia.net/");
        names.sort();
        assert_eq!(names[1], "https://abc123-2.algolianet.com/");
        assert_eq!(names.len(), 4);
        assert!(Hosts::of_application("a/b").is_err());
        assert!(Hosts::of_application("").is_err());
    }

    #[test]
    fn who_does_not_answer_is_asked_last_for_a_while() {
        let [one, two] = ["http://one", "http://two"].map(|url| url.parse::<Endpoint>().unwrap());
        let hosts = Hosts::these(vec![one.clone(), two.clone()]);
        let now = Instant::now();
        assert_eq!(hosts.in_order(now), [&one, &two]);
        hosts.is_down(&one, now);
        assert_eq!(hosts.in_order(now), [&two, &one]);
        let later = now + AVOIDED;
        assert_eq!(hosts.in_order(later), [&one, &two]);
        hosts.is_down(&one, later);
        hosts.is_up(&one);
        assert_eq!(hosts.in_order(later), [&one, &two]);
    }
}
