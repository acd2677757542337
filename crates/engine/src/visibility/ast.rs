//! A query as written: names not looked up, values not checked.

/// A query's clauses.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Statement {
    pub(super) condition: Option<Condition>,
    pub(super) group_by: Vec<Operand>,
    /// Each with whether it is descending.
    pub(super) order_by: Vec<(Operand, bool)>,
    pub(super) limit: bool,
}

/// A condition on an execution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// `left op right`, with the operator as error messages write it.
    Compare(Operand, &'static str, Operand),
    In {
        left: Operand,
        values: Vec<Operand>,
        negated: bool,
    },
    Between {
        left: Operand,
        low: Operand,
        high: Operand,
        negated: bool,
    },
    IsNull {
        left: Operand,
        negated: bool,
    },
    /// `IS` anything but NULL.
    IsOther,
    /// An operand where a condition belongs.
    Bare(Operand),
}

/// What stands on either side of an operator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Attribute(String),
    Str(String),
    /// As written, with its sign.
    Number(String),
    Bool(bool),
    Null,
}
