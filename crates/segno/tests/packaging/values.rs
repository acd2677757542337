//! The chart's README: its table of values is made of `values.yaml`.
//!
//! With `SEGNO_BLESS=1` it is written anew.

use std::fs;

use serde_json::Value;

use super::{file, read, tools::yaml};

const README: &str = "packaging/helm/segno/README.md";
const BEGIN: &str = "| key | default | is |\n|---|---|---|\n";

/// A row for each value that has a description, a comment that begins with `# --`.
fn rows(text: &str, values: &Value) -> String {
    let mut rows = String::new();
    let mut path: Vec<(usize, &str)> = Vec::new();
    let mut description: Option<&str> = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if let Some(told) = trimmed.strip_prefix("# -- ") {
            description = Some(told);
            continue;
        }
        let Some((key, _)) = trimmed.split_once(':') else {
            continue;
        };
        if trimmed.starts_with(['#', '-']) || key.contains(' ') {
            continue;
        }
        path.retain(|(at, _)| *at < indent);
        path.push((indent, key));
        let Some(told) = description.take() else { continue };
        let keys: Vec<_> = path.iter().map(|(_, key)| *key).collect();
        let value = values
            .pointer(&format!("/{}", keys.join("/")))
            .expect("the value");
        let default = match value {
            Value::String(text) if text.contains('\n') => "see values.yaml".to_owned(),
            Value::String(text) if text.is_empty() => String::new(),
            value => format!("`{}`", value.to_string().trim_matches('"').replace('|', "\\|")),
        };
        rows.push_str(&format!("| `{}` | {default} | {told} |\n", keys.join(".")));
    }
    rows
}

/// The paths of all values, but for what is inside of lists and of those that a description is about.
fn leaves(prefix: &str, value: &Value, rows: &str, undescribed: &mut Vec<String>) {
    if rows.contains(&format!("| `{prefix}` |")) {
        return;
    }
    match value {
        Value::Object(values) if !values.is_empty() => {
            for (key, value) in values {
                let path = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                leaves(&path, value, rows, undescribed);
            }
        }
        _ => undescribed.push(prefix.to_owned()),
    }
}

#[test]
fn the_readme_has_every_value() {
    let text = read("packaging/helm/segno/values.yaml");
    let values = yaml(&text).remove(0);
    let rows = rows(&text, &values);
    let mut undescribed = Vec::new();
    leaves("", &values, &rows, &mut undescribed);
    assert!(undescribed.is_empty(), "they have no `# --`: {undescribed:?}");
    let readme = read(README);
    let (before, rest) = readme.split_once(BEGIN).expect("the table");
    let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
    let expected = format!("{before}{BEGIN}{rows}\n{after}");
    if std::env::var_os("SEGNO_BLESS").is_some() {
        fs::write(file(README), &expected).unwrap();
    }
    assert!(
        read(README) == expected,
        "{README} differs from values.yaml: SEGNO_BLESS=1 writes it anew"
    );
}

/// The examples of the README are values that the chart takes, with configurations that have no mistakes.
#[test]
fn the_examples_of_the_readme_are_right() {
    let readme = read(README);
    let examples = readme.split("```yaml\n").skip(1);
    let examples: Vec<_> = examples.map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("values.yaml");
        fs::write(&path, example).unwrap();
        let objects = super::chart::rendered(&["--values", path.to_str().unwrap()]);
        let config = &super::chart::object(&objects, "ConfigMap").unwrap()["data"]["segno.toml"];
        let config = config.as_str().unwrap();
        // The Secret's files are there in the pod.
        let config = config.replace("/run/secrets/segno", folder.path().to_str().unwrap());
        fs::write(folder.path().join("shop"), "0123456789abcdef0123456789abcdef").unwrap();
        let file = folder.path().join("segno.toml");
        fs::write(&file, &config).unwrap();
        let check = std::process::Command::new(env!("CARGO_BIN_EXE_segno"))
            .args(["check", "--config"])
            .arg(&file)
            .env("CRM_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&check.stdout);
        assert!(check.status.success(), "{config}\n{said}");
    }
}
