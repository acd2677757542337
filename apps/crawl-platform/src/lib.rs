//! A web-data platform on Segno: the life of crawler runs, and what its business events set off.
//!
//! From the ground up:
//!
//! | module | what it does |
//! |---|---|
//! | [`clock`] | where the platform reads the time |
//! | [`cluster`] | what runs jobs: local processes or Kubernetes; the observed state |
//! | [`store`] | the platform's database: crawlers, schedules, runs, tasks; the desired state |
//! | [`output`] | what the processes of runs leave behind |
//! | [`scheduler`] | puts the jobs of runs on the cluster |
//! | [`events`] | the 29 business events, each with what it sets off |
//! | [`front_door`], [`notifier`] | how events of the platform's own come in, and how front ends are told |
//! | [`export`], [`archive`] | delivers records, keeps supporting files |
//! | [`lifecycle`] | the workflow of a run, from its request to its export |
//! | [`schedules`], [`watcher`], [`sweeper`] | what makes runs by itself, what makes them look, what finds those that nobody looks after |
//! | [`api`] | HTTP |
//! | [`console`], [`cli`] | pages of runs in Segno's console; commands that ask the API |
//! | [`crawler`], [`site`] | a small crawler, and a site for it |
//! | [`platform`], [`settings`], [`demo`] | all of it as a process |

pub mod api;
pub mod archive;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod console;
mod crash;
pub mod crawler;
pub mod demo;
pub mod events;
pub mod export;
pub mod front_door;
mod ids;
pub mod lifecycle;
pub mod notifier;
pub mod output;
pub mod platform;
pub mod scheduler;
pub mod schedules;
pub mod settings;
pub mod site;
pub mod store;
pub mod sweeper;
pub mod watcher;
