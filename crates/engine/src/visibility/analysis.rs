//! What the top-level conditions of a query say about where its executions are to be found.

use std::collections::BTreeMap;

use rusqlite::types::Value;

use super::access::{Access, Bounds, Range};
use super::attribute::{AttributeId, AttributeType, Column, Field};
use super::builtin::DIVISION;
use super::filter::{Filter, Operator, Query};
use super::sql::after_prefix;

/// `order_time` of an open execution.
pub(super) const OPEN: i64 = i64::MAX;
/// How many values an access may list whose values are each in order: each costs a statement.
const MAX_VALUES: usize = 16;
/// How many ids an access may list: they share one statement, in which each is a look into an index.
const MAX_IDS: usize = 1_000;
/// The bits of the open statuses (1 running, 8 paused) and of those in the partial index (3 to 7).
const OPEN_STATUSES: u32 = 1 << 1 | 1 << 8;
const INDEXED_STATUSES: u32 = 0b1111_1000;
/// The bits of the statuses that an execution can have: unspecified is none.
const ALL_STATUSES: u32 = 0b1_1111_1110;

/// Conclusions from a query, each of which holds for all executions that it selects.
#[derive(Debug, PartialEq)]
pub(super) struct Analysis {
    /// The scopes to look in.
    pub(super) scopes: Vec<i64>,
    /// Between which `order_time`s.
    pub(super) bounds: Bounds,
    /// Sets of executions each of which holds all that are selected.
    pub(super) accesses: Vec<Access>,
    /// A set that is just what is selected, each execution in it once.
    pub(super) exact: Option<Access>,
    /// The least execution time: those that closed before they were to begin may have closed before it.
    pub(super) begins: i64,
    /// The statuses possible, by bit.
    statuses: u32,
    /// The types possible, where a condition tells.
    types: Range,
    stored_ranges: BTreeMap<AttributeId, Range>,
}

/// Draws the conclusions.
pub(super) fn analyse(query: &Query, namespace_key: i64) -> Analysis {
    let mut analysis = Analysis::of_all(if query.divisions {
        vec![namespace_key, -namespace_key]
    } else {
        vec![namespace_key]
    });
    if let Some(filter) = &query.filter {
        analysis.conjunct(filter);
        analysis.exact = exact(filter);
    }
    analysis.finish();
    if analysis.bounds.low > i64::MIN || analysis.bounds.high < OPEN - 1 {
        analysis.accesses.push(Access::Times);
    }
    analysis
}

impl Analysis {
    /// The statuses possible, where not all are.
    pub(super) fn statuses(&self) -> Option<Vec<Value>> {
        let possible = (1..=8).filter(|status| self.statuses & (1 << status) != 0);
        (self.statuses != ALL_STATUSES).then(|| possible.map(Value::Integer).collect())
    }

    /// What is known without a condition.
    fn of_all(scopes: Vec<i64>) -> Self {
        Self {
            scopes,
            bounds: Bounds {
                low: i64::MIN,
                high: OPEN,
                start: Range::default(),
            },
            accesses: Vec::new(),
            exact: None,
            begins: i64::MIN,
            statuses: ALL_STATUSES,
            types: Range::default(),
            stored_ranges: BTreeMap::new(),
        }
    }

    fn conjunct(&mut self, filter: &Filter) {
        match filter {
            Filter::All(parts) => parts.iter().for_each(|part| self.conjunct(part)),
            Filter::Any(parts) => self.accesses.extend(any_of(parts)),
            Filter::Compare {
                field,
                operator,
                value,
            } => self.compare(*field, *operator, value),
            Filter::In {
                field,
                values,
                negated: false,
            } => self.one_of(*field, values),
            Filter::In {
                field: Field::Column(Column::ExecutionStatus, _),
                values,
                negated: true,
            } => {
                self.statuses &= !bits(values);
            }
            Filter::Between {
                field,
                low,
                high,
                negated: false,
            } => {
                self.compare(*field, Operator::GreaterOrEqual, low);
                self.compare(*field, Operator::LessOrEqual, high);
            }
            Filter::Prefix {
                field,
                prefix,
                negated: false,
            } => {
                let mut range = Range::above(Value::Text(prefix.clone()), true);
                if let Some(end) = after_prefix(prefix) {
                    range = range.and(Range::below(Value::Text(end), false));
                }
                match field {
                    Field::Column(Column::WorkflowId, _) => {
                        self.accesses.push(Access::WorkflowIdRange(range))
                    }
                    Field::Column(Column::WorkflowType, _) => self.type_range(range),
                    Field::Stored(id) => self.stored_range(*id, range),
                    Field::Column(..) => {}
                }
            }
            Filter::Null {
                field: Field::Column(Column::CloseTime, _),
                negated,
            } => {
                if *negated {
                    self.bounds.high = self.bounds.high.min(OPEN - 1);
                } else {
                    self.bounds.low = OPEN;
                }
            }
            Filter::Null {
                field: Field::Stored(DIVISION),
                negated,
            } => {
                self.scopes.retain(|scope| (*scope < 0) == *negated);
            }
            Filter::Contains {
                field: Field::Stored(id),
                values,
                negated: false,
            } => self.stored(*id, values),
            Filter::Words {
                field: Field::Stored(id),
                runs,
                negated: false,
            } => {
                let longest = |run: &Vec<String>| run.iter().max_by_key(|word| word.len()).cloned();
                let words: Vec<Value> = runs.iter().filter_map(longest).map(Value::Text).collect();
                self.stored(*id, &words);
            }
            _ => {}
        }
    }

    fn compare(&mut self, field: Field, operator: Operator, value: &Value) {
        let range = match operator {
            Operator::Equal => return self.one_of(field, std::slice::from_ref(value)),
            Operator::NotEqual => {
                if let Field::Column(Column::ExecutionStatus, _) = field {
                    self.statuses &= !bits(std::slice::from_ref(value));
                }
                return;
            }
            Operator::Greater => Range::above(value.clone(), false),
            Operator::GreaterOrEqual => Range::above(value.clone(), true),
            Operator::Less => Range::below(value.clone(), false),
            Operator::LessOrEqual => Range::below(value.clone(), true),
        };
        let lower = matches!(operator, Operator::Greater | Operator::GreaterOrEqual);
        match (field, value) {
            (Field::Column(Column::StartTime, _), Value::Integer(time)) => {
                // Nothing closes before it starts.
                if lower {
                    self.bounds.low = self.bounds.low.max(*time);
                }
                self.bounds.start = std::mem::take(&mut self.bounds.start).and(range);
            }
            (Field::Column(Column::CloseTime, _), Value::Integer(time)) => {
                self.bounds.high = self.bounds.high.min(if lower { OPEN - 1 } else { *time });
                if lower {
                    self.bounds.low = self.bounds.low.max(*time);
                }
            }
            (Field::Column(Column::WorkflowId, _), _) => self.accesses.push(Access::WorkflowIdRange(range)),
            (Field::Column(Column::WorkflowType, _), _) => self.type_range(range),
            (Field::Column(Column::ExecutionTime, _), Value::Integer(time)) if lower => {
                self.begins = self.begins.max(*time);
            }
            // Nothing is executed before it starts.
            (Field::Column(Column::ExecutionTime, _), Value::Integer(_)) => {
                self.bounds.start = std::mem::take(&mut self.bounds.start).and(range);
            }
            (Field::Stored(id), _) => self.stored_range(id, range),
            _ => {}
        }
    }

    fn type_range(&mut self, range: Range) {
        self.types = std::mem::take(&mut self.types).and(range);
    }

    fn one_of(&mut self, field: Field, values: &[Value]) {
        match field {
            Field::Column(Column::ExecutionStatus, _) => self.statuses &= bits(values),
            Field::Column(Column::StartTime | Column::CloseTime | Column::ExecutionTime, _) => {
                if let [value] = values {
                    self.compare(field, Operator::GreaterOrEqual, value);
                    self.compare(field, Operator::LessOrEqual, value);
                }
            }
            Field::Stored(id) => {
                if id == DIVISION {
                    self.scopes.retain(|scope| *scope < 0);
                }
                self.stored(id, values);
            }
            Field::Column(Column::WorkflowType, _) if values.len() <= MAX_VALUES => {
                self.accesses.push(Access::Types(values.to_vec()))
            }
            _ if values.len() > MAX_IDS => {}
            Field::Column(Column::WorkflowId, _) => self.accesses.push(Access::WorkflowIds(values.to_vec())),
            Field::Column(Column::ParentWorkflowId, _) => {
                self.accesses.push(Access::Parents(values.to_vec()))
            }
            Field::Column(Column::RootWorkflowId, _) => self.accesses.push(Access::Roots(values.to_vec())),
            Field::Column(..) => {}
        }
    }

    fn stored(&mut self, id: AttributeId, values: &[Value]) {
        if values.len() <= MAX_VALUES {
            self.accesses.push(Access::Stored(id, values.to_vec()));
        }
    }

    fn stored_range(&mut self, id: AttributeId, range: Range) {
        // Of a text the index has words, not the whole.
        if id.ty() != AttributeType::Text {
            let so_far = self.stored_ranges.remove(&id).unwrap_or_default();
            self.stored_ranges.insert(id, so_far.and(range));
        }
    }

    fn finish(&mut self) {
        if self.statuses & !OPEN_STATUSES == 0 {
            self.bounds.low = OPEN;
        }
        if self.statuses & OPEN_STATUSES == 0 {
            self.bounds.high = self.bounds.high.min(OPEN - 1);
        }
        // Open ones alone are between the times.
        if self.statuses & !(INDEXED_STATUSES | OPEN_STATUSES) == 0 && self.statuses & INDEXED_STATUSES != 0 {
            self.accesses.extend(self.statuses().map(Access::Statuses));
        }
        if !self.types.is_all() {
            self.accesses.push(Access::TypeRange(self.types.clone()));
        }
        let ranges = std::mem::take(&mut self.stored_ranges);
        self.accesses.extend(
            ranges
                .into_iter()
                .map(|(id, range)| Access::StoredRange(id, range)),
        );
        if !self.bounds.start.is_all() {
            self.accesses.push(Access::StartRange(self.bounds.start.clone()));
        }
    }
}

/// The set of the executions that one of these conditions may select, where each of them has one of its own.
fn any_of(parts: &[Filter]) -> Option<Access> {
    if parts.len() > MAX_VALUES {
        return None;
    }
    let set = |part: &Filter| {
        let mut analysis = Analysis::of_all(Vec::new());
        analysis.conjunct(part);
        analysis.finish();
        analysis.accesses.into_iter().next()
    };
    parts.iter().map(set).collect::<Option<Vec<_>>>().map(Access::Any)
}

fn exact(filter: &Filter) -> Option<Access> {
    match filter {
        Filter::Compare {
            field: Field::Stored(id),
            operator: Operator::Equal,
            value,
        } => Some(Access::Stored(*id, vec![value.clone()])),
        Filter::Contains {
            field: Field::Stored(id),
            values,
            negated: false,
        } if values.len() == 1 => Some(Access::Stored(*id, values.clone())),
        Filter::Null {
            field: Field::Stored(id),
            negated: true,
        } if !matches!(id.ty(), AttributeType::Text | AttributeType::KeywordList) => {
            Some(Access::StoredRange(*id, Range::default()))
        }
        _ => None,
    }
}

fn bits(values: &[Value]) -> u32 {
    let bit = |value: &Value| match value {
        Value::Integer(status @ 0..=31) => 1 << status,
        _ => 0,
    };
    values.iter().map(bit).fold(0, |all, bit| all | bit)
}
