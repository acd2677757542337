//! The pages of mistakes: what stands after "Not so:" is that mistake, and what stands after "But so:" is none.

use std::{fs, process::Command};

use super::{
    document::{Document, Part},
    root,
};

#[test]
fn pages_of_mistakes_show_the_mistake_and_its_remedy() {
    let mut failures = Vec::new();
    let mut shown = 0;
    let mut pages: Vec<_> = fs::read_dir(root().join("docs/errors"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    pages.sort();
    for page in pages {
        let code = page.strip_suffix(".md").unwrap();
        let document = Document::read(&format!("docs/errors/{page}"));
        let folder = tempfile::tempdir().unwrap();
        for part in document.parts() {
            let Part::Block(block) = part else {
                let Part::Setup { script, .. } = part else {
                    continue;
                };
                let mut bash = Command::new("bash");
                let done = bash.args(["-euc", &script]).current_dir(folder.path()).status();
                assert!(done.unwrap().success(), "{page}: {script}");
                continue;
            };
            if block.skip.is_some() {
                continue;
            }
            let place = format!("docs/errors/{page}:{}", block.line);
            let wanted = match block.before.as_str() {
                before if before.starts_with("Not so") => Some(code),
                before if before.starts_with("But so") => None,
                _ => {
                    failures.push(format!(
                        "{place}: it stands after neither `Not so:` nor `But so:`"
                    ));
                    continue;
                }
            };
            shown += 1;
            let file = folder.path().join("snippet");
            let text = format!("{}{}", block.after.clone().unwrap_or_default(), block.text);
            fs::write(&file, &text).unwrap();
            let mut segno = Command::new(env!("CARGO_BIN_EXE_segno"));
            match block.language.as_str() {
                "toml" => segno.args(["check", "--config"]).arg(&file),
                "json" => segno.arg("explain").arg(&file),
                other => panic!("{place}: nothing is known of {other:?} here"),
            };
            let output = segno.current_dir(folder.path()).output().unwrap();
            let printed = [output.stdout, output.stderr].concat();
            let printed = String::from_utf8_lossy(&printed);
            let codes: Vec<_> = printed
                .lines()
                .filter_map(|line| line.trim_start_matches("Error: ").split_whitespace().next())
                .filter(|word| word.starts_with("SG0"))
                .collect();
            // Other mistakes may follow from the one that the page is about.
            let right = match wanted {
                Some(wanted) => codes.contains(&wanted),
                None => codes.is_empty() && output.status.success(),
            };
            if !right {
                failures.push(format!(
                    "{place}: {codes:?} in place of {wanted:?}\n{text}\n{printed}"
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(shown > 50, "only {shown} snippets");
}
