//! Jobs on Kubernetes, each behaviour in three places by the same test:
//!
//! - `cluster`: the stand-in with its controllers and a node that runs processes;
//! - `alone`: the stand-in without both, so an API server alone: the test makes pods and moves them on by the API itself;
//! - `real`: the cluster that the file `SEGNO_TEST_KUBECONFIG` configures access to (its current context), of version 1.20
//!   or newer. Without the variable these pass without doing anything. Where nothing makes the service account of a new
//!   namespace, there are no controllers, and the test does their work, as in `alone`. Else pods really run: with the image
//!   `SEGNO_TEST_KUBERNETES_IMAGE`, or `busybox`, which has to have `/bin/sh`.
//!
//! Each test has a namespace of its own, which it deletes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod behaviours;
mod faults;
mod hands;
mod place;
mod runs;
