//! A query with its names looked up and its values checked: what is compiled to SQL.

use rusqlite::types::Value;

use super::attribute::{AttributeTypes, Field};
use super::error::QueryError;
use super::parser::parse;
use super::resolve::{resolve_condition, resolve_group, resolve_order};

/// How many values a query may compare with: each is a bound parameter or two, and SQLite has a limit of them.
const MAX_VALUES: usize = 10_000;

/// A list or count query, checked against a namespace's attributes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub(super) filter: Option<Filter>,
    /// Empty: the default order.
    pub(super) order: Vec<OrderTerm>,
    pub(super) group: Option<Group>,
    /// Whether `TemporalNamespaceDivision` is named: if not, executions in a division are out of sight.
    pub(super) divisions: bool,
}

impl Query {
    /// Reads and checks a query; the empty text selects every execution that is in no namespace division.
    ///
    /// # Errors
    /// What is wrong, in the words of the real server: INVALID_ARGUMENT.
    pub fn parse(text: &str, types: &dyn AttributeTypes) -> Result<Query, QueryError> {
        let statement = parse(text)?;
        let mut query = Query::default();
        if let Some(condition) = &statement.condition {
            query.filter = Some(resolve_condition(condition, types, &mut query.divisions)?);
        }
        let values = query.filter.as_ref().map_or(0, Filter::values);
        if values > MAX_VALUES {
            return Err(QueryError::InvalidExpression(format!(
                "more than {MAX_VALUES} values and words"
            )));
        }
        query.group = resolve_group(&statement.group_by, types, &mut query.divisions)?;
        query.order = resolve_order(&statement.order_by, types)?;
        if statement.limit {
            return Err(QueryError::NotSupported("'LIMIT' clause".to_owned()));
        }
        Ok(query)
    }
}

/// A condition on one execution. What an execution does not have is NULL and, as in SQL, neither meets nor fails a
/// comparison; the conditions on lists and texts are simply not met.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Compare {
        field: Field,
        operator: Operator,
        value: Value,
    },
    In {
        field: Field,
        values: Vec<Value>,
        negated: bool,
    },
    Between {
        field: Field,
        low: Value,
        high: Value,
        negated: bool,
    },
    Prefix {
        field: Field,
        prefix: String,
        negated: bool,
    },
    Null {
        field: Field,
        negated: bool,
    },
    /// A list has one of the values.
    Contains {
        field: Field,
        values: Vec<Value>,
        negated: bool,
    },
    /// A text has one of the runs of words. Never empty, nor is a run.
    Words {
        field: Field,
        runs: Vec<Vec<String>>,
        negated: bool,
    },
    /// No execution.
    Never,
}

impl Filter {
    /// How many values there are to compare with.
    fn values(&self) -> usize {
        match self {
            Filter::All(parts) | Filter::Any(parts) => parts.iter().map(Filter::values).sum(),
            Filter::Not(inner) => inner.values(),
            Filter::Compare { .. } => 1,
            Filter::Between { .. } | Filter::Prefix { .. } => 2,
            Filter::In { values, .. } | Filter::Contains { values, .. } => values.len(),
            // A run of words is sought by its words as well.
            Filter::Words { runs, .. } => runs.iter().map(|run| run.len() + 1).sum(),
            Filter::Null { .. } | Filter::Never => 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "<>",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
        }
    }

    /// The operator that error messages write so.
    pub(super) fn from_text(text: &str) -> Option<Operator> {
        Some(match text {
            "=" => Operator::Equal,
            "!=" => Operator::NotEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            _ => return None,
        })
    }
}

/// One term of ORDER BY. Executions without a value come last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OrderTerm {
    pub(super) field: Field,
    pub(super) descending: bool,
}

/// What counts can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Status,
    Division,
}
