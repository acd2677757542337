//! Queries of schedules: they know the schedule's id, whether it is paused, and custom attributes.

use rusqlite::types::Value;

use super::ast::{Condition, Operand, Statement};
use super::attribute::{AttributeTypes, Field};
use super::builtin::{DIVISION, predefined, resolve};
use super::error::QueryError;
use super::filter::{Filter, Operator, Query};
use super::parser::parse;

/// The attribute that says whether a schedule is paused.
const PAUSED: &str = "TemporalSchedulePaused";

impl Query {
    /// Reads and checks a query of schedules, which are filed in this namespace division; the empty text
    /// selects all of them.
    ///
    /// # Errors
    /// What is wrong, in the words of the real server: INVALID_ARGUMENT.
    pub fn parse_schedules(
        text: &str,
        division: &str,
        types: &dyn AttributeTypes,
    ) -> Result<Query, QueryError> {
        let mut query = Query::parse(text, types)?;
        if let Some(name) = names(&parse(text)?).find(|name| !is_known(name, types)) {
            return Err(QueryError::ScheduleFilter(name.to_owned()));
        }
        let field = Field::Stored(DIVISION);
        let in_division = [
            // Where they are to be looked for, and what they must be.
            Filter::Null { field, negated: true },
            Filter::Compare {
                field,
                operator: Operator::Equal,
                value: Value::Text(division.to_owned()),
            },
        ];
        query.divisions = true;
        query.filter = Some(Filter::All(in_division.into_iter().chain(query.filter).collect()));
        Ok(query)
    }
}

fn is_known(name: &str, types: &dyn AttributeTypes) -> bool {
    let paused = predefined(PAUSED).map(Field::Stored);
    types.custom(name).is_some() || name == "ScheduleId" || resolve(name, types) == paused
}

/// The attributes that a query names.
fn names(statement: &Statement) -> impl Iterator<Item = &str> {
    let mut operands = Vec::new();
    if let Some(condition) = &statement.condition {
        collect(condition, &mut operands);
    }
    operands.extend(&statement.group_by);
    operands.extend(statement.order_by.iter().map(|(operand, _)| operand));
    operands.into_iter().filter_map(|operand| match operand {
        Operand::Attribute(name) => Some(name.as_str()),
        _ => None,
    })
}

fn collect<'a>(condition: &'a Condition, into: &mut Vec<&'a Operand>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| collect(part, into)),
        Condition::Not(inner) => collect(inner, into),
        Condition::Compare(left, ..)
        | Condition::In { left, .. }
        | Condition::Between { left, .. }
        | Condition::IsNull { left, .. }
        | Condition::Bare(left) => into.push(left),
        Condition::IsOther => {}
    }
}
