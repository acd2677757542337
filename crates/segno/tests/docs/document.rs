//! A Markdown file: its fenced blocks, and what its comments say about them.

use std::{fs, path::Path};

/// A document, by its path from the repository's folder.
pub(crate) struct Document {
    pub(crate) path: String,
    text: String,
}

/// What a document has, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Lines of shell that the reader does not see, and the line that they begin after.
    Setup {
        line: usize,
        script: String,
    },
    Block(Box<Block>),
}

/// A fenced block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of its fence, from 1.
    pub(crate) line: usize,
    pub(crate) language: String,
    /// Without the indentation of its fence.
    pub(crate) text: String,
    /// The last line of prose before it.
    pub(crate) before: String,
    pub(crate) skip: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) with: Vec<(String, String)>,
    pub(crate) prints: Vec<String>,
    pub(crate) exit: i32,
    pub(crate) compiled_in: Option<String>,
    pub(crate) checked_by: Option<String>,
}

impl Document {
    pub(crate) fn read(path: &str) -> Self {
        let text = fs::read_to_string(super::root().join(path))
            .unwrap_or_else(|error| panic!("{path} cannot be read: {error}"));
        Self {
            path: path.to_owned(),
            text,
        }
    }

    /// The blocks and what runs between them.
    ///
    /// # Panics
    /// When a comment of a test cannot be understood, or says something of no block.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut next = Block::default();
        let mut lines = self.text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            let trimmed = line.trim_start();
            let place = || format!("{}:{}", self.path, at + 1);
            if let Some(language) = trimmed.strip_prefix("```") {
                let indent = line.len() - trimmed.len();
                language.trim().clone_into(&mut next.language);
                next.line = at + 1;
                loop {
                    let (_, line) = lines
                        .next()
                        .unwrap_or_else(|| panic!("{}: the block has no end", place()));
                    if line.trim() == "```" {
                        break;
                    }
                    next.text.push_str(line.get(indent..).unwrap_or_default());
                    next.text.push('\n');
                }
                parts.push(Part::Block(Box::new(std::mem::take(&mut next))));
            } else if let Some(comment) = trimmed.strip_prefix("<!-- test:") {
                let mut comment = comment.to_owned();
                while !comment.contains("-->") {
                    let (_, line) = lines
                        .next()
                        .unwrap_or_else(|| panic!("{}: the comment has no end", place()));
                    comment.push('\n');
                    comment.push_str(line);
                }
                let comment = comment.split("-->").next().unwrap().trim();
                match comment.strip_prefix("setup") {
                    Some(script) => parts.push(Part::Setup {
                        line: at + 1,
                        script: script.to_owned(),
                    }),
                    None => next.told(comment, &place()),
                }
            } else if !trimmed.is_empty() {
                let told = Block {
                    before: next.before.clone(),
                    ..Block::default()
                };
                assert!(
                    next == told,
                    "{}: the comment before it is about no block",
                    place()
                );
                trimmed.clone_into(&mut next.before);
            }
        }
        parts
    }

    /// Whether this text is anywhere in it.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// A value for each variable that the document's configurations read a secret from.
    pub(crate) fn secrets(&self) -> Vec<(&str, &'static str)> {
        let named = self.text.split("env = \"").skip(1);
        let named = named.filter_map(|rest| rest.split('"').next());
        named.map(|name| (name, secret(name))).collect()
    }

    /// A text for each file in `/run/secrets/` that it names.
    pub(crate) fn secret_files(&self) -> Vec<(&str, &'static str)> {
        let named = self.text.split("/run/secrets/").skip(1);
        let end = |c: char| !(c.is_alphanumeric() || c == '-');
        let named = named.filter_map(|rest| rest.split(end).next());
        named.map(|name| (name, secret(name))).collect()
    }

    /// The links to files and to headings that there are not, each with its place.
    pub(crate) fn dead_links(&self) -> Vec<String> {
        let mut dead = Vec::new();
        let folder = super::root().join(Path::new(&self.path).parent().unwrap());
        for (at, line) in self.text.lines().enumerate() {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if link.contains("://") || link.contains(' ') {
                    continue;
                }
                let (file, heading) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() {
                    super::root().join(&self.path)
                } else {
                    folder.join(file)
                };
                let found = target.exists() && (heading.is_empty() || has_heading(&target, heading));
                if !found {
                    dead.push(format!("{}:{}: {link}", self.path, at + 1));
                }
            }
        }
        dead
    }
}

/// A secret that can be what the name says.
fn secret(name: &str) -> &'static str {
    match name.to_uppercase().replace('-', "_").as_str() {
        "REDIS_URL" => "redis://127.0.0.1:6379",
        name if name.ends_with("DATABASE_URL") => "postgres://127.0.0.1:5432/shop",
        "SLACK_WEBHOOK" => "https://hooks.example.com/T1/B2",
        _ => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
}

fn has_heading(file: &Path, wanted: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| line.starts_with('#')).any(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let anchor: String = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        anchor == wanted
    })
}

impl Block {
    /// Takes what a comment says.
    fn told(&mut self, comment: &str, place: &str) {
        let (first, body) = comment.split_once('\n').unwrap_or((comment, ""));
        let (kind, rest) = first.split_once(' ').unwrap_or((first, ""));
        let rest = rest.trim();
        let required = || {
            assert!(!rest.is_empty(), "{place}: `{kind}` wants a word more");
            rest.to_owned()
        };
        match kind {
            "skip" => self.skip = Some(required()),
            "file" => self.file = Some(required()),
            "after" => self.after = Some(format!("{body}\n")),
            "with" => {
                let (word, text) = rest.split_once(" = ").expect("WORD = TEXT");
                self.with.push((word.to_owned(), text.to_owned()));
            }
            "prints" => {
                let lines = [rest].into_iter().chain(body.lines());
                let lines = lines.filter(|line| !line.trim().is_empty());
                self.prints.extend(lines.map(str::to_owned));
            }
            "exit" => self.exit = rest.parse().expect("an exit status"),
            "compiled" => self.compiled_in = rest.strip_prefix("in ").map(str::to_owned),
            "checked" => self.checked_by = rest.strip_prefix("by ").map(str::to_owned),
            other => panic!("{place}: there is no comment `{other}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_their_text_and_what_is_said_of_them() {
        let text = "# Title\n\n<!-- test: setup\nmkdir a\n-->\nNot so:\n\n<!-- test: exit 3 -->\n<!-- test: prints\none\ntwo\n-->\n\
                    ```sh\nrun\n  more\n```\n- in a list\n  ```toml\n  a = 1\n  ```\n";
        let document = Document {
            path: "x.md".to_owned(),
            text: text.to_owned(),
        };
        let parts = document.parts();
        let expected = [
            Part::Setup {
                line: 3,
                script: "\nmkdir a".to_owned(),
            },
            Part::Block(Box::new(Block {
                line: 13,
                language: "sh".to_owned(),
                text: "run\n  more\n".to_owned(),
                before: "Not so:".to_owned(),
                prints: vec!["one".to_owned(), "two".to_owned()],
                exit: 3,
                ..Block::default()
            })),
            Part::Block(Box::new(Block {
                line: 18,
                language: "toml".to_owned(),
                text: "a = 1\n".to_owned(),
                before: "- in a list".to_owned(),
                ..Block::default()
            })),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    #[should_panic(expected = "x.md:2: the comment before it is about no block")]
    fn a_comment_about_nothing_is_a_mistake() {
        let document = Document {
            path: "x.md".to_owned(),
            text: "<!-- test: skip it needs the moon -->\nprose\n".to_owned(),
        };
        document.parts();
    }
}
