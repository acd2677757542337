//! The lives of pods: the scheduler gives them a node, the node runs them.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    admission::timestamp,
    controllers::{has_ended, text},
    kinds::Key,
    process::{self, Process},
    rest::{self, Options},
    world::{Course, End, Living, Plan, Start, World, locked},
};

const NODE: &str = "stand-in-node";

/// Begins the life of a pod.
pub(crate) fn live(world: &Arc<World>, key: &Key, pod: &Value) {
    let uid = text(&pod["metadata"]["uid"]).to_owned();
    let (changed, changes) = watch::channel(0);
    let (told, end) = watch::channel(None);
    let living = Living {
        key: key.clone(),
        changed,
        told,
    };
    locked(&world.living).insert(uid.clone(), living);
    let life = Life {
        world: Arc::clone(world),
        key: key.clone(),
        uid: uid.clone(),
        plan: world.plan_of(pod),
        changes,
        end,
    };
    let world = Arc::clone(world);
    tokio::spawn(async move {
        let _place = life.run().await;
        locked(&world.living).remove(&uid);
    });
}

/// A place on a node, until dropped.
struct Place(Arc<World>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.room.send_modify(|room| room.taken -= 1);
    }
}

struct Life {
    world: Arc<World>,
    key: Key,
    uid: String,
    plan: Plan,
    changes: watch::Receiver<u64>,
    end: watch::Receiver<Option<End>>,
}

/// What a pod's life was ended by.
enum Ended {
    Itself(End),
    /// Its object is gone, or another one of its name is there.
    Gone,
}

impl Life {
    /// The pod, if it is still the one that this life is of.
    fn pod(&self) -> Option<Arc<Value>> {
        let pod = self.world.store.get(&self.key)?;
        (pod["metadata"]["uid"] == self.uid.as_str()).then_some(pod)
    }

    async fn run(mut self) -> Option<Place> {
        let place = self.scheduled().await?;
        self.bind();
        match self.started().await {
            Some(()) => {}
            None => {
                self.removed();
                return Some(place);
            }
        }
        let ended = self.running().await;
        if let Ended::Itself(end) = ended {
            self.write(|pod| terminated(pod, &end));
            self.tell_end(&end);
            if self.pod().is_some_and(|pod| is_deleted(&pod)) {
                self.removed();
            }
        } else {
            self.world.logs.forget(&self.uid);
        }
        Some(place)
    }

    fn write(&self, change: impl FnOnce(&mut Value)) {
        // One that is gone has no state.
        let _ = rest::update(&self.world.store, &self.key, |old| {
            let mut new = old.clone();
            if new["metadata"]["uid"] == self.uid.as_str() {
                change(&mut new);
            }
            Ok(new)
        });
    }

    fn tell(&self, component: &str, kind: &str, reason: &str, message: &str) {
        if let Some(pod) = self.pod() {
            self.world.event(&pod, component, kind, reason, message);
        }
    }

    fn tell_end(&self, end: &End) {
        if let End::Evicted(why) = end {
            self.tell("kubelet", "Warning", "Evicted", why);
        }
    }

    /// Waits for a place. None if the pod is gone before.
    async fn scheduled(&mut self) -> Option<Place> {
        let mut room = self.world.room.subscribe();
        let mut said = String::new();
        loop {
            self.pod()?;
            let mut got = false;
            self.world.room.send_if_modified(|room| {
                got = room.taken < room.places;
                room.taken += usize::from(got);
                // To those that wait, less room is no news.
                false
            });
            if got {
                return Some(Place(Arc::clone(&self.world)));
            }
            let message = room.borrow_and_update().message.clone();
            if said != message {
                self.write(|pod| {
                    pod["status"]["conditions"] = json!([{
                        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
                        "lastProbeTime": null, "lastTransitionTime": timestamp(OffsetDateTime::now_utc()),
                    }]);
                });
                self.tell("default-scheduler", "Warning", "FailedScheduling", &message);
                said = message;
            }
            tokio::select! {
                changed = room.changed() => changed.ok()?,
                changed = self.changes.changed() => changed.ok()?,
            }
        }
    }

    fn bind(&self) {
        let now = timestamp(OffsetDateTime::now_utc());
        self.write(|pod| {
            pod["spec"]["nodeName"] = json!(NODE);
            pod["status"] = json!({
                "phase": "Pending", "qosClass": "BestEffort", "hostIP": "127.0.0.1", "startTime": now,
                "conditions": conditions(&now, false),
            });
            let waiting = json!({ "waiting": { "reason": "ContainerCreating" } });
            pod["status"]["containerStatuses"] = containers(pod, &waiting, false);
        });
        let message = format!(
            "Successfully assigned {}/{} to {NODE}",
            self.key.namespace, self.key.name
        );
        self.tell("default-scheduler", "Normal", "Scheduled", &message);
    }

    /// Waits for the start of its container. None if the pod is to end before.
    async fn started(&mut self) -> Option<()> {
        let at = match self.plan.start {
            Start::After(delay) => Some(Instant::now() + delay),
            Start::ImagePullBackOff => {
                self.write(|pod| {
                    let image = text(&pod["spec"]["containers"][0]["image"]);
                    let message = format!("Back-off pulling image \"{image}\"");
                    let waiting = json!({ "waiting": { "reason": "ImagePullBackOff", "message": message } });
                    pod["status"]["containerStatuses"] = containers(pod, &waiting, false);
                });
                self.tell("kubelet", "Warning", "Failed", "Error: ImagePullBackOff");
                None
            }
        };
        loop {
            if self.pod().is_none_or(|pod| is_deleted(&pod)) {
                return None;
            }
            tokio::select! {
                () = sleep_until(at.unwrap_or_else(Instant::now)), if at.is_some() => return Some(()),
                changed = self.changes.changed() => changed.ok()?,
            }
        }
    }

    async fn running(&mut self) -> Ended {
        let now = timestamp(OffsetDateTime::now_utc());
        let mut process = None;
        if self.plan.course == Course::Process
            && let Some(pod) = self.pod()
        {
            match Process::start(&pod["spec"]["containers"][0], &self.world.logs, &self.uid) {
                Ok(started) => process = Some(started),
                Err(error) => {
                    self.world.logs.write(&self.uid, &format!("{error}\n"));
                    return Ended::Itself(End::Exits(process::CANNOT_START));
                }
            }
        }
        self.world.logs.write(&self.uid, &self.plan.log);
        self.write(|pod| {
            pod["status"]["phase"] = json!("Running");
            pod["status"]["conditions"] = conditions(&now, true);
            pod["status"]["podIP"] = json!("127.0.0.1");
            let running = json!({ "running": { "startedAt": now } });
            pod["status"]["containerStatuses"] = containers(pod, &running, true);
        });
        self.tell("kubelet", "Normal", "Started", "Started container");
        let ends = match &self.plan.course {
            Course::Ends(after, end) => Some((Instant::now() + *after, end.clone())),
            Course::UntilTold | Course::Process => None,
        };
        // When it is killed, once it was told to end.
        let mut killed: Option<Instant> = None;
        loop {
            let Some(pod) = self.pod() else {
                if let Some(process) = &mut process {
                    process.kill().await;
                }
                return Ended::Gone;
            };
            if is_deleted(&pod) {
                let grace = pod["metadata"]["deletionGracePeriodSeconds"]
                    .as_u64()
                    .unwrap_or(0);
                let at = Instant::now() + Duration::from_secs(grace);
                if killed.is_none() {
                    self.tell("kubelet", "Normal", "Killing", "Stopping container");
                    match (&process, self.plan.on_stop) {
                        (Some(process), _) => process.terminate(),
                        (None, Some(code)) => return Ended::Itself(End::Exits(code)),
                        (None, None) => {}
                    }
                }
                killed = Some(killed.map_or(at, |before| before.min(at)));
            }
            let told = self.end.borrow_and_update().clone();
            if let Some(end) = told {
                if let Some(process) = &mut process {
                    process.kill().await;
                }
                return Ended::Itself(end);
            }
            tokio::select! {
                changed = self.changes.changed() => if changed.is_err() { return Ended::Gone },
                changed = self.end.changed() => if changed.is_err() { return Ended::Gone },
                () = sleep_until(killed.unwrap_or_else(Instant::now)), if killed.is_some() => {
                    if let Some(process) = &mut process {
                        process.kill().await;
                    }
                    return Ended::Itself(End::Exits(137));
                }
                code = process::ended(&mut process) => return Ended::Itself(End::Exits(code)),
                () = sleep_until(ends.as_ref().map_or_else(Instant::now, |(at, _)| *at)), if ends.is_some() => {
                    return Ended::Itself(ends.map_or(End::Exits(0), |(_, end)| end));
                }
            }
        }
    }

    /// The node is done with a pod that was deleted: its object goes.
    fn removed(&self) {
        if self.pod().is_some() {
            let options = Options {
                grace: Some(0),
                uid: Some(self.uid.clone()),
                ..Options::default()
            };
            // It is gone already.
            let _ = rest::delete(&self.world.store, &self.key, &options);
        }
        self.world.logs.forget(&self.uid);
    }
}

fn is_deleted(pod: &Value) -> bool {
    !pod["metadata"]["deletionTimestamp"].is_null()
}

fn conditions(now: &str, ready: bool) -> Value {
    let ready = if ready { "True" } else { "False" };
    let all = [
        ("Initialized", "True"),
        ("Ready", ready),
        ("ContainersReady", ready),
        ("PodScheduled", "True"),
    ];
    all.iter()
        .map(|(kind, status)| {
            json!({ "type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": now })
        })
        .collect()
}

fn containers(pod: &Value, state: &Value, ready: bool) -> Value {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers
        .map(|container| {
            json!({
                "name": container["name"], "image": container["image"], "imageID": "", "state": state,
                "lastState": {}, "ready": ready, "started": ready, "restartCount": 0,
            })
        })
        .collect()
}

/// Writes the end of a pod into its object.
fn terminated(pod: &mut Value, end: &End) {
    if has_ended(pod) {
        return;
    }
    let now = timestamp(OffsetDateTime::now_utc());
    let state = &pod["status"]["containerStatuses"][0]["state"]["running"];
    let started = match &state["startedAt"] {
        Value::Null => json!(now),
        started => started.clone(),
    };
    let (code, reason) = match end {
        End::Exits(0) => (0, "Completed"),
        End::Exits(code) => (*code, "Error"),
        End::OutOfMemory => (137, "OOMKilled"),
        End::Evicted(_) => (137, "Error"),
    };
    pod["status"]["phase"] = json!(if code == 0 { "Succeeded" } else { "Failed" });
    pod["status"]["conditions"] = conditions(&now, false);
    let terminated = json!({ "terminated": {
        "exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now,
    } });
    pod["status"]["containerStatuses"] = containers(pod, &terminated, false);
    if let End::Evicted(why) = end {
        pod["status"]["reason"] = json!("Evicted");
        pod["status"]["message"] = json!(why);
    }
}
