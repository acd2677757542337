//! The image.

use std::{fs, process::Command};

use super::{chart, file, read, tools::HADOLINT};

#[test]
fn it_has_no_faults_that_hadolint_finds() {
    let path = file("packaging/Dockerfile").display().to_string();
    HADOLINT.run(&["--failure-threshold", "style", &path], "");
}

/// The instructions of the last stage, which is the image.
fn last_stage() -> Vec<String> {
    let text = read("packaging/Dockerfile").replace("\\\n", " ");
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let from = lines.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    lines[from..].to_vec()
}

#[test]
fn what_runs_needs_neither_a_shell_nor_root() {
    let stage = last_stage();
    let one = |instruction: &str| {
        let mut found = stage.iter().filter_map(|line| line.strip_prefix(instruction));
        let first = found
            .next()
            .unwrap_or_else(|| panic!("there is no {instruction}"));
        assert!(found.next().is_none(), "there are several of {instruction}");
        first.trim()
    };
    assert!(!stage.iter().any(|line| line.starts_with("RUN ")));
    assert!(one("ENTRYPOINT ").starts_with('[') && one("CMD ").starts_with('['));
    assert!(one("HEALTHCHECK ").contains("CMD [\"/usr/local/bin/segno\", \"health\"]"));
    assert_eq!(one("VOLUME "), "[\"/var/lib/segno\"]");
    assert_eq!(one("STOPSIGNAL "), "SIGTERM");
    assert!(one("LABEL ").contains("org.opencontainers.image.title="));
    // The chart gives the volume to the same user.
    let objects = chart::rendered(&[]);
    let context = &chart::pod(&objects)["spec"]["securityContext"];
    let user = format!("{}:{}", context["runAsUser"], context["fsGroup"]);
    assert_eq!(one("USER "), user);
    assert!(stage.iter().any(|line| line.contains(&format!("--chown={user}"))));
}

/// What `Dockerfile.dockerignore` lets through is a whole workspace: nothing that the build reads is left out.
#[test]
fn the_build_is_given_all_that_it_needs() {
    let ignore = read("packaging/Dockerfile.dockerignore");
    let given: Vec<_> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let root = file("");
    let folder = tempfile::tempdir().unwrap();
    let files = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
        ])
        .args(&given)
        .current_dir(&root)
        .output()
        .expect("git lists files");
    let files = String::from_utf8(files.stdout).unwrap();
    let files: Vec<_> = files
        .split_terminator('\0')
        .filter(|path| root.join(path).is_file())
        .collect();
    for path in &files {
        let target = folder.path().join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(root.join(path), target).unwrap();
    }
    let workspace = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        workspace.status.success(),
        "{}",
        String::from_utf8_lossy(&workspace.stderr)
    );
    // Sources that programs are compiled from may name files outside of them.
    for path in files
        .iter()
        .filter(|path| path.ends_with(".rs") && path.contains("/src/"))
    {
        let text = fs::read_to_string(folder.path().join(path)).unwrap();
        for named in text.split("include_str!(\"").skip(1) {
            let named = named.split('"').next().unwrap();
            let target = folder.path().join(path).parent().unwrap().join(named);
            assert!(
                target.exists(),
                "{path} includes {named}, which the build is not given"
            );
        }
    }
}
