//! Name resolution that yields public addresses alone.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Blocked, check};

/// The system's resolver, with what [`check`] refuses left out. The addresses it yields are the ones that
/// are connected to: nothing is resolved a second time.
pub(crate) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is replaced by the URL's.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(public(found)?.into_iter()) as Addrs)
        })
    }
}

/// The public ones; an error if there are others alone.
fn public(found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Blocked> {
    let mut refusal = None;
    let allowed: Vec<_> = found
        .filter(|address| check(address.ip()).map_err(|why| refusal = Some(why)).is_ok())
        .collect();
    match refusal {
        Some(why) if allowed.is_empty() => Err(why),
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &[&str]) -> Vec<SocketAddr> {
        text.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn private_addresses_are_left_out() {
        let mixed = addresses(&["10.0.0.1:0", "8.8.8.8:0", "[fd00::1]:0", "[2606:4700::1]:0"]);
        assert_eq!(
            public(mixed.into_iter()),
            Ok(addresses(&["8.8.8.8:0", "[2606:4700::1]:0"]))
        );
        assert!(public(addresses(&["127.0.0.1:0", "[::1]:0"]).into_iter()).is_err());
        assert_eq!(public([].into_iter()), Ok(Vec::new()));
    }
}
