//! The attributes every namespace has: system ones, kept in columns and set by the engine alone, and predefined ones,
//! stored beside the custom attributes.

use super::attribute::{AttributeId, AttributeType, AttributeTypes, Column, Field};
use AttributeType::{Bool, Datetime, Int, Keyword, KeywordList};

/// System attributes: name, type, column.
const SYSTEM: [(&str, AttributeType, Column); 16] = [
    ("CloseTime", Datetime, Column::CloseTime),
    ("ExecutionDuration", Int, Column::ExecutionDuration),
    ("ExecutionStatus", Keyword, Column::ExecutionStatus),
    ("ExecutionTime", Datetime, Column::ExecutionTime),
    ("HistoryLength", Int, Column::HistoryLength),
    ("HistorySizeBytes", Int, Column::HistorySizeBytes),
    ("ParentRunId", Keyword, Column::ParentRunId),
    ("ParentWorkflowId", Keyword, Column::ParentWorkflowId),
    ("RootRunId", Keyword, Column::RootRunId),
    ("RootWorkflowId", Keyword, Column::RootWorkflowId),
    ("RunId", Keyword, Column::RunId),
    ("StartTime", Datetime, Column::StartTime),
    ("StateTransitionCount", Int, Column::StateTransitionCount),
    ("TaskQueue", Keyword, Column::TaskQueue),
    ("WorkflowId", Keyword, Column::WorkflowId),
    ("WorkflowType", Keyword, Column::WorkflowType),
];

/// Predefined attributes: name, type, number. The numbers are in files: never change one.
const PREDEFINED: [(&str, AttributeType, i64); 17] = [
    ("BatcherNamespace", Keyword, 1),
    ("BatcherUser", Keyword, 2),
    ("BinaryChecksums", KeywordList, 3),
    ("BuildIds", KeywordList, 4),
    ("TemporalChangeVersion", KeywordList, 5),
    ("TemporalExternalPayloadCount", Int, 6),
    ("TemporalExternalPayloadSizeBytes", Int, 7),
    (DIVISION_NAME, Keyword, DIVISION_NUMBER),
    ("TemporalPauseInfo", KeywordList, 9),
    ("TemporalReportedProblems", KeywordList, 10),
    ("TemporalSchedulePaused", Bool, 11),
    ("TemporalScheduledById", Keyword, 12),
    ("TemporalScheduledStartTime", Datetime, 13),
    ("TemporalUsedWorkerDeploymentVersions", KeywordList, 14),
    ("TemporalWorkerDeployment", Keyword, 15),
    ("TemporalWorkerDeploymentVersion", Keyword, 16),
    ("TemporalWorkflowVersioningBehavior", Keyword, 17),
];

/// The first number of a custom attribute.
pub(super) const FIRST_CUSTOM_NUMBER: i64 = 1024;
/// The attribute that moves an execution out of ordinary queries' sight.
const DIVISION_NAME: &str = "TemporalNamespaceDivision";
const DIVISION_NUMBER: i64 = 8;
/// The id of `TemporalNamespaceDivision`.
pub(super) const DIVISION: AttributeId = AttributeId::new(DIVISION_NUMBER, Keyword);
/// What the workflow ids of schedules begin with; the attribute `ScheduleId` is the rest of the workflow id.
pub(super) const SCHEDULE_ID_PREFIX: &str = "temporal-sys-scheduler:";

/// The name and type of each system attribute, by name.
pub fn system_attributes() -> impl Iterator<Item = (&'static str, AttributeType)> {
    SYSTEM.into_iter().map(|(name, ty, _)| (name, ty))
}

/// The name and type of each predefined attribute, by name.
pub fn predefined_attributes() -> impl Iterator<Item = (&'static str, AttributeType)> {
    PREDEFINED.into_iter().map(|(name, ty, _)| (name, ty))
}

/// Whether only the engine may set this attribute.
pub fn is_system(name: &str) -> bool {
    SYSTEM.iter().any(|(system, _, _)| *system == name)
}

fn system(name: &str) -> Option<Field> {
    let (_, ty, column) = SYSTEM.into_iter().find(|(system, _, _)| *system == name)?;
    Some(Field::Column(column, ty))
}

/// The id of a predefined attribute.
pub(super) fn predefined(name: &str) -> Option<AttributeId> {
    let (_, ty, number) = PREDEFINED
        .into_iter()
        .find(|(predefined, _, _)| *predefined == name)?;
    Some(AttributeId::new(number, ty))
}

/// What a name in a query stands for: itself, else the built-in attribute whose name has or lacks the prefix
/// `Temporal`, as the real server resolves names.
pub(super) fn resolve(name: &str, types: &dyn AttributeTypes) -> Option<Field> {
    let built_in = |name: &str| system(name).or_else(|| predefined(name).map(Field::Stored));
    let name = match name {
        "ActivityId" if types.are_of_activities() => "WorkflowId",
        "ActivityType" if types.are_of_activities() => "WorkflowType",
        other => other,
    };
    types
        .custom(name)
        .map(Field::Stored)
        .or_else(|| built_in(name))
        .or_else(|| {
            if name == "TemporalBuildIds" {
                built_in("BuildIds")
            } else {
                None
            }
        })
        .or_else(|| predefined(&format!("Temporal{name}")).map(Field::Stored))
}
