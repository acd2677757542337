//! A web-data platform on Segno: the life of crawler runs, and what its business events set off.
//!
//! From the ground up:
//!
//! | module | what it does |
//! |---|---|
//! | [`cluster`] | what runs jobs: local processes or Kubernetes; the observed state |
//! | [`events`] | the 29 business events, each with what it sets off |

pub mod cluster;
pub mod events;
