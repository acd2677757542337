//! Looks up the names of a parsed query and checks its operators against the attributes' types.

use super::ast::{Condition, Operand};
use super::attribute::{AttributeType, AttributeTypes, Column, Field};
use super::builtin::{DIVISION, SCHEDULE_ID_PREFIX, resolve};
use super::error::QueryError;
use super::filter::{Filter, Group, Operator, OrderTerm};
use super::literal::{Named, value};
use super::value::words;

/// Checks a condition. Sets `divisions` if it names the namespace division.
pub(super) fn resolve_condition(
    condition: &Condition,
    types: &dyn AttributeTypes,
    divisions: &mut bool,
) -> Result<Filter, QueryError> {
    let mut many = |parts: &[Condition]| -> Result<Vec<Filter>, QueryError> {
        parts
            .iter()
            .map(|part| resolve_condition(part, types, divisions))
            .collect()
    };
    let filter = match condition {
        Condition::All(parts) => Filter::All(many(parts)?),
        Condition::Any(parts) => Filter::Any(many(parts)?),
        Condition::Not(inner) => Filter::Not(Box::new(resolve_condition(inner, types, divisions)?)),
        Condition::Compare(left, operator, right) => {
            compare(&attribute(left, types, divisions)?, operator, right)?
        }
        Condition::In {
            left,
            values,
            negated,
        } => is_in(&attribute(left, types, divisions)?, values, *negated)?,
        Condition::Between {
            left,
            low,
            high,
            negated,
        } => {
            let named = attribute(left, types, divisions)?;
            let (low, high) = (value(&named, low)?, value(&named, high)?);
            match named.field.ty() {
                ty @ (AttributeType::Text | AttributeType::KeywordList | AttributeType::Bool) => {
                    return Err(QueryError::InvalidExpression(format!(
                        "cannot do range condition on search attribute '{}' of type {}",
                        named.name,
                        ty.name()
                    )));
                }
                _ => Filter::Between {
                    field: named.field,
                    low,
                    high,
                    negated: *negated,
                },
            }
        }
        Condition::IsNull { left, negated } => Filter::Null {
            field: attribute(left, types, divisions)?.field,
            negated: *negated,
        },
        Condition::IsOther => {
            let message = "'IS' operator can only be used as 'IS NULL' or 'IS NOT NULL'";
            return Err(QueryError::InvalidExpression(message.to_owned()));
        }
        Condition::Bare(Operand::Attribute(_)) => {
            return Err(QueryError::InvalidExpression("incomplete expression".to_owned()));
        }
        Condition::Bare(other) => {
            return Err(QueryError::NotSupported(format!(
                "expression of type {}",
                go_type(other)
            )));
        }
    };
    Ok(filter)
}

fn compare(named: &Named<'_>, operator: &str, right: &Operand) -> Result<Filter, QueryError> {
    let field = named.field;
    let bound = value(named, right)?;
    let comparison = Operator::from_text(operator);
    let equality = matches!(comparison, Some(Operator::Equal | Operator::NotEqual));
    let negated = comparison == Some(Operator::NotEqual);
    match field.ty() {
        AttributeType::Text if equality => {
            let Operand::Str(text) = right else {
                return Err(unsupported(named, operator));
            };
            let runs: Vec<Vec<String>> = text.split_whitespace().map(words).collect();
            if runs.is_empty() {
                let message = format!(
                    "no tokens found filtering on Text type search attribute {}",
                    named.name
                );
                return Err(QueryError::InvalidExpression(message));
            }
            let runs: Vec<Vec<String>> = runs.into_iter().filter(|run| !run.is_empty()).collect();
            // Words without a letter or digit are in no text.
            Ok(match (runs.is_empty(), negated) {
                (false, _) => Filter::Words { field, runs, negated },
                (true, false) => Filter::Never,
                (true, true) => Filter::Not(Box::new(Filter::Never)),
            })
        }
        AttributeType::KeywordList if equality => Ok(Filter::Contains {
            field,
            values: vec![bound],
            negated,
        }),
        AttributeType::Text | AttributeType::KeywordList => Err(unsupported(named, operator)),
        ty => match (comparison, operator, right) {
            (Some(operator), _, _) => Ok(Filter::Compare {
                field,
                operator,
                value: bound,
            }),
            (None, "STARTS_WITH" | "NOT STARTS_WITH", Operand::Str(text)) if prefixes(field, ty) => {
                let prefix = if named.schedule {
                    format!("{SCHEDULE_ID_PREFIX}{text}")
                } else {
                    text.clone()
                };
                Ok(Filter::Prefix {
                    field,
                    prefix,
                    negated: operator.starts_with("NOT"),
                })
            }
            _ => Err(unsupported(named, operator)),
        },
    }
}

fn prefixes(field: Field, ty: AttributeType) -> bool {
    ty == AttributeType::Keyword && !matches!(field, Field::Column(Column::ExecutionStatus, _))
}

fn is_in(named: &Named<'_>, values: &[Operand], negated: bool) -> Result<Filter, QueryError> {
    let bound = values
        .iter()
        .map(|operand| value(named, operand))
        .collect::<Result<Vec<_>, _>>()?;
    let field = named.field;
    match field.ty() {
        AttributeType::Text => Err(unsupported(named, if negated { "NOT IN" } else { "IN" })),
        AttributeType::KeywordList => Ok(Filter::Contains {
            field,
            values: bound,
            negated,
        }),
        _ => Ok(Filter::In {
            field,
            values: bound,
            negated,
        }),
    }
}

fn attribute<'a>(
    operand: &'a Operand,
    types: &dyn AttributeTypes,
    divisions: &mut bool,
) -> Result<Named<'a>, QueryError> {
    let Operand::Attribute(name) = operand else {
        let message = format!("must be a column name but was {}", go_type(operand));
        return Err(QueryError::InvalidExpression(message));
    };
    if let Some(field) = resolve(name, types) {
        *divisions |= field == Field::Stored(DIVISION);
        return Ok(Named {
            name,
            field,
            schedule: false,
        });
    }
    if name == "ScheduleId" {
        let field = Field::Column(Column::WorkflowId, AttributeType::Keyword);
        return Ok(Named {
            name,
            field,
            schedule: true,
        });
    }
    Err(QueryError::UnknownAttribute(name.clone()))
}

/// Checks GROUP BY: only what few values share can be grouped by.
pub(super) fn resolve_group(
    operands: &[Operand],
    types: &dyn AttributeTypes,
    divisions: &mut bool,
) -> Result<Option<Group>, QueryError> {
    let [operand] = operands else {
        let message = "'GROUP BY' clause supports only a single field".to_owned();
        return if operands.is_empty() {
            Ok(None)
        } else {
            Err(QueryError::NotSupported(message))
        };
    };
    let named = attribute(operand, types, divisions)?;
    match named.field {
        Field::Column(Column::ExecutionStatus, _) => Ok(Some(Group::Status)),
        field if field == Field::Stored(DIVISION) => Ok(Some(Group::Division)),
        _ => Err(QueryError::NotSupported(format!(
            "'GROUP BY' clause is not supported for search attribute {}",
            named.name
        ))),
    }
}

/// Checks ORDER BY.
pub(super) fn resolve_order(
    terms: &[(Operand, bool)],
    types: &dyn AttributeTypes,
) -> Result<Vec<OrderTerm>, QueryError> {
    let term = |(operand, descending): &(Operand, bool)| {
        let field = attribute(operand, types, &mut false)?.field;
        match field.ty() {
            ty @ (AttributeType::Text | AttributeType::KeywordList) => Err(QueryError::NotSupported(
                format!("unable to sort by search attribute type {}", ty.name()),
            )),
            _ => Ok(OrderTerm {
                field,
                descending: *descending,
            }),
        }
    };
    terms.iter().map(term).collect()
}

fn unsupported(named: &Named<'_>, operator: &str) -> QueryError {
    QueryError::NotSupported(format!(
        "operator '{operator}' not supported for {} type search attribute '{}'",
        named.field.ty().name(),
        named.name
    ))
}

/// What the real server's messages call an operand.
pub(super) fn go_type(operand: &Operand) -> &'static str {
    match operand {
        Operand::Attribute(_) => "*sqlparser.ColName",
        Operand::Str(_) | Operand::Number(_) => "*sqlparser.SQLVal",
        Operand::Bool(_) => "sqlparser.BoolVal",
        Operand::Null => "*sqlparser.NullVal",
    }
}
