//! The stand-in for a Kubernetes cluster under `kubectl`, of version 1.32: `SEGNO_KUBECTL_BIN`, or the one in the path.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use segno_crawl_stand_ins::kubernetes::{Course, End, Failure, Kubernetes, Options, Plan, Start};
use serde_json::{Value, json};

struct Kubectl {
    cluster: Kubernetes,
    folder: tempfile::TempDir,
}

impl Kubectl {
    fn new(plan: Plan) -> Self {
        let cluster = Kubernetes::start(&Options::default()).unwrap();
        cluster.world().plan(move |_| plan.clone());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), cluster.kubeconfig("crawlers")).unwrap();
        cluster.make_namespace("crawlers");
        Self { cluster, folder }
    }

    fn command(&self, arguments: &str) -> Command {
        let program = std::env::var_os("SEGNO_KUBECTL_BIN").map_or_else(|| "kubectl".into(), PathBuf::from);
        let mut command = Command::new(program);
        command
            .arg("--kubeconfig")
            .arg(self.folder.path().join("config"))
            .arg("--cache-dir")
            .arg(self.folder.path().join("cache"))
            .arg("--request-timeout=30s")
            .args(arguments.split_whitespace())
            .stdin(Stdio::null());
        command
    }

    /// What it prints, if it succeeds.
    fn run(&self, arguments: &str) -> String {
        said(
            arguments,
            &self.command(arguments).output().expect("kubectl runs"),
        )
    }

    /// What it complains of, as it fails.
    fn fails(&self, arguments: &str) -> String {
        let output = self.command(arguments).output().expect("kubectl runs");
        assert!(!output.status.success(), "kubectl {arguments} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }

    fn with_input(&self, arguments: &str, input: &Value) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl runs");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.to_string().as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{arguments} -o json"))).unwrap()
    }
}

fn said(arguments: &str, output: &Output) -> String {
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "kubectl {arguments}: {error}{out}");
    out
}

fn job(name: &str, command: &[&str]) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": name, "labels": { "run": "7" } },
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": { "labels": { "run": "7" } },
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{ "name": "crawler", "image": "crawler:1", "command": command }],
                },
            },
        },
    })
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_cluster_says_what_it_is() {
    let kubectl = Kubectl::new(Plan::default());
    assert!(kubectl.run("version").contains("Server Version: v1.20.15"));
    let resources = kubectl.run("api-resources");
    for line in ["jobs", "batch/v1", "pods", "po", "events"] {
        assert!(resources.contains(line), "{line} in {resources}");
    }
    assert!(kubectl.run("get namespaces").contains("crawlers"));
}

#[test]
fn a_job_is_created_and_completes() {
    let kubectl = Kubectl::new(Plan {
        log: "one\ntwo\nthree\n".to_owned(),
        ..Plan::default()
    });
    // Sent as JSON: by itself this command sends protocol buffers, which the stand-in does not read.
    let mut job = kubectl.json("create job crawl --image=crawler:1 --dry-run=client");
    job["spec"]["template"]["spec"]["containers"][0]["command"] = json!(["crawl", "--all"]);
    let created = said("create", &kubectl.with_input("create -f -", &job));
    assert_eq!(created.trim(), "job.batch/crawl created");
    kubectl.run("wait --for=condition=complete job/crawl --timeout=60s");
    let job = kubectl.json("get job crawl");
    assert_eq!(job["status"]["succeeded"], 1);
    let pods = kubectl.json("get pods -l job-name=crawl");
    let pod = &pods["items"][0];
    assert_eq!(pod["status"]["phase"], "Succeeded");
    assert_eq!(pod["spec"]["containers"][0]["command"], json!(["crawl", "--all"]));
    assert_eq!(kubectl.run("logs job/crawl"), "one\ntwo\nthree\n");
    assert_eq!(kubectl.run("logs job/crawl --tail=2"), "two\nthree\n");
    let table = kubectl.run("get jobs,pods -o wide");
    assert!(table.contains("1/1") && table.contains("Completed"), "{table}");
    assert!(
        table.contains("COMPLETIONS") && table.contains("READY"),
        "{table}"
    );
    let described = kubectl.run("describe job crawl");
    for text in ["1 Succeeded", "SuccessfulCreate", "Completed", "crawler:1"] {
        assert!(described.contains(text), "{text} in {described}");
    }
    let name = pod["metadata"]["name"].as_str().unwrap();
    let described = kubectl.run(&format!("describe pod {name}"));
    for text in ["Scheduled", "Exit Code:    0", "Controlled By:  Job/crawl"] {
        assert!(described.contains(text), "{text} in {described}");
    }
    assert!(kubectl.run("get events").contains("SuccessfulCreate"));
}

#[test]
fn a_job_is_applied_changed_and_checked() {
    let kubectl = Kubectl::new(Plan {
        course: Course::UntilTold,
        ..Plan::default()
    });
    let mut wanted = job("crawl", &[]);
    let output = kubectl.with_input("apply -f -", &wanted);
    assert_eq!(said("apply", &output).trim(), "job.batch/crawl created");
    let output = kubectl.with_input("apply -f -", &wanted);
    assert_eq!(said("apply", &output).trim(), "job.batch/crawl unchanged");
    wanted["spec"]["backoffLimit"] = json!(3);
    wanted["metadata"]["labels"]["tier"] = json!("crawl");
    let output = kubectl.with_input("apply -f -", &wanted);
    assert_eq!(said("apply", &output).trim(), "job.batch/crawl configured");
    let now = kubectl.json("get job crawl");
    assert_eq!(
        (&now["spec"]["backoffLimit"], &now["metadata"]["labels"]["tier"]),
        (&json!(3), &json!("crawl"))
    );
    let output = kubectl.with_input("create -f -", &wanted);
    assert!(String::from_utf8_lossy(&output.stderr).contains("AlreadyExists"));
    // A template does not change.
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = json!("crawler:2");
    let output = kubectl.with_input("apply -f -", &wanted);
    assert!(String::from_utf8_lossy(&output.stderr).contains("field is immutable"));
    // What is wrong is said.
    let mut wrong = job("wrong", &[]);
    wrong["spec"]["template"]["spec"]["restartPolicy"] = json!("Always");
    let output = kubectl.with_input("create -f -", &wrong);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Unsupported value: \"Always\""), "{said}");
    let mut unknown = job("unknown", &[]);
    unknown["spec"]["replicas"] = json!(2);
    let output = kubectl.with_input("create -f -", &unknown);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("unknown field \"spec.replicas\""), "{said}");
    kubectl.run("label job crawl tier=other --overwrite");
    kubectl.run("annotate job crawl why=because");
    let patch = r#"patch job crawl --type=json -p [{"op":"remove","path":"/metadata/labels/tier"}]"#;
    kubectl.run(patch);
    let now = kubectl.json("get job crawl");
    assert!(now["metadata"]["labels"].get("tier").is_none());
    assert_eq!(now["metadata"]["annotations"]["why"], "because");
}

#[test]
fn lists_are_selected_and_paged() {
    let kubectl = Kubectl::new(Plan {
        course: Course::UntilTold,
        ..Plan::default()
    });
    for at in 0..7 {
        let mut job = job(&format!("crawl-{at}"), &[]);
        job["metadata"]["labels"]["parity"] = json!(if at % 2 == 0 { "even" } else { "odd" });
        said("apply", &kubectl.with_input("create -f -", &job));
    }
    let names = |arguments: &str| {
        let mut names = kubectl
            .run(&format!("get jobs {arguments} -o name"))
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        names.sort();
        names.len()
    };
    assert_eq!(names("--chunk-size=2"), 7);
    assert_eq!(names("-l parity=even"), 4);
    assert_eq!(names("-l parity!=even,run=7"), 3);
    assert_eq!(names("-l parity!=even,run=8"), 0);
    assert_eq!(names("--field-selector metadata.name=crawl-3"), 1);
    assert!(
        kubectl
            .fails("get jobs --field-selector spec.nonsense=1")
            .contains("field label not supported")
    );
    assert!(kubectl.run("get jobs -A").contains("crawlers"));
    assert!(kubectl.run("get jobs -n default").is_empty());
    assert!(kubectl.fails("get job none").contains("NotFound"));
}

#[test]
fn what_is_deleted_takes_its_pods_along() {
    let kubectl = Kubectl::new(Plan {
        course: Course::UntilTold,
        ..Plan::default()
    });
    for policy in ["background", "foreground"] {
        said("create", &kubectl.with_input("create -f -", &job(policy, &[])));
        kubectl.run(&format!(
            "wait --for=jsonpath={{.status.active}}=1 job/{policy} --timeout=60s"
        ));
        kubectl.run(&format!("delete job {policy} --cascade={policy}"));
        kubectl.run(&format!(
            "wait --for=delete pod -l job-name={policy} --timeout=60s"
        ));
        assert!(kubectl.fails(&format!("get job {policy}")).contains("NotFound"));
    }
    said(
        "create",
        &kubectl.with_input("create -f -", &job("orphaning", &[])),
    );
    kubectl.run("wait --for=jsonpath={.status.active}=1 job/orphaning --timeout=60s");
    kubectl.run("delete job orphaning --cascade=orphan");
    let left = kubectl.json("get pods -l job-name=orphaning");
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    kubectl.run("delete pod -l job-name=orphaning --grace-period=0 --force");
    assert!(kubectl.run("get pods -o name").is_empty());
    kubectl.run("delete namespace crawlers --timeout=60s");
    assert!(kubectl.fails("get namespace crawlers").contains("NotFound"));
}

#[test]
fn a_watch_tells_what_happens() {
    let kubectl = Kubectl::new(Plan {
        course: Course::UntilTold,
        ..Plan::default()
    });
    said("create", &kubectl.with_input("create -f -", &job("crawl", &[])));
    let watch = kubectl
        .command("get job crawl --watch --output-watch-events -o json --request-timeout=0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut watch = Running(watch);
    let mut lines = BufReader::new(watch.0.stdout.take().unwrap()).lines();
    let mut text = String::new();
    let mut read_until = |word: &str| {
        while !text.contains(word) {
            text.push_str(&lines.next().expect("more of what happens").unwrap());
        }
        text.clone()
    };
    // It is watching from here on, so it is told of what follows one by one.
    read_until("\"ADDED\"");
    kubectl.run("wait --for=jsonpath={.status.active}=1 job/crawl --timeout=60s");
    while kubectl.cluster.world().end("crawlers", "crawl", &End::Exits(0)) == 0 {
        std::thread::yield_now();
    }
    kubectl.run("wait --for=condition=complete job/crawl --timeout=60s");
    kubectl.run("delete job crawl");
    let text = read_until("\"DELETED\"");
    assert!(text.contains("\"MODIFIED\""), "{text}");
    assert!(text.contains("\"Complete\""), "{text}");
}

#[test]
fn a_full_cluster_says_why_a_pod_waits() {
    let kubectl = Kubectl::new(Plan::default());
    let why = "0/3 nodes are available: 3 Insufficient cpu.";
    kubectl.cluster.world().limit(0, why);
    said("create", &kubectl.with_input("create -f -", &job("crawl", &[])));
    kubectl.run("wait --for=condition=PodScheduled=false pod -l run=7 --timeout=60s");
    let described = kubectl.run("describe pods -l run=7");
    assert!(
        described.contains(why) && described.contains("FailedScheduling"),
        "{described}"
    );
    kubectl.cluster.world().limit(1, why);
    kubectl.run("wait --for=condition=complete job/crawl --timeout=60s");
}

#[test]
fn a_job_that_fails_is_tried_again_as_often_as_it_says() {
    let kubectl = Kubectl::new(Plan {
        course: Course::Ends(Duration::ZERO, End::OutOfMemory),
        ..Plan::default()
    });
    let mut wanted = job("crawl", &[]);
    wanted["spec"]["backoffLimit"] = json!(2);
    said("create", &kubectl.with_input("create -f -", &wanted));
    kubectl.run("wait --for=condition=failed job/crawl --timeout=60s");
    let job = kubectl.json("get job crawl");
    assert_eq!(job["status"]["failed"], 3);
    assert_eq!(job["status"]["conditions"][0]["reason"], "BackoffLimitExceeded");
    let table = kubectl.run("get pods");
    assert_eq!(table.matches("OOMKilled").count(), 3, "{table}");
}

#[test]
fn a_job_can_be_a_process_or_have_no_image() {
    let kubectl = Kubectl::new(Plan {
        course: Course::Process,
        ..Plan::default()
    });
    let command = ["/bin/sh", "-c", "echo hello; echo there >&2; exit 3"];
    said(
        "create",
        &kubectl.with_input("create -f -", &job("crawl", &command)),
    );
    kubectl.run("wait --for=condition=failed job/crawl --timeout=60s");
    let log = kubectl.run("logs job/crawl");
    assert!(log.contains("hello") && log.contains("there"), "{log}");
    let code = kubectl.json("get pods -l job-name=crawl");
    assert_eq!(
        code["items"][0]["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        3
    );
    // A log is followed until its process has ended.
    let go = kubectl.folder.path().join("go");
    let script = format!(
        "echo one; until [ -e {} ]; do sleep 0.05; done; echo two",
        go.display()
    );
    said(
        "create",
        &kubectl.with_input("create -f -", &job("telling", &["/bin/sh", "-c", &script])),
    );
    kubectl.run("wait --for=jsonpath={.status.phase}=Running pod -l job-name=telling --timeout=60s");
    let mut following = kubectl.command("logs --follow job/telling");
    let mut following = following.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "one");
    std::fs::write(go, "").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "two");
    assert!(lines.next().is_none(), "it ends with the process");
    assert!(following.wait().unwrap().success());
    // As in a container, what a process has started ends with it, and its log is complete.
    let command = ["/bin/sh", "-c", "sleep 3600 & echo left $!; exit 0"];
    said(
        "create",
        &kubectl.with_input("create -f -", &job("leaving", &command)),
    );
    kubectl.run("wait --for=condition=complete job/leaving --timeout=60s");
    let log = kubectl.run("logs job/leaving");
    let left = log
        .trim()
        .strip_prefix("left ")
        .unwrap_or_else(|| panic!("{log}"));
    let state = std::fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_default();
    // Gone, or a zombie that its parent has not looked at.
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
    kubectl.cluster.world().plan(|_| Plan {
        start: Start::ImagePullBackOff,
        ..Plan::default()
    });
    said(
        "create",
        &kubectl.with_input("create -f -", &job("imageless", &[])),
    );
    let path = "{.status.containerStatuses[0].state.waiting.reason}";
    kubectl.run(&format!(
        "wait --for=jsonpath={path}=ImagePullBackOff pod -l job-name=imageless --timeout=60s"
    ));
    assert!(kubectl.run("get pods").contains("ImagePullBackOff"));
}

#[test]
fn faults_reach_kubectl_and_pass() {
    let kubectl = Kubectl::new(Plan::default());
    let faults = kubectl.cluster.faults();
    faults.fail(1, "GET", "/jobs", Failure::Refused(500));
    assert!(kubectl.fails("get jobs").contains("on command"));
    // The client itself waits and tries again.
    faults.fail(1, "GET", "/jobs", Failure::Refused(429));
    kubectl.run("get jobs");
    faults.fail(1, "GET", "/jobs", Failure::Refused(403));
    assert!(kubectl.fails("get jobs").contains("Forbidden"));
    // Done, but nobody was told.
    faults.fail(1, "POST", "/jobs", Failure::DoneButCut);
    let wanted = job("crawl", &[]);
    assert!(!kubectl.with_input("create -f -", &wanted).status.success());
    faults.clear();
    let again = kubectl.with_input("create -f -", &wanted);
    assert!(String::from_utf8_lossy(&again.stderr).contains("already exists"));
    assert!(
        kubectl
            .fails("create job other --image=crawler:1")
            .contains("unknown format")
    );
    kubectl.cluster.kill();
    kubectl.fails("get jobs");
    kubectl.cluster.start_again().unwrap();
    assert!(kubectl.run("get jobs").contains("crawl"));
    let mut other: Value = serde_json::from_str(&kubectl.cluster.kubeconfig("crawlers")).unwrap();
    other["users"][0]["user"]["token"] = json!("wrong");
    std::fs::write(kubectl.folder.path().join("config"), other.to_string()).unwrap();
    assert!(kubectl.fails("get jobs").contains("Unauthorized"));
}
