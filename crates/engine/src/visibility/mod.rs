//! Visibility: finding executions by Temporal's query language over built-in and custom search attributes.
//!
//! [`Query::parse`] reads a query and checks it against a namespace's attributes; [`list`] and [`count`] run it on
//! the tables of [`SCHEMA`], which [`upsert_start`], [`update_close`], [`replace_attributes`] and [`delete`] keep in
//! step with the executions. What a query means, and what is said about a wrong one, is as observed from the real
//! server; beyond it, lists can be ordered.

mod access;
mod analysis;
mod ast;
mod attribute;
mod audit;
mod builtin;
mod count;
mod counts;
mod duration;
mod error;
mod filter;
mod lexer;
mod list;
mod literal;
mod order;
mod parser;
mod payload;
mod plan;
mod registry;
mod resolve;
mod row;
mod schedules;
mod sql;
mod statuses;
mod tables;
#[cfg(test)]
mod tests;
mod time;
mod token;
mod value;
mod write;

pub(crate) use ast::{Condition, Operand};
pub(crate) use attribute::{ActivityAttributes, activity_namespace};
pub use attribute::{AttributeId, AttributeType, AttributeTypes};
pub(crate) use audit::audit;
pub use builtin::{is_system, predefined_attributes, system_attributes};
pub use count::{Count, count, group_value};
pub use error::{Error, QueryError};
pub use filter::Query;
pub use list::{Page, list};
pub use literal::status_name;
pub(crate) use parser::parse_condition;
pub use payload::{AttributeError, IndexedAttributes, note_types};
pub use registry::{Registry, RegistryError};
pub use row::ExecutionRow;
pub(crate) use tables::prepare;
pub(crate) use time::parse_datetime;
pub use write::{
    ClosedExecution, StartedExecution, delete, replace_attributes, replace_memo, update_close,
    update_open_status, upsert_start,
};

/// The tables, indexes and triggers, for a new file; may be run on one that has them all.
pub const SCHEMA: &str = concat!(
    include_str!("schema.sql"),
    include_str!("durations.sql"),
    include_str!("counts.sql")
);
