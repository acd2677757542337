//! The filter of `ListWorkers` and `CountWorkers`: the list filter's grammar over a worker's fields.
//!
//! A filter that names no field of a worker, or compares one in a way it has not, is refused by
//! name. The real server answers such a filter with an empty list, which hides the mistake.

use temporalio_protos::temporal::api::{enums::v1::WorkerStatus, worker::v1::WorkerHeartbeat};

use crate::{
    clock::{Nanos, nanos_of},
    rpc::RpcError,
    visibility::{Condition, Operand, parse_condition, parse_datetime},
};

/// A checked filter.
#[derive(Debug)]
pub(super) struct WorkerQuery(Test);

#[derive(Debug)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    /// The field is one of these.
    OneOf(Field, Vec<String>),
    Prefix(Field, String),
    /// The start time is from the first to the last of these, both included.
    Started(Nanos, Nanos),
}

#[derive(Clone, Copy, Debug)]
enum Field {
    InstanceKey,
    Identity,
    HostName,
    TaskQueue,
    DeploymentName,
    BuildId,
    SdkName,
    SdkVersion,
    Status,
}

fn invalid(message: String) -> RpcError {
    RpcError::InvalidArgument(format!("invalid query: {message}"))
}

impl WorkerQuery {
    pub(super) fn parse(text: &str) -> Result<Self, RpcError> {
        let condition =
            parse_condition(text).map_err(|error| RpcError::InvalidArgument(error.to_string()))?;
        match condition {
            None => Ok(Self(Test::All(Vec::new()))),
            Some(condition) => Ok(Self(test(&condition)?)),
        }
    }

    pub(super) fn matches(&self, worker: &WorkerHeartbeat) -> bool {
        self.0.holds(worker)
    }
}

impl Test {
    fn holds(&self, worker: &WorkerHeartbeat) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(worker)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(worker)),
            Self::Not(part) => !part.holds(worker),
            Self::OneOf(field, values) => values.iter().any(|value| field.of(worker) == value),
            Self::Prefix(field, prefix) => field.of(worker).starts_with(prefix.as_str()),
            Self::Started(from, to) => {
                let at = worker.start_time.as_ref().map(nanos_of);
                at.is_some_and(|at| (*from..=*to).contains(&at))
            }
        }
    }
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "WorkerInstanceKey" => Self::InstanceKey,
            "WorkerIdentity" => Self::Identity,
            "HostName" => Self::HostName,
            "TaskQueue" => Self::TaskQueue,
            "DeploymentName" => Self::DeploymentName,
            "BuildId" => Self::BuildId,
            "SdkName" => Self::SdkName,
            "SdkVersion" => Self::SdkVersion,
            "Status" | "WorkerStatus" => Self::Status,
            _ => return None,
        })
    }

    fn of(self, worker: &WorkerHeartbeat) -> &str {
        let version = worker.deployment_version.as_ref();
        match self {
            Self::InstanceKey => &worker.worker_instance_key,
            Self::Identity => &worker.worker_identity,
            Self::HostName => worker.host_info.as_ref().map_or("", |host| &host.host_name),
            Self::TaskQueue => &worker.task_queue,
            Self::DeploymentName => version.map_or("", |version| &version.deployment_name),
            Self::BuildId => version.map_or("", |version| &version.build_id),
            Self::SdkName => &worker.sdk_name,
            Self::SdkVersion => &worker.sdk_version,
            Self::Status => match worker.status() {
                WorkerStatus::Unspecified => "Unspecified",
                WorkerStatus::Running => "Running",
                WorkerStatus::ShuttingDown => "ShuttingDown",
                WorkerStatus::Shutdown => "Shutdown",
            },
        }
    }
}

fn test(condition: &Condition) -> Result<Test, RpcError> {
    let many = |parts: &[Condition]| parts.iter().map(test).collect::<Result<Vec<_>, _>>();
    Ok(match condition {
        Condition::All(parts) => Test::All(many(parts)?),
        Condition::Any(parts) => Test::Any(many(parts)?),
        Condition::Not(part) => Test::Not(Box::new(test(part)?)),
        Condition::Compare(left, operator, right) => compare(name(left)?, operator, right)?,
        Condition::In {
            left,
            values,
            negated,
        } => {
            let name = name(left)?;
            let values = values
                .iter()
                .map(|value| text(name, value))
                .collect::<Result<_, _>>()?;
            negate(Test::OneOf(field(name)?, values), *negated)
        }
        Condition::Between {
            left,
            low,
            high,
            negated,
        } => {
            let name = name(left)?;
            if name != "StartTime" {
                return Err(unsupported(name, "BETWEEN"));
            }
            negate(Test::Started(time(low)?, time(high)?), *negated)
        }
        Condition::IsNull { left, .. } => return Err(unsupported(name(left)?, "IS NULL")),
        Condition::IsOther | Condition::Bare(_) => return Err(invalid("incomplete expression".to_owned())),
    })
}

fn compare(name: &str, operator: &str, right: &Operand) -> Result<Test, RpcError> {
    if name == "StartTime" {
        let at = time(right)?;
        return Ok(match operator {
            "=" => Test::Started(at, at),
            "!=" => negate(Test::Started(at, at), true),
            ">=" => Test::Started(at, Nanos::MAX),
            ">" => Test::Started(at.saturating_add(1), Nanos::MAX),
            "<=" => Test::Started(Nanos::MIN, at),
            "<" => Test::Started(Nanos::MIN, at.saturating_sub(1)),
            other => return Err(unsupported(name, other)),
        });
    }
    let (field, value) = (field(name)?, text(name, right)?);
    Ok(match operator {
        "=" => Test::OneOf(field, vec![value]),
        "!=" => negate(Test::OneOf(field, vec![value]), true),
        "STARTS_WITH" => Test::Prefix(field, value),
        "NOT STARTS_WITH" => negate(Test::Prefix(field, value), true),
        other => return Err(unsupported(name, other)),
    })
}

fn negate(test: Test, negated: bool) -> Test {
    if negated { Test::Not(Box::new(test)) } else { test }
}

fn name(operand: &Operand) -> Result<&str, RpcError> {
    match operand {
        Operand::Attribute(name) => Ok(name),
        _ => Err(invalid("the left side of a comparison must be a name".to_owned())),
    }
}

fn field(name: &str) -> Result<Field, RpcError> {
    Field::named(name).ok_or_else(|| invalid(format!("workers have no attribute '{name}'")))
}

fn text(name: &str, operand: &Operand) -> Result<String, RpcError> {
    match operand {
        Operand::Str(text) => Ok(text.clone()),
        _ => Err(invalid(format!("'{name}' is compared with a string in quotes"))),
    }
}

fn time(operand: &Operand) -> Result<Nanos, RpcError> {
    let bad = || invalid("'StartTime' is compared with a time like '2026-01-02T15:04:05Z'".to_owned());
    match operand {
        Operand::Str(text) => parse_datetime(text).ok_or_else(bad),
        _ => Err(bad()),
    }
}

fn unsupported(name: &str, operator: &str) -> RpcError {
    invalid(format!("operator '{operator}' is not supported for '{name}'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use temporalio_protos::temporal::api::worker::v1::WorkerHostInfo;

    fn matches(query: &str) -> bool {
        let worker = WorkerHeartbeat {
            worker_instance_key: "key".into(),
            task_queue: "queue".into(),
            status: WorkerStatus::Running as i32,
            host_info: Some(WorkerHostInfo {
                host_name: "host".into(),
                ..Default::default()
            }),
            start_time: Some(crate::clock::timestamp(1_767_225_600_000_000_000)),
            ..Default::default()
        };
        WorkerQuery::parse(query).expect(query).matches(&worker)
    }

    #[test]
    fn a_worker_is_found_by_its_fields() {
        for query in [
            "",
            "WorkerInstanceKey = 'key' AND TaskQueue = 'queue'",
            "Status = 'Running' OR TaskQueue = 'other'",
            "TaskQueue STARTS_WITH 'qu' AND HostName != 'other'",
            "TaskQueue IN ('a', 'queue') AND NOT (Status = 'Shutdown')",
            "StartTime >= '2026-01-01T00:00:00Z'",
            "StartTime BETWEEN '2025-01-01T00:00:00Z' AND '2027-01-01T00:00:00Z'",
        ] {
            assert!(matches(query), "{query}");
        }
        for query in [
            "TaskQueue = 'other'",
            "StartTime > '2026-01-01T00:00:00Z'",
            "TaskQueue NOT IN ('queue')",
            "SdkName = 'x'",
        ] {
            assert!(!matches(query), "{query}");
        }
    }

    #[test]
    fn what_is_not_a_filter_of_workers_is_refused() {
        for query in [
            "Nothing = 'x'",
            "TaskQueue > 'a'",
            "TaskQueue = 3",
            "StartTime = 'soon'",
            "TaskQueue =",
        ] {
            let refused = WorkerQuery::parse(query).expect_err(query);
            assert!(matches!(refused, RpcError::InvalidArgument(_)), "{refused:?}");
        }
    }
}
