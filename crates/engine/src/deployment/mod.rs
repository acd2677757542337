//! Worker deployments: which versions of the workers there are, and which of them new work goes to. Pure, as the core.
//!
//! | file | what |
//! |---|---|
//! | `record` | a deployment, as it is kept |
//! | `change` | what polls and people change of it |
//! | `routing` | which version a task goes to |
//! | `info` | a deployment as clients are told of it |

mod change;
mod info;
mod record;
mod routing;
#[cfg(test)]
mod tests;

pub(crate) use change::{Drained, SetRoute};
pub(crate) use info::{summary, version_info};
pub(crate) use record::{DeploymentRecord, VersionQueue};
pub(crate) use routing::{Routing, route};
