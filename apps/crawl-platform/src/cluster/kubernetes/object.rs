//! A job as an object of Kubernetes.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1 as batch,
        core::v1::{
            Container, EnvVar, LocalObjectReference, PersistentVolumeClaimVolumeSource, PodSpec,
            PodTemplateSpec, ResourceRequirements, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use super::{
    super::{ClusterError, Job, MANAGED_BY, MANAGED_BY_LABEL, RUN_LABEL, TASK_LABEL},
    Options,
};

/// The name of a pod's only container.
pub(super) const CONTAINER: &str = "crawler";
/// The name of a pod's only volume.
const OUTPUT: &str = "output";

/// The object of a job.
pub(super) fn of(job: &Job, options: &Options) -> Result<batch::Job, ClusterError> {
    let image = job.image.as_ref().or(options.image.as_ref()).ok_or_else(|| {
        ClusterError::permanent(format!(
            "Kubernetes: the job {} has no image: name one for its crawler, or `image` for all",
            job.name
        ))
    })?;
    let mut labels = job.labels.clone();
    // What the platform finds its jobs by is its own.
    labels.extend([
        (MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned()),
        (RUN_LABEL.to_owned(), job.run.to_string()),
        (TASK_LABEL.to_owned(), job.task.to_string()),
    ]);
    let quantities = |all: &BTreeMap<String, String>| {
        let pairs = all
            .iter()
            .map(|(name, quantity)| (name.clone(), Quantity(quantity.clone())));
        (!all.is_empty()).then(|| pairs.collect())
    };
    let filled = |all: &[String]| (!all.is_empty()).then(|| all.to_vec());
    let container = Container {
        name: CONTAINER.to_owned(),
        image: Some(image.clone()),
        command: filled(&job.command),
        args: filled(&job.args),
        env: Some(
            job.env
                .iter()
                .map(|(name, value)| EnvVar {
                    name: name.clone(),
                    value: Some(value.clone()),
                    value_from: None,
                })
                .collect(),
        ),
        resources: Some(ResourceRequirements {
            requests: quantities(&options.requests),
            limits: quantities(&options.limits),
            ..ResourceRequirements::default()
        }),
        volume_mounts: options.output.as_ref().map(|output| {
            vec![VolumeMount {
                name: OUTPUT.to_owned(),
                mount_path: output.path.clone(),
                ..VolumeMount::default()
            }]
        }),
        ..Container::default()
    };
    let secrets = options
        .image_pull_secrets
        .iter()
        .map(|name| LocalObjectReference { name: name.clone() });
    let pod = PodSpec {
        containers: vec![container],
        restart_policy: Some("Never".to_owned()),
        service_account_name: options.service_account.clone(),
        // A crawler has no business with the cluster, unless it was given an account.
        automount_service_account_token: options.service_account.is_none().then_some(false),
        termination_grace_period_seconds: Some(i64::from(options.termination_grace_seconds)),
        image_pull_secrets: (!options.image_pull_secrets.is_empty()).then(|| secrets.collect()),
        volumes: options.output.as_ref().map(|output| {
            vec![Volume {
                name: OUTPUT.to_owned(),
                persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                    claim_name: output.claim.clone(),
                    read_only: None,
                }),
                ..Volume::default()
            }]
        }),
        node_selector: (!options.node_selector.is_empty()).then(|| options.node_selector.clone()),
        ..PodSpec::default()
    };
    Ok(batch::Job {
        metadata: ObjectMeta {
            name: Some(job.name.to_string()),
            labels: Some(labels.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(batch::JobSpec {
            backoff_limit: Some(i32::try_from(options.backoff_limit).unwrap_or(i32::MAX)),
            active_deadline_seconds: options.active_deadline_seconds.map(i64::from),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..batch::JobSpec::default()
        }),
        status: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::{super::options::OutputVolume, *};
    use crate::cluster::JobName;

    fn job() -> Job {
        Job {
            name: JobName::of(Uuid::nil(), 0, 1),
            run: Uuid::nil(),
            task: Uuid::max(),
            image: None,
            command: vec!["crawl".to_owned()],
            args: Vec::new(),
            env: BTreeMap::from([("URL".to_owned(), "http://localhost".to_owned())]),
            labels: BTreeMap::from([(RUN_LABEL.to_owned(), "another".to_owned())]),
        }
    }

    #[test]
    fn a_job_has_one_pod_that_is_not_started_again() {
        let options = Options {
            image: Some("crawler:1".to_owned()),
            limits: BTreeMap::from([("memory".to_owned(), "256Mi".to_owned())]),
            active_deadline_seconds: Some(60),
            output: Some(OutputVolume {
                claim: "crawls".to_owned(),
                path: "/var/crawls".to_owned(),
            }),
            ..Options::default()
        };
        let object = serde_json::to_value(of(&job(), &options).unwrap()).unwrap();
        let (spec, pod) = (&object["spec"], &object["spec"]["template"]["spec"]);
        assert_eq!(
            (&spec["backoffLimit"], &pod["restartPolicy"]),
            (&json!(0), &json!("Never"))
        );
        assert_eq!(spec["activeDeadlineSeconds"], 60);
        assert_eq!(pod["automountServiceAccountToken"], false);
        let container = &pod["containers"][0];
        assert_eq!(container["image"], "crawler:1");
        assert_eq!(container["command"], json!(["crawl"]));
        assert_eq!(container["args"], Value::Null);
        assert_eq!(
            container["env"],
            json!([{ "name": "URL", "value": "http://localhost" }])
        );
        assert_eq!(container["resources"]["limits"]["memory"], "256Mi");
        for labels in [
            &object["metadata"]["labels"],
            &spec["template"]["metadata"]["labels"],
        ] {
            assert_eq!(labels[RUN_LABEL], Uuid::nil().to_string());
            assert_eq!(labels[MANAGED_BY_LABEL], MANAGED_BY);
        }
        for later in ["completionMode", "suspend", "ttlSecondsAfterFinished"] {
            assert!(spec.get(later).is_none(), "1.20 does not have {later}");
        }
    }

    #[test]
    fn a_job_without_an_image_is_refused() {
        let error = of(&job(), &Options::default()).unwrap_err();
        assert!(
            !error.is_retryable() && error.to_string().contains("`image`"),
            "{error}"
        );
    }
}
