//! Who may call the gRPC port, and how much: API keys, and limits on what a client may ask.
//!
//! Calls from the engine's own process come with no [`Caller`] and are not looked at.

mod keys;
mod limits;
mod load;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, header::AUTHORIZATION};
use temporalio_protos::temporal::api::enums::v1::{ResourceExhaustedCause, ResourceExhaustedScope};

use self::load::Loads;
pub use self::{
    keys::{ApiKeyError, ApiKeys, Grant},
    limits::ServerLimits,
};
use crate::rpc::{Call, RpcError};

/// When to try again what had to wait for too many others.
const RETRY_POLL: Duration = Duration::from_secs(1);

/// What stands between a port and the services.
#[derive(Debug)]
pub(crate) struct Gate {
    /// None: whoever reaches the port may do everything.
    keys: Option<ApiKeys>,
    most_polls: usize,
    loads: Loads,
}

/// Somebody outside this process who was let in.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    gate: Arc<Gate>,
    /// None: everything.
    grant: Option<Arc<Grant>>,
    /// Calls of the same connection that wait for something to happen.
    polls: Arc<AtomicUsize>,
}

/// An RPC that somebody calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'a> {
    /// Its service, without the package.
    pub(crate) service: &'static str,
    /// Its name.
    pub(crate) method: &'static str,
    /// The namespace in its request; none: the request has no such field.
    pub(crate) namespace: Option<&'a str>,
    /// The request says that it waits for something to happen.
    pub(crate) waits: bool,
}

/// A call that has its place among those that wait, until this is dropped.
pub(crate) struct Permit {
    polls: [Arc<AtomicUsize>; 2],
}

impl Drop for Permit {
    fn drop(&mut self) {
        for polls in &self.polls {
            polls.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Called<'_> {
    fn needs_admin(&self) -> bool {
        match self.service {
            "OperatorService" => self.method != "ListSearchAttributes",
            _ => matches!(
                self.method,
                "RegisterNamespace" | "UpdateNamespace" | "DeprecateNamespace"
            ),
        }
    }

    /// Whether it says nothing of any namespace but by what the key may see.
    fn is_about_no_namespace(&self) -> bool {
        matches!(
            self.method,
            "GetSystemInfo" | "GetClusterInfo" | "ListNamespaces" | "GetSearchAttributes" | "Check"
        )
    }

    /// Whether its answer may be long in coming: it waits for a worker, a task or an event.
    fn is_long(&self) -> bool {
        self.waits
            || matches!(
                self.method,
                "PollWorkflowTaskQueue"
                    | "PollActivityTaskQueue"
                    | "PollNexusTaskQueue"
                    | "PollWorkflowExecutionUpdate"
                    | "PollActivityExecution"
                    | "UpdateWorkflowExecution"
                    | "ExecuteMultiOperation"
                    | "QueryWorkflow"
            )
    }
}

impl Gate {
    pub(crate) fn new(keys: ApiKeys, limits: &ServerLimits) -> Self {
        Self {
            keys: Some(keys).filter(|keys| !keys.is_empty()),
            most_polls: limits.connection_polls,
            loads: Loads::new(limits),
        }
    }

    /// Whose call this is, by its headers. `polls`: the count of its connection.
    ///
    /// # Errors
    /// When there are keys and the call brings none of them.
    pub(crate) fn caller(
        self: &Arc<Self>,
        headers: &HeaderMap,
        polls: &Arc<AtomicUsize>,
    ) -> Result<Caller, RpcError> {
        let grant = match &self.keys {
            None => None,
            Some(keys) => {
                let key = bearer(headers).ok_or_else(|| {
                    RpcError::Unauthenticated(
                        "an API key is required, as metadata \"authorization: Bearer KEY\"".into(),
                    )
                })?;
                let grant = keys.grant(key);
                let unknown = || RpcError::Unauthenticated("the API key is not valid".into());
                Some(grant.ok_or_else(unknown)?.clone())
            }
        };
        Ok(Caller {
            gate: self.clone(),
            grant,
            polls: polls.clone(),
        })
    }
}

/// The key of `authorization: Bearer KEY`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| key.trim_ascii())
}

impl Caller {
    fn check_grant(&self, called: &Called<'_>) -> Result<(), RpcError> {
        let Some(grant) = &self.grant else { return Ok(()) };
        let denied = |reason: String| Err(RpcError::Unauthorized { reason });
        let name = &grant.name;
        if called.needs_admin() && !grant.is_admin {
            return denied(format!("the API key {name:?} may not administrate"));
        }
        match called.namespace {
            Some(namespace) if !grant.covers(namespace) => denied(format!(
                "the API key {name:?} is not for the namespace {namespace:?}"
            )),
            None if grant.namespaces.is_some() && !called.is_about_no_namespace() => {
                denied(format!("the API key {name:?} is for some namespaces only"))
            }
            _ => Ok(()),
        }
    }

    fn may_see(&self, namespace: &str) -> bool {
        self.grant.as_ref().is_none_or(|grant| grant.covers(namespace))
    }

    fn admit(&self, called: &Called<'_>) -> Result<Option<Permit>, RpcError> {
        self.check_grant(called)?;
        let Some(namespace) = called.namespace else {
            return Ok(None);
        };
        let loads = &self.gate.loads;
        loads.count(namespace)?;
        if !called.is_long() {
            return Ok(None);
        }
        // From here on the permit gives back what was taken.
        let permit = Permit {
            polls: [self.polls.clone(), loads.polls(namespace)],
        };
        let [of_connection, of_namespace] = &permit.polls;
        let of_connection = of_connection.fetch_add(1, Ordering::Relaxed);
        let of_namespace = of_namespace.fetch_add(1, Ordering::Relaxed);
        let what = if of_connection >= self.gate.most_polls {
            "connection"
        } else if of_namespace >= loads.most_polls() {
            "namespace"
        } else {
            return Ok(Some(permit));
        };
        Err(RpcError::Throttled {
            message: format!("{what} concurrent poller limit exceeded"),
            cause: ResourceExhaustedCause::ConcurrentLimit,
            scope: ResourceExhaustedScope::Namespace,
            retry_after: RETRY_POLL,
        })
    }
}

impl Call {
    /// Lets this call in, or not. What it answers is to be kept until the call is answered.
    ///
    /// # Errors
    /// When the caller may not do this, or does too much of it.
    pub(crate) fn admit(&self, called: &Called<'_>) -> Result<Option<Permit>, RpcError> {
        self.caller
            .as_ref()
            .map_or(Ok(None), |caller| caller.admit(called))
    }

    /// Whether the caller may know of this namespace.
    pub(crate) fn may_see(&self, namespace: &str) -> bool {
        self.caller
            .as_ref()
            .is_none_or(|caller| caller.may_see(namespace))
    }
}
