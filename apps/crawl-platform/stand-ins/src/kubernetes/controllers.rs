//! The controllers: they make the pods of jobs, count them, and clean up behind what was deleted.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::mpsc;

use super::{
    admission::{self, timestamp},
    kinds::{Key, Kind},
    kubelet,
    rest::{self, Options},
    status::Status,
    store::Outcome,
    world::{World, locked},
};

/// Looks at each object that has changed.
pub(crate) struct Controllers {
    world: Arc<World>,
    /// The pods of each job, by the job's id.
    pods: HashMap<String, BTreeSet<Key>>,
    /// The owner of each pod that there is or was a moment ago.
    owners: HashMap<Key, Key>,
    /// For jobs whose deadline comes.
    again: mpsc::UnboundedSender<Key>,
}

impl Controllers {
    /// Goes on until the stand-in ends.
    pub(crate) async fn run(world: Arc<World>, mut changes: mpsc::UnboundedReceiver<Key>) {
        let (again, mut later) = mpsc::unbounded_channel();
        let mut controllers = Self {
            world,
            pods: HashMap::new(),
            owners: HashMap::new(),
            again,
        };
        loop {
            let key = tokio::select! {
                key = changes.recv() => key,
                key = later.recv() => key,
            };
            match key {
                Some(key) => controllers.look_at(&key),
                None => return,
            }
        }
    }

    fn look_at(&mut self, key: &Key) {
        match key.kind {
            Kind::Job => self.job(key),
            Kind::Pod => self.pod(key),
            Kind::Namespace => self.namespace(key),
            Kind::Event | Kind::ServiceAccount => {}
        }
        let namespace = Key::new(Kind::Namespace, "", &key.namespace);
        if key.kind != Kind::Namespace
            && let Some(found) = self.world.store.get(&namespace)
            && !found["metadata"]["deletionTimestamp"].is_null()
        {
            self.namespace(&namespace);
        }
    }

    fn pod(&mut self, key: &Key) {
        let pod = self.world.store.get(key);
        if let Some(pod) = &pod {
            let uid = text(&pod["metadata"]["uid"]);
            let known = {
                let living = locked(&self.world.living);
                let known = living.get(uid);
                known.map(|living| living.changed.send_modify(|times| *times += 1))
            };
            if known.is_none() && !has_ended(pod) {
                kubelet::live(&self.world, key, pod);
            }
        } else {
            // Deleted under its feet: its life ends too.
            let living = locked(&self.world.living);
            for one in living.values().filter(|one| one.key == *key) {
                one.changed.send_modify(|times| *times += 1);
            }
        }
        let owner = pod.as_deref().and_then(owner);
        if let Some((job, uid)) = owner {
            self.pods.entry(uid.clone()).or_default().insert(key.clone());
            self.owners.insert(key.clone(), job.clone());
            match self.world.store.get(&job) {
                Some(found) if found["metadata"]["uid"] == uid.as_str() => self.job(&job),
                // What belongs to nothing goes.
                _ => self.delete(key, None),
            }
        } else if let Some(job) = self.owners.get(key).cloned() {
            if pod.is_none() {
                self.owners.remove(key);
            }
            self.job(&job);
        }
    }

    /// The pods that belong to a job now.
    fn pods_of(&mut self, uid: &str) -> Vec<(Key, Arc<Value>)> {
        let store = &self.world.store;
        let Some(keys) = self.pods.get_mut(uid) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        keys.retain(|key| {
            let pod = store
                .get(key)
                .filter(|pod| owner(pod).is_some_and(|(_, owner)| owner == uid));
            let there = pod.is_some();
            found.extend(pod.map(|pod| (key.clone(), pod)));
            there
        });
        found
    }

    fn delete(&self, key: &Key, grace: Option<i64>) {
        let options = Options {
            grace,
            policy: Some("Background".to_owned()),
            ..Options::default()
        };
        // One that is gone by now is what was wanted.
        let _ = rest::delete(&self.world.store, key, &options);
    }

    fn job(&mut self, key: &Key) {
        let Some(job) = self.world.store.get(key) else {
            let of_gone = |(pod, owner): (&Key, &Key)| (owner == key).then(|| pod.clone());
            let orphans = self.owners.iter().filter_map(of_gone).collect::<Vec<_>>();
            for pod in orphans {
                let belongs = self.world.store.get(&pod).is_some_and(|pod| {
                    owner(&pod).is_some() && pod["metadata"]["deletionTimestamp"].is_null()
                });
                if belongs {
                    self.delete(&pod, None);
                }
            }
            return;
        };
        let pods = self.pods_of(text(&job["metadata"]["uid"]));
        if job["metadata"]["deletionTimestamp"].is_null() {
            self.count(key, &job, &pods);
        } else {
            self.end(key, &job, &pods);
        }
    }

    /// What is to happen before a job that was deleted is gone.
    fn end(&self, key: &Key, job: &Value, pods: &[(Key, Arc<Value>)]) {
        let finalizers = job["metadata"]["finalizers"]
            .as_array()
            .map_or(&[][..], |all| all);
        let has = |name: &str| finalizers.iter().any(|one| one == name);
        if has("foregroundDeletion") {
            for (pod, object) in pods {
                if object["metadata"]["deletionTimestamp"].is_null() {
                    self.delete(pod, None);
                }
            }
        } else if has("orphan") {
            for (pod, _) in pods {
                // One that is gone needs nothing.
                let _ = rest::update(&self.world.store, pod, |old| {
                    let mut new = old.clone();
                    new["metadata"]["ownerReferences"] = json!([]);
                    Ok(new)
                });
            }
        } else {
            return;
        }
        if pods.is_empty() || has("orphan") {
            // One that is gone needs nothing.
            let _ = rest::update(&self.world.store, key, |old| {
                let mut new = old.clone();
                if let Some(all) = new["metadata"]["finalizers"].as_array_mut() {
                    all.retain(|one| one != "foregroundDeletion" && one != "orphan");
                }
                Ok(new)
            });
        }
    }

    fn count(&self, key: &Key, job: &Value, pods: &[(Key, Arc<Value>)]) {
        let (spec, status) = (&job["spec"], &job["status"]);
        let conditions = status["conditions"].as_array().map_or(&[][..], |all| all);
        if conditions.iter().any(|one| one["status"] == "True") {
            return;
        }
        let number = |value: &Value, default: i64| value.as_i64().unwrap_or(default);
        let in_phase = |phase: &str| {
            let those = pods.iter().filter(|(_, pod)| pod["status"]["phase"] == phase);
            i64::try_from(those.count()).unwrap_or(i64::MAX)
        };
        let succeeded = in_phase("Succeeded").max(number(&status["succeeded"], 0));
        let failed = in_phase("Failed").max(number(&status["failed"], 0));
        let active = pods
            .iter()
            .filter(|(_, pod)| !has_ended(pod) && pod["metadata"]["deletionTimestamp"].is_null())
            .map(|(key, _)| key)
            .collect::<Vec<_>>();
        let now = OffsetDateTime::now_utc();
        let started = OffsetDateTime::parse(text(&status["startTime"]), &Rfc3339).unwrap_or(now);
        let deadline = spec["activeDeadlineSeconds"]
            .as_i64()
            .map(|seconds| started + Duration::seconds(seconds));
        let completions = number(&spec["completions"], 1);
        let ended = if failed > number(&spec["backoffLimit"], 6) {
            Some((
                "Failed",
                "BackoffLimitExceeded",
                "Job has reached the specified backoff limit",
            ))
        } else if deadline.is_some_and(|deadline| deadline <= now) {
            Some((
                "Failed",
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
            ))
        } else if succeeded >= completions {
            Some(("Complete", "", ""))
        } else {
            None
        };
        let wanted = match ended {
            Some(_) => 0,
            None => number(&spec["parallelism"], 1)
                .min(completions - succeeded)
                .max(0),
        };
        let wanted = usize::try_from(wanted).unwrap_or(0);
        for pod in active.iter().skip(wanted) {
            self.delete(pod, None);
        }
        let missing = wanted.saturating_sub(active.len());
        for _ in 0..missing {
            if let Err(status) = self.make_pod(key, job) {
                let why = status.object();
                let message = format!("Error creating: {}", text(&why["message"]));
                self.world
                    .event(job, "job-controller", "Warning", "FailedCreate", &message);
            }
        }
        if let (None, Some(deadline)) = (ended, deadline) {
            let (again, key) = (self.again.clone(), key.clone());
            let left = (deadline - now).try_into().unwrap_or_default();
            tokio::spawn(async move {
                tokio::time::sleep(left).await;
                // The stand-in has ended.
                let _ = again.send(key);
            });
        }
        self.write_status(
            key,
            job,
            (active.len().min(wanted) + missing, succeeded, failed),
            started,
            ended,
        );
    }

    fn write_status(
        &self,
        key: &Key,
        job: &Value,
        (active, succeeded, failed): (usize, i64, i64),
        started: OffsetDateTime,
        ended: Option<(&str, &str, &str)>,
    ) {
        let now = timestamp(OffsetDateTime::now_utc());
        let mut status = json!({ "startTime": timestamp(started) });
        if active > 0 {
            status["active"] = json!(active);
        }
        for (field, number) in [("succeeded", succeeded), ("failed", failed)] {
            if number > 0 {
                status[field] = json!(number);
            }
        }
        if let Some((kind, reason, message)) = ended {
            let mut condition = json!({
                "type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now,
            });
            if reason.is_empty() {
                status["completionTime"] = json!(now);
                self.world
                    .event(job, "job-controller", "Normal", "Completed", "Job completed");
            } else {
                condition["reason"] = json!(reason);
                condition["message"] = json!(message);
                self.world
                    .event(job, "job-controller", "Warning", reason, message);
            }
            status["conditions"] = json!([condition]);
        }
        // A job that is gone has no status.
        let _ = rest::update(&self.world.store, key, |old| {
            let mut new = old.clone();
            new["status"] = status;
            Ok(new)
        });
    }

    fn make_pod(&self, key: &Key, job: &Value) -> Result<(), Status> {
        let template = &job["spec"]["template"];
        let mut metadata = template["metadata"].clone();
        metadata["generateName"] = json!(format!("{}-", key.name));
        metadata["ownerReferences"] = json!([{
            "apiVersion": "batch/v1", "kind": "Job", "name": key.name, "uid": job["metadata"]["uid"],
            "controller": true, "blockOwnerDeletion": true,
        }]);
        let given = json!({ "metadata": metadata, "spec": template["spec"] });
        let pod = admission::created(Kind::Pod, Some(&key.namespace), &given, false)?;
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
        if self
            .world
            .store
            .get(&Key::new(Kind::ServiceAccount, &key.namespace, account))
            .is_none()
        {
            let message = format!("serviceaccount \"{account}\" not found");
            return Err(Status::new(403, "Forbidden", message));
        }
        let name = text(&pod["metadata"]["name"]).to_owned();
        rest::insert(
            &self.world.store,
            &Key::new(Kind::Pod, &key.namespace, &name),
            pod,
        )?;
        let message = format!("Created pod: {name}");
        self.world
            .event(job, "job-controller", "Normal", "SuccessfulCreate", &message);
        Ok(())
    }

    fn namespace(&self, key: &Key) {
        let store = &self.world.store;
        let Some(namespace) = store.get(key) else {
            return;
        };
        if namespace["metadata"]["deletionTimestamp"].is_null() {
            let account = json!({ "metadata": { "name": "default" } });
            let account = admission::created(Kind::ServiceAccount, Some(&key.name), &account, false);
            if let Ok(account) = account {
                // It is there already.
                let _ = rest::insert(
                    store,
                    &Key::new(Kind::ServiceAccount, &key.name, "default"),
                    account,
                );
            }
            return;
        }
        let mut empty = true;
        for kind in [Kind::Job, Kind::Pod, Kind::Event, Kind::ServiceAccount] {
            for object in store.list(kind, Some(&key.name)).objects {
                empty = false;
                if object["metadata"]["deletionTimestamp"].is_null() {
                    self.delete(
                        &Key::new(kind, &key.name, text(&object["metadata"]["name"])),
                        None,
                    );
                }
            }
        }
        if empty {
            // It is gone already.
            let _ = store.change(key, |_| Ok(Outcome::Remove));
        }
    }
}

/// The job that a pod belongs to, and its id.
fn owner(pod: &Value) -> Option<(Key, String)> {
    let references = pod["metadata"]["ownerReferences"].as_array()?;
    let reference = references.iter().find(|one| one["kind"] == "Job")?;
    let key = Key::new(
        Kind::Job,
        text(&pod["metadata"]["namespace"]),
        text(&reference["name"]),
    );
    Some((key, text(&reference["uid"]).to_owned()))
}

pub(crate) fn has_ended(pod: &Value) -> bool {
    ["Succeeded", "Failed"]
        .map(Value::from)
        .contains(&pod["status"]["phase"])
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
