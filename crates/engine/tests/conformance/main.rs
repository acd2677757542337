//! What an engine does, each scenario on the embedded engine and on a real Temporal server: what is
//! expected of ours is then also true of the real one.
//!
//! Most scenarios are workers and clients made by hand from single RPCs, so that the order of what
//! happens is theirs; `sdk` uses the official SDK's worker.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod activities;
mod activity_control;
mod activity_timeouts;
mod backup;
mod batches;
mod bed;
mod build_ids;
mod children;
mod cli;
mod cli_activities;
mod cli_deployments;
mod cli_json;
mod cli_json_work;
mod cli_operations;
mod closing;
mod command_details;
mod connections;
mod continue_as_new;
mod cron;
mod deleting;
mod deployments;
mod differential;
mod eager;
mod embedded;
mod external;
mod external_payloads;
mod history;
mod ids;
mod inherited_versions;
mod limits;
mod links;
mod lists;
mod messages;
mod namespaces;
mod nexus;
mod options;
mod oversize;
mod own_attributes;
mod queries;
mod query_language;
mod request_links;
mod reset;
mod restart;
mod schedules;
mod schedules_actions;
mod schedules_cli;
mod schedules_lists;
mod schedules_restart;
mod sdk;
mod sdk_updates;
mod sdk_versioning;
mod speculative;
mod standalone;
mod sticky;
mod task_queues;
mod timers;
mod tokens;
mod update_messages;
mod update_with_start;
mod updates;
mod visibility;
mod workers;
mod workflow_task_details;
mod workflow_tasks;
