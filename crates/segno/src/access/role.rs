//! Roles, and what each may do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody is to Segno. The roles of people contain one another; a sender is apart, as a program that sends events
/// has nothing to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sends events and sets timers, and nothing else.
    Sender,
    /// Sees everything but the audit log.
    Viewer,
    /// Decides besides: about dead letters, replays, pauses, keys, timers, executions.
    Operator,
    /// Does everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Sender, Self::Viewer, Self::Operator, Self::Admin];

    /// Its name, as the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role; the roles are sender, viewer, operator and admin")]
pub struct NoRole;

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(name: &str) -> Result<Self, NoRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or(NoRole)
    }
}

/// What a path asks of whoever calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// Nothing: probes, what pages are made of, signing in.
    Nothing,
    /// What the path checks by itself: the signature of a webhook, the key of an API destination.
    Signature,
    /// To be somebody, whatever the role.
    Identity,
    /// To send events.
    Send,
    /// To see.
    View,
    /// To decide. What is done is recorded.
    Operate,
    /// To administer. What is done is recorded.
    Administer,
}

impl Need {
    /// Whether anybody may call, also without a token.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Nothing | Self::Signature)
    }

    /// Whether this role suffices.
    pub fn allows(self, role: Role) -> bool {
        match self {
            Self::Nothing | Self::Signature | Self::Identity => true,
            Self::Send => matches!(role, Role::Sender | Role::Operator | Role::Admin),
            Self::View => matches!(role, Role::Viewer | Role::Operator | Role::Admin),
            Self::Operate => matches!(role, Role::Operator | Role::Admin),
            Self::Administer => role == Role::Admin,
        }
    }

    /// The roles that suffice, in words.
    pub(crate) fn roles(self) -> String {
        let roles: Vec<_> = Role::ALL.into_iter().filter(|role| self.allows(*role)).collect();
        let names: Vec<_> = roles.into_iter().map(Role::name).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_of_people_contain_one_another_and_a_sender_only_sends() {
        let needs = [
            Need::Nothing,
            Need::Signature,
            Need::Identity,
            Need::Send,
            Need::View,
            Need::Operate,
            Need::Administer,
        ];
        for need in needs {
            assert!(need.allows(Role::Admin), "{need:?}");
            assert!(
                !need.allows(Role::Operator) || need.allows(Role::Admin),
                "{need:?}"
            );
            assert!(
                !need.allows(Role::Viewer) || need.allows(Role::Operator),
                "{need:?}"
            );
        }
        assert!(Need::Send.allows(Role::Sender) && !Need::Send.allows(Role::Viewer));
        assert!(!Need::View.allows(Role::Sender) && !Need::Operate.allows(Role::Viewer));
        assert!(!Need::Administer.allows(Role::Operator));
        assert_eq!(Need::Send.roles(), "sender, operator, admin");
    }

    #[test]
    fn names_of_roles_are_read_back() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(NoRole));
    }
}
