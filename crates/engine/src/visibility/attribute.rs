//! Search attributes: their types, the columns behind the built-in ones, and the ids of the stored ones.

/// The type of a search attribute; the numbers are those of `temporal.api.enums.v1.IndexedValueType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AttributeType {
    /// Searched by words.
    Text = 1,
    /// Compared as a whole, byte for byte.
    Keyword = 2,
    /// A 64-bit integer.
    Int = 3,
    /// A 64-bit floating-point number.
    Double = 4,
    /// True or false.
    Bool = 5,
    /// A point in time, nanoseconds since 1970.
    Datetime = 6,
    /// Several keywords; `=` asks whether one of them is the value.
    KeywordList = 7,
}

impl AttributeType {
    /// All types.
    pub const ALL: [AttributeType; 7] = [
        AttributeType::Text,
        AttributeType::Keyword,
        AttributeType::Int,
        AttributeType::Double,
        AttributeType::Bool,
        AttributeType::Datetime,
        AttributeType::KeywordList,
    ];

    /// The type with this protocol number.
    pub fn from_number(number: i32) -> Option<AttributeType> {
        Self::ALL.into_iter().find(|ty| *ty as i32 == number)
    }

    /// The type with this name, as payloads carry it in their metadata `type`.
    pub fn from_name(name: &str) -> Option<AttributeType> {
        Self::ALL.into_iter().find(|ty| ty.name() == name)
    }

    /// The name, as payloads carry it in their metadata `type`.
    pub fn name(self) -> &'static str {
        match self {
            AttributeType::Text => "Text",
            AttributeType::Keyword => "Keyword",
            AttributeType::Int => "Int",
            AttributeType::Double => "Double",
            AttributeType::Bool => "Bool",
            AttributeType::Datetime => "Datetime",
            AttributeType::KeywordList => "KeywordList",
        }
    }
}

/// The id under which values of a stored attribute are filed. Its type is part of it, so an attribute removed and
/// added again with another type never meets its old values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeId(i64);

impl AttributeId {
    /// The id of attribute `number` (of `search_attribute_type`, or of the predefined ones).
    pub(super) const fn new(number: i64, ty: AttributeType) -> AttributeId {
        AttributeId(number * 8 + ty as i64)
    }

    /// The id as stored, if it is one.
    pub(super) fn from_stored(id: i64) -> Option<AttributeId> {
        AttributeType::from_number((id % 8) as i32).map(|_| AttributeId(id))
    }

    /// The integer stored.
    pub(super) fn stored(self) -> i64 {
        self.0
    }

    /// The type of the values.
    pub fn ty(self) -> AttributeType {
        // Every constructor has checked the low bits.
        AttributeType::from_number((self.0 % 8) as i32).unwrap_or(AttributeType::Keyword)
    }
}

/// Which custom attributes a namespace has. The built-in ones are known without it.
pub trait AttributeTypes {
    /// The namespace's name, for error messages.
    fn namespace(&self) -> &str;
    /// The custom attribute with exactly this name.
    fn custom(&self, name: &str) -> Option<AttributeId>;
    /// Whether the query is on standalone activities, whose ids and types go by other names.
    fn are_of_activities(&self) -> bool {
        false
    }
}

/// The attributes of a namespace's standalone activities.
pub(crate) struct ActivityAttributes<'a>(pub(crate) &'a dyn AttributeTypes);

impl AttributeTypes for ActivityAttributes<'_> {
    fn namespace(&self) -> &str {
        self.0.namespace()
    }

    fn custom(&self, name: &str) -> Option<AttributeId> {
        self.0.custom(name)
    }

    fn are_of_activities(&self) -> bool {
        true
    }
}

/// The namespace key under which a namespace's standalone activities are filed: no query on workflows
/// looks there.
pub(crate) fn activity_namespace(namespace_key: u32) -> i64 {
    i64::from(namespace_key) + (1 << 32)
}

/// A built-in attribute kept in a column of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Column {
    WorkflowId,
    RunId,
    WorkflowType,
    TaskQueue,
    ExecutionStatus,
    StartTime,
    ExecutionTime,
    CloseTime,
    ExecutionDuration,
    HistoryLength,
    HistorySizeBytes,
    StateTransitionCount,
    ParentWorkflowId,
    ParentRunId,
    RootWorkflowId,
    RootRunId,
}

impl Column {
    /// The SQL of its value, for a row of `execution` named `e`.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Column::WorkflowId => "e.workflow_id",
            Column::RunId => "e.run_id",
            Column::WorkflowType => "e.workflow_type",
            Column::TaskQueue => "e.task_queue",
            Column::ExecutionStatus => "e.status",
            Column::StartTime => "e.start_time",
            Column::ExecutionTime => "e.execution_time",
            Column::CloseTime => "e.close_time",
            Column::ExecutionDuration => "(e.close_time - e.execution_time)",
            Column::HistoryLength => "e.history_length",
            Column::HistorySizeBytes => "e.history_size_bytes",
            Column::StateTransitionCount => "e.state_transition_count",
            Column::ParentWorkflowId => "e.parent_workflow_id",
            Column::ParentRunId => "e.parent_run_id",
            Column::RootWorkflowId => "coalesce(e.root_workflow_id, e.workflow_id)",
            Column::RootRunId => "coalesce(e.root_run_id, e.run_id)",
        }
    }
}

/// Where an attribute's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Field {
    /// In a column.
    Column(Column, AttributeType),
    /// With the other search attributes.
    Stored(AttributeId),
}

impl Field {
    /// The type of the values.
    pub(super) fn ty(self) -> AttributeType {
        match self {
            Field::Column(_, ty) => ty,
            Field::Stored(id) => id.ty(),
        }
    }
}
