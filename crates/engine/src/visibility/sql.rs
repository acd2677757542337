//! Compiles conditions to SQL. Every value of a query becomes a bound parameter, never text.

use rusqlite::types::Value;

use super::attribute::{AttributeId, Column, Field};
use super::filter::Filter;

/// SQL and the parameters of its question marks, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) params: Vec<Value>,
}

impl Sql {
    pub(super) fn new(text: &str) -> Sql {
        Sql {
            text: text.to_owned(),
            params: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Sql {
        self.text.push_str(text);
        self
    }

    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Sql {
        self.text.push('?');
        self.params.push(value.into());
        self
    }

    pub(super) fn append(&mut self, other: &Sql) -> &mut Sql {
        self.text.push_str(&other.text);
        self.params.extend_from_slice(&other.params);
        self
    }

    /// `(?, ?, …)`
    pub(super) fn bind_list(&mut self, values: &[Value]) -> &mut Sql {
        self.push("(");
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.bind(value.clone());
        }
        self.push(")")
    }

    /// The condition, for a row of `execution` named `e`.
    pub(super) fn filter(&mut self, filter: &Filter) -> &mut Sql {
        let each = |sql: &mut Sql, filter: &Filter| {
            sql.filter(filter);
        };
        match filter {
            Filter::All(parts) => self.join(parts, " AND ", &each),
            Filter::Any(parts) => self.join(parts, " OR ", &each),
            Filter::Not(inner) => self.push("NOT (").filter(inner).push(")"),
            Filter::Compare {
                field,
                operator,
                value,
            } => self
                .push(&field_sql(*field))
                .push(" ")
                .push(operator.sql())
                .push(" ")
                .bind(value.clone()),
            Filter::In {
                field,
                values,
                negated,
            } => self
                .push(&field_sql(*field))
                .push(if *negated { " NOT IN " } else { " IN " })
                .bind_list(values),
            Filter::Between {
                field,
                low,
                high,
                negated,
            } => self
                .push(&field_sql(*field))
                .push(if *negated { " NOT BETWEEN " } else { " BETWEEN " })
                .bind(low.clone())
                .push(" AND ")
                .bind(high.clone()),
            Filter::Prefix {
                field,
                prefix,
                negated,
            } => {
                let field = field_sql(*field);
                self.push(if *negated { "NOT (" } else { "(" });
                self.push(&field).push(" >= ").bind(prefix.clone());
                if let Some(end) = after_prefix(prefix) {
                    self.push(" AND ").push(&field).push(" < ").bind(end);
                }
                self.push(")")
            }
            Filter::Null { field, negated } => {
                self.push(&field_sql(*field))
                    .push(if *negated { " IS NOT NULL" } else { " IS NULL" })
            }
            Filter::Contains {
                field,
                values,
                negated,
            } => self
                .push(if *negated { "NOT EXISTS (" } else { "EXISTS (" })
                .push("SELECT 1 FROM json_each(e.attributes, ")
                .push(&path(*field))
                .push(") WHERE value IN ")
                .bind_list(values)
                .push(")"),
            Filter::Words { field, runs, negated } => {
                self.push(if *negated { "NOT (" } else { "(" });
                self.join(runs, " OR ", &|sql, run| {
                    sql.push("coalesce(instr(").push(&field_sql(*field)).push(", ");
                    sql.bind(super::value::phrase(run)).push("), 0) > 0");
                });
                self.push(")")
            }
            Filter::Never => self.push("0"),
        }
    }

    /// The parts as a balanced tree: SQLite limits the depth of expressions, and a plain chain is as deep as long.
    fn join<T>(&mut self, parts: &[T], operator: &str, each: &dyn Fn(&mut Sql, &T)) -> &mut Sql {
        match parts {
            [] => self,
            [only] => {
                each(self, only);
                self
            }
            _ => {
                let (left, right) = parts.split_at(parts.len() / 2);
                self.push("(").join(left, operator, each).push(")").push(operator);
                self.push("(").join(right, operator, each).push(")")
            }
        }
    }
}

/// The SQL of an attribute's value. A stored one's id is a number of ours, so it may stand in the text.
pub(super) fn field_sql(field: Field) -> String {
    match field {
        Field::Column(column, _) => column.sql().to_owned(),
        Field::Stored(id) => format!("json_extract(e.attributes, {})", stored_path(id)),
    }
}

/// Whether every row has a value.
pub(super) fn never_null(field: Field) -> bool {
    matches!(field, Field::Column(Column::StartTime, _))
}

fn path(field: Field) -> String {
    match field {
        Field::Stored(id) => stored_path(id),
        // No column is a list.
        Field::Column(..) => "'$.none'".to_owned(),
    }
}

fn stored_path(id: AttributeId) -> String {
    format!("'$.\"{}\"'", id.stored())
}

/// The least text greater than all that begin with `prefix`; `None` if there is no end to them.
pub(super) fn after_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}
