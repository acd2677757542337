//! Ways by which rows are reached: indexes that the conditions of a query allow.

use std::cmp::Ordering;

use rusqlite::types::Value;

use super::attribute::AttributeId;
use super::sql::Sql;

/// A set of executions that an index finds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Access {
    /// Of these workflow types; each type's in the default order.
    Types(Vec<Value>),
    TypeRange(Range),
    /// Of these statuses, which are open ones or in the partial index; each status's in the default order.
    Statuses(Vec<Value>),
    /// With these values of an attribute; each value's in the default order.
    Stored(AttributeId, Vec<Value>),
    /// With a value of an attribute in a range.
    StoredRange(AttributeId, Range),
    WorkflowIds(Vec<Value>),
    WorkflowIdRange(Range),
    Parents(Vec<Value>),
    Roots(Vec<Value>),
    StartRange(Range),
    /// Between the query's times, in the default order.
    Times,
    /// Those that one of these finds.
    Any(Vec<Access>),
}

/// The times between which executions are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bounds {
    /// The least and the greatest `order_time`.
    pub(super) low: i64,
    pub(super) high: i64,
    pub(super) start: Range,
}

impl Bounds {
    /// Narrows a condition to them, for an index that has both times.
    fn push_to(&self, sql: &mut Sql) {
        if self.low > i64::MIN {
            sql.push(" AND order_time >= ").bind(self.low);
        }
        if self.high < i64::MAX {
            sql.push(" AND order_time <= ").bind(self.high);
        }
        self.start.push_to(sql, "start_time");
    }
}

impl Access {
    /// A query of the keys: of all within the bounds, and of others where the index does not have the time. It may give a
    /// key more than once.
    pub(super) fn keys(&self, scope: i64, bounds: &Bounds) -> Sql {
        self.rows("key", scope, bounds)
    }

    /// A query of columns that its index has, of the same rows.
    pub(super) fn rows(&self, columns: &str, scope: i64, bounds: &Bounds) -> Sql {
        let mut sql = Sql::default();
        let execution = |sql: &mut Sql, index: &str, column: &str| {
            sql.push("SELECT ")
                .push(columns)
                .push(" FROM execution INDEXED BY ")
                .push(index)
                .push(" WHERE scope = ")
                .bind(scope);
            sql.push(" AND ").push(column);
        };
        let stored = |sql: &mut Sql, id: AttributeId| {
            sql.push("SELECT ")
                .push(columns)
                .push(" FROM execution_attribute WHERE scope = ")
                .bind(scope);
            sql.push(" AND attribute = ").bind(id.stored()).push(" AND value");
        };
        match self {
            Access::Types(values) => {
                execution(&mut sql, "execution_by_type", "workflow_type IN ");
                sql.bind_list(values);
                bounds.push_to(&mut sql);
            }
            Access::TypeRange(range) => {
                execution(&mut sql, "execution_by_type", "workflow_type IS NOT NULL");
                range.push_to(&mut sql, "workflow_type");
                bounds.push_to(&mut sql);
            }
            Access::Statuses(values) => {
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        sql.push(" UNION ALL ");
                    }
                    let (index, condition) = status_index(value);
                    execution(&mut sql, index, &format!("{condition} AND status = "));
                    sql.bind(value.clone());
                    bounds.push_to(&mut sql);
                }
            }
            Access::Stored(id, values) => {
                stored(&mut sql, *id);
                sql.push(" IN ").bind_list(values);
                bounds.push_to(&mut sql);
            }
            Access::StoredRange(id, range) => {
                stored(&mut sql, *id);
                sql.push(" IS NOT NULL");
                range.push_to(&mut sql, "value");
                bounds.push_to(&mut sql);
            }
            Access::WorkflowIds(values) => {
                execution(&mut sql, "execution_by_workflow_id", "workflow_id IN ");
                sql.bind_list(values);
            }
            Access::WorkflowIdRange(range) => {
                execution(&mut sql, "execution_by_workflow_id", "workflow_id IS NOT NULL");
                range.push_to(&mut sql, "workflow_id");
            }
            Access::Parents(values) => {
                execution(&mut sql, "execution_by_parent", "parent_workflow_id IN ");
                sql.bind_list(values);
            }
            Access::Roots(values) => {
                execution(&mut sql, "execution_by_root", "root_workflow_id IN ");
                sql.bind_list(values).push(" UNION ALL ");
                // An execution that is its own root.
                execution(&mut sql, "execution_by_workflow_id", "workflow_id IN ");
                sql.bind_list(values);
            }
            Access::StartRange(range) => {
                execution(&mut sql, "execution_by_start", "start_time IS NOT NULL");
                range.push_to(&mut sql, "start_time");
            }
            Access::Times => {
                execution(&mut sql, "execution_by_order", "order_time IS NOT NULL");
                bounds.push_to(&mut sql);
            }
            Access::Any(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        sql.push(" UNION ALL ");
                    }
                    sql.append(&part.rows(columns, scope, bounds));
                }
            }
        }
        sql
    }

    /// What an index is gone through for to give the keys: those, and others that it meets between them.
    pub(super) fn entries(&self, scope: i64, bounds: &Bounds) -> Sql {
        let order_time = |low, high| Bounds {
            low,
            high,
            start: Range::default(),
        };
        match self {
            Access::Any(parts) => {
                let mut sql = Sql::default();
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        sql.push(" UNION ALL ");
                    }
                    sql.append(&part.entries(scope, bounds));
                }
                sql
            }
            Access::StoredRange(..) | Access::TypeRange(_) => {
                self.keys(scope, &order_time(i64::MIN, i64::MAX))
            }
            _ => self.keys(scope, &order_time(bounds.low, bounds.high)),
        }
    }

    /// Whether rows come in the default order: all of them, or those of each of the values.
    pub(super) fn is_ordered(&self) -> bool {
        matches!(
            self,
            Access::Types(_) | Access::Statuses(_) | Access::Stored(..) | Access::Times
        )
    }

    /// Whether its index has the times of the default order, so that its entries can be sorted by them.
    pub(super) fn has_times(&self) -> bool {
        match self {
            Access::TypeRange(_) | Access::StoredRange(..) => true,
            Access::Any(parts) => parts.iter().all(Access::has_times),
            other => other.is_ordered(),
        }
    }

    /// The condition that a row `a` with the columns of the default order is one of these, by a look into the index; none
    /// where that does not tell.
    pub(super) fn probe(&self, scope: i64) -> Option<Sql> {
        let mut sql = Sql::new("EXISTS (SELECT 1 FROM ");
        match self {
            Access::Types(types) => {
                sql.push("execution p INDEXED BY execution_by_type WHERE p.workflow_type IN ")
                    .bind_list(types);
            }
            Access::Stored(id, values) => {
                sql.push("execution_attribute p WHERE p.attribute = ")
                    .bind(id.stored())
                    .push(" AND p.value IN ")
                    .bind_list(values);
            }
            _ => return None,
        }
        sql.push(" AND p.scope = ").bind(scope);
        sql.push(" AND p.order_time = a.order_time AND p.start_time = a.start_time AND p.key = a.key)");
        Some(sql)
    }
}

/// The index that has the executions of a status in the default order, and the condition that says so.
pub(super) fn status_index(status: &Value) -> (&'static str, &'static str) {
    match status {
        // The partial index is used only by conditions from which its own visibly follows.
        Value::Integer(3..=7) => ("execution_by_status", "status BETWEEN 3 AND 7"),
        _ => ("execution_by_order", "order_time = 9223372036854775807"),
    }
}

/// A bound and whether it is itself included.
type Bound = Option<(Value, bool)>;

/// Values between two bounds, each optional.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Range {
    low: Bound,
    high: Bound,
}

impl Range {
    pub(super) fn above(value: Value, included: bool) -> Range {
        Range {
            low: Some((value, included)),
            high: None,
        }
    }

    pub(super) fn below(value: Value, included: bool) -> Range {
        Range {
            low: None,
            high: Some((value, included)),
        }
    }

    /// The values in both ranges, or in a somewhat larger range.
    pub(super) fn and(self, other: Range) -> Range {
        Range {
            low: tighter(self.low, other.low, Ordering::Greater),
            high: tighter(self.high, other.high, Ordering::Less),
        }
    }

    /// No number in the range is greater, where it tells.
    pub(super) fn greatest(&self) -> Option<i64> {
        match self.high {
            Some((Value::Integer(high), _)) => Some(high),
            _ => None,
        }
    }

    pub(super) fn is_all(&self) -> bool {
        self.low.is_none() && self.high.is_none()
    }

    pub(super) fn push_to(&self, sql: &mut Sql, column: &str) {
        for (bound, open, closed) in [(&self.low, " > ", " >= "), (&self.high, " < ", " <= ")] {
            if let Some((value, included)) = bound {
                sql.push(" AND ")
                    .push(column)
                    .push(if *included { closed } else { open })
                    .bind(value.clone());
            }
        }
    }
}

fn tighter(a: Bound, b: Bound, wanted: Ordering) -> Bound {
    match (a, b) {
        (Some(a), Some(b)) => {
            let order = match (&a.0, &b.0) {
                (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
                (Value::Text(a), Value::Text(b)) => a.cmp(b),
                // Of mixed numbers either bound is right: the condition itself is still tested on each row.
                _ => wanted,
            };
            let take_b = order != wanted && (order != Ordering::Equal || a.1);
            Some(if take_b { b } else { a })
        }
        (a, b) => a.or(b),
    }
}
