//! The Helm chart: linted, rendered in every way that it is meant to be used, and held against Kubernetes' schemas.

use serde_json::{Value, json};

use super::{
    file,
    tools::{HELM, PYTHON, yaml},
};

/// The oldest Kubernetes that the chart is for, and the newest that the tools know.
const KUBERNETES: [&str; 2] = ["1.27", "1.37"];

fn chart() -> String {
    file("packaging/helm/segno").display().to_string()
}

/// Values in `ci/`, each of them a way to use the chart.
const WAYS: [&str; 3] = ["embedded.yaml", "temporal.yaml", "defaults.yaml"];

fn way(name: &str) -> String {
    file(&format!("packaging/helm/segno/ci/{name}"))
        .display()
        .to_string()
}

/// The objects of a release `r` in the namespace `n`.
pub(crate) fn rendered(arguments: &[&str]) -> Vec<Value> {
    yaml(&template(arguments))
}

fn template(arguments: &[&str]) -> String {
    let chart = chart();
    let before = ["template", "r", &chart, "--namespace", "n"];
    HELM.run(&[&before, arguments].concat(), "")
}

/// The one object of a kind, if there is one; of ConfigMaps the one with the configuration.
pub(crate) fn object<'o>(objects: &'o [Value], kind: &str) -> Option<&'o Value> {
    let is_dashboard = |object: &Value| object["data"]["segno.json"].is_string();
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && !is_dashboard(object));
    let first = found.next();
    assert!(found.next().is_none(), "there are several of {kind}");
    first
}

/// The pods' template.
pub(crate) fn pod(objects: &[Value]) -> &Value {
    let set = object(objects, "StatefulSet").or_else(|| object(objects, "Deployment"));
    &set.expect("pods")["spec"]["template"]
}

fn kinds(objects: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<_> = objects
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    kinds
}

#[test]
fn it_has_no_faults_that_helm_finds() {
    for name in WAYS {
        HELM.run(&["lint", "--strict", &chart(), "--values", &way(name)], "");
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().display().to_string();
    HELM.run(&["package", &chart(), "--destination", &folder], "");
}

#[test]
fn its_objects_are_kubernetes_objects() {
    for name in WAYS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("objects.yaml");
        std::fs::write(&path, template(&["--values", &way(name)])).unwrap();
        let path = path.display().to_string();
        for version in KUBERNETES {
            let arguments = ["-m", "kubernetes_validate", "--strict", "-k", version, &path];
            let printed = PYTHON.output(&arguments, "");
            let told = [printed.stdout, printed.stderr].concat();
            let told = String::from_utf8_lossy(&told);
            assert!(printed.status.success(), "{name} on {version}:\n{told}");
            // What the operator of Prometheus brings, Kubernetes has no schema of.
            let unknown = told.lines().filter(|line| line.contains("find schema"));
            for line in unknown {
                assert!(line.contains("monitoring.coreos.com/v1"), "{name}: {line}");
            }
            assert!(told.contains("passed for resource service/r-segno"), "{told}");
        }
    }
}

#[test]
fn the_engine_inside_is_one_pod_with_a_volume() {
    let objects = rendered(&[]);
    assert_eq!(
        kinds(&objects),
        ["ConfigMap", "Pod", "Service", "ServiceAccount", "StatefulSet"]
    );
    let set = &object(&objects, "StatefulSet").unwrap()["spec"];
    assert_eq!(set["replicas"], 1);
    let claim = &set["volumeClaimTemplates"][0];
    assert_eq!(claim["metadata"]["name"], "data");
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteOnce"]));
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "10Gi");
    assert_eq!(
        set["persistentVolumeClaimRetentionPolicy"]["whenDeleted"],
        "Retain"
    );
    assert_eq!(pod(&objects)["spec"]["securityContext"]["fsGroup"], 65532);
}

#[test]
fn on_a_cluster_there_are_several_pods_and_no_volume() {
    let objects = rendered(&["--values", &way("temporal.yaml")]);
    assert_eq!(
        kinds(&objects),
        [
            "ConfigMap",
            "ConfigMap",
            "Deployment",
            "HorizontalPodAutoscaler",
            "Ingress",
            "NetworkPolicy",
            "Pod",
            "PodDisruptionBudget",
            "PrometheusRule",
            "Service",
            "ServiceAccount",
            "ServiceMonitor",
        ]
    );
    // The number is the autoscaler's: an upgrade of the release must not set it back.
    assert_eq!(
        object(&objects, "Deployment").unwrap()["spec"]["replicas"],
        Value::Null
    );
    let without = rendered(&["--set", "mode=temporal,temporal.address=t:7233,replicas=3"]);
    assert_eq!(object(&without, "Deployment").unwrap()["spec"]["replicas"], 3);
    assert!(object(&without, "HorizontalPodAutoscaler").is_none());
    let budget = &object(&objects, "PodDisruptionBudget").unwrap()["spec"];
    assert_eq!(budget["maxUnavailable"], 1);

    let container = &pod(&objects)["spec"]["containers"][0];
    let variables = container["env"].as_array().unwrap();
    let variable = |name: &str| variables.iter().find(|variable| variable["name"] == name);
    let address = variable("TEMPORAL_ADDRESS").unwrap();
    assert_eq!(address["value"], "temporal-frontend.temporal:7233");
    let key = &variable("TEMPORAL_API_KEY").unwrap()["valueFrom"]["secretKeyRef"];
    assert_eq!(key, &json!({"name": "temporal-api-key", "key": "api-key"}));
    let volumes = pod(&objects)["spec"]["volumes"].as_array().unwrap();
    let data = volumes.iter().find(|volume| volume["name"] == "data").unwrap();
    assert_eq!(data["emptyDir"], json!({}));
    let monitor = &object(&objects, "ServiceMonitor").unwrap()["spec"]["endpoints"][0];
    assert_eq!(
        (&monitor["path"], &monitor["port"]),
        (&json!("/metrics"), &json!("http"))
    );
    let dashboard = objects
        .iter()
        .find_map(|object| object["data"]["segno.json"].as_str());
    let dashboard: Value = serde_json::from_str(dashboard.expect("the dashboard")).unwrap();
    assert_eq!(dashboard["title"], "Segno");
    let rules = &object(&objects, "PrometheusRule").unwrap()["spec"]["groups"];
    assert!(
        rules[0]["rules"]
            .as_array()
            .is_some_and(|rules| !rules.is_empty()),
        "{rules}"
    );
}

#[test]
fn secrets_are_named_and_never_made() {
    for name in WAYS {
        let objects = rendered(&["--values", &way(name)]);
        assert!(object(&objects, "Secret").is_none());
    }
    let objects = rendered(&["--set", "secrets.env={tokens},secrets.files=certificates"]);
    let pod = &pod(&objects)["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["envFrom"], json!([{"secretRef": {"name": "tokens"}}]));
    let volume = json!({"name": "secrets", "secret": {"secretName": "certificates", "defaultMode": 0o440}});
    assert!(pod["volumes"].as_array().unwrap().contains(&volume));
    let mount = json!({"name": "secrets", "mountPath": "/run/secrets/segno", "readOnly": true});
    assert!(container["volumeMounts"].as_array().unwrap().contains(&mount));
}

#[test]
fn pods_have_no_rights_that_they_do_not_need() {
    for name in WAYS {
        let objects = rendered(&["--values", &way(name)]);
        let test = object(&objects, "Pod").unwrap();
        for pod in [&pod(&objects)["spec"], &test["spec"]] {
            assert_eq!(pod["automountServiceAccountToken"], false);
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            let container = &pod["containers"][0]["securityContext"];
            assert_eq!(container["readOnlyRootFilesystem"], true);
            assert_eq!(container["allowPrivilegeEscalation"], false);
            assert_eq!(container["capabilities"]["drop"], json!(["ALL"]));
        }
    }
}

#[test]
fn probes_and_the_time_to_end_are_those_of_the_program() {
    let objects = rendered(&[]);
    let pod = &pod(&objects)["spec"];
    assert_eq!(pod["terminationGracePeriodSeconds"], 30);
    let container = &pod["containers"][0];
    for (probe, path) in [
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ] {
        assert_eq!(
            container[probe]["httpGet"],
            json!({"path": path, "port": "http"}),
            "{probe}"
        );
    }
}

#[test]
fn a_changed_configuration_makes_new_pods() {
    let sum = |config: &str| {
        let objects = rendered(&["--set", config]);
        pod(&objects)["metadata"]["annotations"]["checksum/config"].clone()
    };
    let (one, other) = (sum("config=[archive]"), sum("config=[timers]"));
    assert!(one.is_string() && one != other, "{one}");
}

#[test]
fn values_that_make_no_sense_are_refused() {
    for (set, told) in [
        ("mdoe=temporal", "mdoe"),
        ("mode=temporal", "temporal.address"),
        ("mode=both", "mode"),
        ("terminationGracePeriodSeconds=5", "terminationGracePeriodSeconds"),
        ("http.port=80", "http.port"),
        ("image.digest=latest", "image.digest"),
        ("metrics.serviceMonitor.intervall=1s", "intervall"),
    ] {
        let said = HELM.refuses(&["template", "r", &chart(), "--set", set]);
        assert!(said.contains(told), "{set}: {said}");
    }
}
