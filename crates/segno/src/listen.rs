//! Listening addresses: taken early, told plainly when taken already, and not open to the world by accident.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the port.
    #[error("{address} is in use by another process; stop it, or choose another address by {flag} ADDR:PORT")]
    InUse {
        /// Address that was asked for.
        address: SocketAddr,
        /// Flag that sets it.
        flag: &'static str,
    },
    /// The address is reachable from elsewhere, and nothing authenticates who calls.
    #[error(
        "{address} can be reached from other machines and nothing here authenticates who calls; listen on a \
         loopback address, or give tokens by [[http.tokens]], or require client certificates by [http] tls, or pass \
         --allow-unauthenticated if something in front of it does; docs/security.md has examples"
    )]
    Exposed {
        /// Address that was asked for.
        address: SocketAddr,
    },
    /// The HTTP API is reachable from elsewhere, and the network sees the tokens.
    #[error(
        "{address} can be reached from other machines, and without TLS the network sees the tokens; give a certificate by \
         [http] tls, or pass --allow-plaintext if something in front of it encrypts; docs/security.md has examples"
    )]
    PlaintextTokens {
        /// Address that was asked for.
        address: SocketAddr,
    },
    /// The engine's port is reachable from elsewhere, and nothing authenticates who calls.
    #[error(
        "{address} can be reached from other machines and nothing here authenticates who calls the engine; listen on a \
         loopback address, or give API keys by --api-key, or require client certificates by --tls-client-ca, or pass \
         --allow-unauthenticated if something in front of it does; docs/security.md has examples"
    )]
    ExposedGrpc {
        /// Address that was asked for.
        address: SocketAddr,
    },
    /// The engine's port is reachable from elsewhere, and the network sees the API keys.
    #[error(
        "{address} can be reached from other machines, and without TLS the network sees the API keys; give a \
         certificate by --tls-cert and --tls-key, or pass --allow-plaintext if something in front of it encrypts; \
         docs/security.md has examples"
    )]
    PlaintextKeys {
        /// Address that was asked for.
        address: SocketAddr,
    },
    /// The system refused.
    #[error("{address} cannot be listened on")]
    Bind {
        /// Address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A bound listener and the address it got.
pub struct Listener {
    inner: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// The address; with the port that the system chose where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bound listener.
    pub fn into_inner(self) -> TcpListener {
        self.inner
    }

    /// The same, to accept from.
    pub(crate) fn inner_mut(&mut self) -> &mut TcpListener {
        &mut self.inner
    }
}

/// What keeps an address that other machines can reach from being open to everybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Protection {
    /// Callers send tokens.
    pub has_tokens: bool,
    /// What is sent is encrypted.
    pub has_tls: bool,
    /// Callers show certificates.
    pub has_client_certificates: bool,
    /// Somebody says that nothing of it is needed, because of what is in front.
    pub allow_unauthenticated: bool,
    /// Somebody says that TLS is not, because of what is in front.
    pub allow_plaintext: bool,
}

/// Refuses an address of the HTTP API that other machines can reach, unless it is protected.
///
/// # Errors
/// What is missing.
pub fn check_exposure(address: SocketAddr, by: Protection) -> Result<(), Error> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    if !by.has_tokens && !by.has_client_certificates && !by.allow_unauthenticated {
        return Err(Error::Exposed { address });
    }
    if by.has_tokens && !by.has_tls && !by.allow_plaintext {
        return Err(Error::PlaintextTokens { address });
    }
    Ok(())
}

/// Binds `address`; `flag` is the command line's name for it.
pub async fn bind(address: SocketAddr, flag: &'static str) -> Result<Listener, Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => Error::InUse { address, flag },
        _ => Error::Bind { address, source },
    };
    let inner = TcpListener::bind(address).await.map_err(failed)?;
    let address = inner.local_addr().map_err(failed)?;
    Ok(Listener { inner, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_flag_that_changes_it() {
        let first = bind("127.0.0.1:0".parse().unwrap(), "--http").await.unwrap();
        let error = bind(first.address(), "--http").await.err().unwrap().to_string();
        assert!(error.contains(&first.address().to_string()), "{error}");
        assert!(error.contains("--http ADDR:PORT"), "{error}");
    }

    #[test]
    fn only_loopback_is_open_without_being_told() {
        let nothing = Protection::default();
        for address in ["127.0.0.1:80", "[::1]:80"] {
            assert!(check_exposure(address.parse().unwrap(), nothing).is_ok());
        }
        for address in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
            let check = |by| check_exposure(address.parse().unwrap(), by);
            assert!(matches!(check(nothing), Err(Error::Exposed { .. })));
            let told = Protection {
                allow_unauthenticated: true,
                ..nothing
            };
            assert!(check(told).is_ok());
            let certificates = Protection {
                has_tls: true,
                has_client_certificates: true,
                ..nothing
            };
            assert!(check(certificates).is_ok());
            // Who authenticates in front does not always encrypt.
            let tokens = Protection {
                has_tokens: true,
                allow_unauthenticated: true,
                ..nothing
            };
            assert!(matches!(check(tokens), Err(Error::PlaintextTokens { .. })));
            for by in [
                Protection {
                    has_tls: true,
                    ..tokens
                },
                Protection {
                    allow_plaintext: true,
                    ..tokens
                },
            ] {
                assert!(check(by).is_ok());
            }
        }
    }
}
