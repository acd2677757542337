use super::*;
use crate::{clock::Nanos, core::Version, rpc::RpcError};

const NOW: Nanos = 1_000;

fn polled(name: &str, build_ids: &[&str]) -> DeploymentRecord {
    let mut deployment = DeploymentRecord::new(name, String::new(), 1);
    for build_id in build_ids {
        let queue = VersionQueue {
            name: "q".to_owned(),
            kind: 1,
        };
        assert!(deployment.note_poll(build_id, queue, 1).unwrap());
    }
    deployment
}

fn set(build_id: &str) -> SetRoute {
    SetRoute {
        build_id: build_id.to_owned(),
        ..Default::default()
    }
}

fn version(deployment: &str, build_id: &str) -> Option<Version> {
    Some(Version {
        deployment: deployment.to_owned(),
        build_id: build_id.to_owned(),
    })
}

fn target(deployments: &[&DeploymentRecord], queue: &str, id: &str) -> Option<Version> {
    route(deployments.iter().copied(), 1, queue).target(id).0
}

#[test]
fn the_deployment_that_was_changed_last_has_the_queue() {
    let (mut a, mut b) = (polled("a", &["1"]), polled("b", &["1"]));
    assert_eq!(target(&[&a, &b], "q", "w"), None);
    a.set_current(set("1"), |_, _| false, NOW).unwrap();
    b.set_current(set("1"), |_, _| false, NOW + 1).unwrap();
    assert_eq!(target(&[&a, &b], "q", "w"), version("b", "1"));
    assert_eq!(target(&[&b, &a], "q", "w"), version("b", "1"));
    b.set_current(set(""), |_, _| false, NOW + 2).unwrap();
    assert_eq!(
        target(&[&a, &b], "q", "w"),
        None,
        "its queue is for workers without a version now"
    );
}

#[test]
fn a_version_counts_only_where_it_polls() {
    let mut a = polled("a", &["1"]);
    a.set_current(set("1"), |_, _| false, NOW).unwrap();
    assert_eq!(target(&[&a], "other", "w"), None);
}

#[test]
fn a_ramp_takes_its_part_and_the_same_ids_always() {
    let mut a = polled("a", &["1", "2"]);
    a.set_current(set("1"), |_, _| false, NOW).unwrap();
    let ramped = |deployment: &DeploymentRecord| -> Vec<bool> {
        (0..10_000)
            .map(|n| target(&[deployment], "q", &format!("w{n}")) == version("a", "2"))
            .collect()
    };
    let count = |ramped: &[bool]| ramped.iter().filter(|is| **is).count();
    let mut before = vec![false; 10_000];
    for (percentage, about) in [(0.0, 0), (10.0, 1_000), (50.0, 5_000), (100.0, 10_000)] {
        a.set_ramping(set("2"), percentage, |_, _| false, NOW + 1)
            .unwrap();
        let now = ramped(&a);
        assert!(
            count(&now).abs_diff(about) <= 300,
            "{} at {percentage}",
            count(&now)
        );
        assert!(
            before.iter().zip(&now).all(|(was, is)| !was || *is),
            "whoever was ramped stays so"
        );
        before = now;
    }
}

#[test]
fn a_version_that_becomes_current_no_longer_ramps() {
    let mut a = polled("a", &["1", "2"]);
    a.set_current(set("1"), |_, _| false, NOW).unwrap();
    a.set_ramping(set("2"), 5.0, |_, _| false, NOW + 1).unwrap();
    let before = a.set_current(set("2"), |_, _| false, NOW + 2).unwrap();
    assert_eq!(before, version("a", "1"));
    assert!(a.ramping.is_none());
    assert_eq!(a.draining(), [version("a", "1").unwrap()]);
    assert!(!a.note_drainage("1", Drained { has_open_runs: true }, NOW + 3));
    assert_eq!(a.draining().len(), 1);
    assert!(a.note_drainage("1", Drained { has_open_runs: false }, NOW + 4));
    assert!(a.draining().is_empty());
    // Current again, it is not drained any more.
    a.set_current(set("1"), |_, _| false, NOW + 5).unwrap();
    assert!(a.version("1").unwrap().drainage.is_none());
    assert_eq!(a.revision, 4);
}

#[test]
fn the_oldest_version_that_nobody_needs_makes_room() {
    let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let mut a = polled("a", &names.iter().map(String::as_str).collect::<Vec<_>>());
    a.set_current(set("0"), |_, _| false, NOW).unwrap();
    let queue = || VersionQueue {
        name: "q".to_owned(),
        kind: 1,
    };
    assert!(a.note_poll("new", queue(), NOW + 1).unwrap());
    assert!(a.version("0").is_some() && a.version("1").is_none() && a.version("new").is_some());
    for version in &mut a.versions {
        version.drainage = Some(Default::default());
    }
    let refused = a.note_poll("newer", queue(), NOW + 2).unwrap_err();
    assert!(matches!(refused, RpcError::ResourceExhausted(_)), "{refused:?}");
}
