//! What queries mean, told again as plainly as possible: executions in memory, conditions evaluated one by one.

use std::cmp::Ordering;

use super::super::status_name;
use temporalio_protos::temporal::api::enums::v1::WorkflowExecutionStatus;

/// An execution. Times are in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Execution {
    pub(super) key: i64,
    pub(super) workflow_id: String,
    pub(super) workflow_type: String,
    pub(super) status: i32,
    pub(super) start: i64,
    /// How long after its start it was to begin.
    pub(super) delay: i64,
    pub(super) close: Option<i64>,
    pub(super) parent: Option<String>,
    pub(super) given: Given,
}

/// Its custom attributes.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    pub(super) keyword: Option<String>,
    pub(super) int: Option<i64>,
    pub(super) double: Option<f64>,
    pub(super) bool: Option<bool>,
    pub(super) datetime: Option<i64>,
    pub(super) list: Vec<String>,
    pub(super) text: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Text(String),
    Number(f64),
    Bool(bool),
    /// Seconds.
    Time(i64),
    /// Seconds.
    Duration(i64),
    Status(i32),
}

impl Scalar {
    fn compare(&self, other: &Scalar) -> Ordering {
        match (self, other) {
            (Scalar::Text(a), Scalar::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Scalar::Number(a), Scalar::Number(b)) => a.partial_cmp(b).unwrap(),
            (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
            (Scalar::Time(a), Scalar::Time(b)) | (Scalar::Duration(a), Scalar::Duration(b)) => a.cmp(b),
            (Scalar::Status(a), Scalar::Status(b)) => a.cmp(b),
            _ => panic!("{self:?} against {other:?}"),
        }
    }

    fn write(&self) -> String {
        match self {
            Scalar::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Scalar::Number(number) => number.to_string(),
            Scalar::Bool(value) => value.to_string(),
            Scalar::Time(seconds) => format!("'1970-01-01T00:{:02}:{:02}Z'", seconds / 60, seconds % 60),
            Scalar::Duration(seconds) => format!("'{seconds}s'"),
            Scalar::Status(status) => {
                format!(
                    "'{}'",
                    status_name(WorkflowExecutionStatus::try_from(*status).unwrap())
                )
            }
        }
    }
}

/// Attributes with one value, by name.
pub(super) const SCALARS: [&str; 12] = [
    "WorkflowId",
    "WorkflowType",
    "ExecutionStatus",
    "StartTime",
    "ExecutionTime",
    "CloseTime",
    "ExecutionDuration",
    "KwField",
    "IntField",
    "DblField",
    "DtField",
    "BoolField",
];

pub(super) fn scalar(execution: &Execution, name: &str) -> Option<Scalar> {
    let given = &execution.given;
    match name {
        "WorkflowId" => Some(Scalar::Text(execution.workflow_id.clone())),
        "WorkflowType" => Some(Scalar::Text(execution.workflow_type.clone())),
        "ParentWorkflowId" => execution.parent.clone().map(Scalar::Text),
        "ExecutionStatus" => Some(Scalar::Status(execution.status)),
        "StartTime" => Some(Scalar::Time(execution.start)),
        "ExecutionTime" => Some(Scalar::Time(execution.start + execution.delay)),
        "CloseTime" => execution.close.map(Scalar::Time),
        "ExecutionDuration" => execution
            .close
            .map(|close| Scalar::Duration(close - execution.start - execution.delay)),
        "KwField" => given.keyword.clone().map(Scalar::Text),
        "IntField" => given.int.map(|number| Scalar::Number(number as f64)),
        "DblField" => given.double.map(Scalar::Number),
        "DtField" => given.datetime.map(Scalar::Time),
        "BoolField" => given.bool.map(Scalar::Bool),
        _ => panic!("no scalar {name}"),
    }
}

#[derive(Clone, Debug)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(&'static str, &'static str, Scalar),
    In(&'static str, Vec<Scalar>, bool),
    Between(&'static str, Scalar, Scalar, bool),
    StartsWith(&'static str, String, bool),
    Null(&'static str, bool),
    ListHas(Vec<String>, bool),
    TextHas(String, bool),
}

impl Condition {
    pub(super) fn write(&self) -> String {
        let not = |negated: &bool| if *negated { " NOT" } else { "" };
        let join = |parts: &[Condition], word: &str| {
            parts
                .iter()
                .map(|part| format!("({})", part.write()))
                .collect::<Vec<_>>()
                .join(word)
        };
        let list = |values: Vec<String>| values.join(", ");
        match self {
            Condition::All(parts) => join(parts, " AND "),
            Condition::Any(parts) => join(parts, " OR "),
            Condition::Not(inner) => format!("NOT ({})", inner.write()),
            Condition::Compare(name, operator, value) => format!("{name} {operator} {}", value.write()),
            Condition::In(name, values, negated) => {
                format!(
                    "{name}{} IN ({})",
                    not(negated),
                    list(values.iter().map(Scalar::write).collect())
                )
            }
            Condition::Between(name, low, high, negated) => {
                format!(
                    "{name}{} BETWEEN {} AND {}",
                    not(negated),
                    low.write(),
                    high.write()
                )
            }
            Condition::StartsWith(name, prefix, negated) => {
                format!(
                    "{name}{} STARTS_WITH {}",
                    not(negated),
                    Scalar::Text(prefix.clone()).write()
                )
            }
            Condition::Null(name, negated) => format!("{name} IS{} NULL", not(negated)),
            Condition::ListHas(values, negated) => {
                let values = values
                    .iter()
                    .map(|value| Scalar::Text(value.clone()).write())
                    .collect();
                format!("KlField{} IN ({})", not(negated), list(values))
            }
            Condition::TextHas(words, negated) => {
                format!("TextField {} '{words}'", if *negated { "!=" } else { "=" })
            }
        }
    }

    /// As SQL has it: `None` where a value that is not there decides.
    pub(super) fn holds(&self, execution: &Execution) -> Option<bool> {
        let value = |name: &str| scalar(execution, name);
        match self {
            Condition::All(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| part.holds(execution)).collect();
                if parts.contains(&Some(false)) {
                    Some(false)
                } else {
                    parts.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
                }
            }
            Condition::Any(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| part.holds(execution)).collect();
                if parts.contains(&Some(true)) {
                    Some(true)
                } else {
                    parts.into_iter().collect::<Option<Vec<_>>>().map(|_| false)
                }
            }
            Condition::Not(inner) => inner.holds(execution).map(|holds| !holds),
            Condition::Compare(name, operator, other) => value(name).map(|value| {
                let order = value.compare(other);
                match *operator {
                    "=" => order.is_eq(),
                    "!=" => order.is_ne(),
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    ">=" => order.is_ge(),
                    other => panic!("no operator {other}"),
                }
            }),
            Condition::In(name, values, negated) => {
                value(name).map(|value| values.iter().any(|other| value.compare(other).is_eq()) != *negated)
            }
            Condition::Between(name, low, high, negated) => value(name)
                .map(|value| (value.compare(low).is_ge() && value.compare(high).is_le()) != *negated),
            Condition::StartsWith(name, prefix, negated) => value(name).map(|value| match value {
                Scalar::Text(text) => text.starts_with(prefix.as_str()) != *negated,
                other => panic!("{other:?} has no beginning"),
            }),
            Condition::Null(name, negated) => {
                let null = match *name {
                    "KlField" => execution.given.list.is_empty(),
                    "TextField" => execution.given.text.is_none(),
                    name => value(name).is_none(),
                };
                Some(null != *negated)
            }
            Condition::ListHas(values, negated) => {
                Some(values.iter().any(|value| execution.given.list.contains(value)) != *negated)
            }
            Condition::TextHas(words, negated) => {
                let text = execution.given.text.clone().unwrap_or_default().to_lowercase();
                let has = |word: &str| text.split(' ').any(|of_text| of_text == word);
                Some(words.to_lowercase().split(' ').any(has) != *negated)
            }
        }
    }
}

/// Sorts as lists are sorted.
pub(super) fn sort(executions: &mut [Execution], order: &[(&'static str, bool)]) {
    if order.is_empty() {
        executions.sort_by_key(|one| (-one.close.unwrap_or(i64::MAX), -one.start, -one.key));
        return;
    }
    executions.sort_by(|a, b| {
        for (name, descending) in order {
            let ordering = match (scalar(a, name), scalar(b, name)) {
                (None, None) => Ordering::Equal,
                (None, _) => Ordering::Greater,
                (_, None) => Ordering::Less,
                (Some(a), Some(b)) if *descending => b.compare(&a),
                (Some(a), Some(b)) => a.compare(&b),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        if order[0].1 {
            b.key.cmp(&a.key)
        } else {
            a.key.cmp(&b.key)
        }
    });
}
