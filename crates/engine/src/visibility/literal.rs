//! Turns the values of a query into the form in which the attribute's values are stored.

use rusqlite::types::Value;
use temporalio_protos::temporal::api::enums::v1::WorkflowExecutionStatus;

use super::ast::Operand;
use super::attribute::{AttributeType, Column, Field};
use super::builtin::SCHEDULE_ID_PREFIX;
use super::error::QueryError;
use super::resolve::go_type;
use super::time::{parse_datetime, parse_duration};
use super::value::ordered;

/// An attribute and the name under which the query knows it.
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) field: Field,
    /// Whether it is `ScheduleId`, whose values are workflow ids without their prefix.
    pub(super) schedule: bool,
}

/// A literal before its attribute's type is looked at.
enum Literal<'a> {
    Str(&'a str),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// The bound value for comparing with the attribute: the one place that knows the stored forms.
pub(super) fn value(named: &Named<'_>, operand: &Operand) -> Result<Value, QueryError> {
    let literal = literal(operand)?;
    match (named.field, named.field.ty(), literal) {
        (Field::Column(Column::ExecutionStatus, _), _, Literal::Str(name)) => status_named(name)
            .ok_or_else(|| QueryError::InvalidExpression(format!("invalid ExecutionStatus value '{name}'"))),
        (Field::Column(Column::ExecutionStatus, _), _, Literal::Int(number)) => i32::try_from(number)
            .ok()
            .filter(|number| WorkflowExecutionStatus::try_from(*number).is_ok())
            .map(|number| Value::Integer(number.into()))
            .ok_or_else(|| QueryError::InvalidExpression(format!("invalid ExecutionStatus value {number}"))),
        (Field::Column(Column::ExecutionStatus | Column::ExecutionDuration, _), _, Literal::Float(_)) => {
            let message = format!(
                "unexpected value type float64 for search attribute {}",
                named.name
            );
            Err(QueryError::InvalidExpression(message))
        }
        (Field::Column(Column::ExecutionDuration, _), _, Literal::Str(text)) => {
            parse_duration(text).map(Value::Integer).ok_or_else(|| {
                let message = format!(
                    "invalid duration value for search attribute {}: {text}",
                    named.name
                );
                QueryError::InvalidExpression(message)
            })
        }
        (_, AttributeType::Keyword, Literal::Str(text)) if named.schedule => {
            Ok(Value::Text(format!("{SCHEDULE_ID_PREFIX}{text}")))
        }
        (
            _,
            AttributeType::Keyword | AttributeType::KeywordList | AttributeType::Text,
            Literal::Str(text),
        ) => Ok(Value::Text(text.to_owned())),
        (_, AttributeType::Datetime, Literal::Str(text)) => parse_datetime(text)
            .map(Value::Integer)
            .ok_or_else(|| QueryError::InvalidExpression(format!("unable to parse datetime '{text}'"))),
        (_, AttributeType::Int | AttributeType::Datetime, Literal::Int(number)) => Ok(Value::Integer(number)),
        // SQLite compares integers with floating-point numbers exactly.
        (_, AttributeType::Int, Literal::Float(number)) => Ok(Value::Real(number)),
        (_, AttributeType::Double, Literal::Int(number)) => Ok(Value::Integer(ordered(number as f64))),
        (_, AttributeType::Double, Literal::Float(number)) => Ok(Value::Integer(ordered(number))),
        (_, AttributeType::Bool, Literal::Bool(value)) => Ok(Value::Integer(value.into())),
        (_, ty, literal) => Err(QueryError::InvalidExpression(format!(
            "invalid value type for search attribute {} of type {}: {}",
            named.name,
            ty.name(),
            describe(&literal)
        ))),
    }
}

fn literal(operand: &Operand) -> Result<Literal<'_>, QueryError> {
    match operand {
        Operand::Str(text) => Ok(Literal::Str(text)),
        Operand::Bool(value) => Ok(Literal::Bool(*value)),
        Operand::Number(digits) => {
            if let Ok(number) = digits.parse::<i64>() {
                return Ok(Literal::Int(number));
            }
            let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
            number
                .map(Literal::Float)
                .ok_or_else(|| QueryError::InvalidExpression(format!("unable to parse value \"{digits}\"")))
        }
        Operand::Attribute(name) => Err(QueryError::NotSupported(format!(
            "column name on the right side of comparison expression (did you forget to quote \"{name}\"?)"
        ))),
        Operand::Null => Err(QueryError::InvalidExpression(format!(
            "unexpected value type {}",
            go_type(operand)
        ))),
    }
}

fn describe(literal: &Literal<'_>) -> String {
    match literal {
        Literal::Str(text) => format!("{text:?} (type: string)"),
        Literal::Int(number) => format!("{number} (type: int64)"),
        Literal::Float(number) => format!("{number} (type: float64)"),
        Literal::Bool(value) => format!("{value} (type: bool)"),
    }
}

/// A status by its name in JSON (`Running`) or in the protocol (`WORKFLOW_EXECUTION_STATUS_RUNNING`).
fn status_named(name: &str) -> Option<Value> {
    (0..16)
        .filter_map(|number| WorkflowExecutionStatus::try_from(number).ok())
        .find(|status| status.as_str_name() == name || status_name(*status) == name)
        .map(|status| Value::Integer(status as i64))
}

/// The short name of a status, as queries, counts and the CLI write it.
pub fn status_name(status: WorkflowExecutionStatus) -> String {
    let name = status
        .as_str_name()
        .trim_start_matches("WORKFLOW_EXECUTION_STATUS_");
    let mut short = String::with_capacity(name.len());
    for word in name.split('_') {
        let (first, rest) = word.split_at(word.len().min(1));
        short.push_str(first);
        short.push_str(&rest.to_ascii_lowercase());
    }
    short
}
