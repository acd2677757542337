//! Templates of mails.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, value::Serde};
use serde::Serialize;

/// Templates in minijinja's language. `NAME.subject.txt` is the subject of mails of `NAME`, `NAME.txt` their text, `NAME.html`
/// their HTML, where what is put in is escaped; a subject and one of the others have to be there. They can call each
/// other, and names that have no value fail where they are printed.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    names: BTreeSet<String>,
}

/// Why templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplatesError {
    /// A file or folder cannot be read.
    #[error("the mail templates in {path} cannot be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One is not of the language.
    #[error("the mail template {name} does not compile: {source:#}")]
    Compile {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: minijinja::Error,
    },
    /// One fails on its values.
    #[error("the mail template {name} fails on these values: {source:#}")]
    Render {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: minijinja::Error,
    },
    /// A part is missing.
    #[error("there is no mail template {0}")]
    Missing(String),
}

/// What a template gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The subject.
    pub subject: String,
    /// The body as text.
    pub text: Option<String>,
    /// The body as HTML.
    pub html: Option<String>,
}

impl Templates {
    /// Templates of these names and sources.
    ///
    /// # Errors
    ///
    /// [`TemplatesError::Compile`].
    pub fn new<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, TemplatesError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_recursion_limit(100);
        environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        let mut templates = Self {
            environment,
            names: BTreeSet::new(),
        };
        for (name, source) in sources {
            templates.add(name, source.to_owned())?;
        }
        Ok(templates)
    }

    fn add(&mut self, name: &str, source: String) -> Result<(), TemplatesError> {
        let added = self.environment.add_template_owned(name.to_owned(), source);
        added.map_err(|source| TemplatesError::Compile {
            name: name.to_owned(),
            source,
        })?;
        self.names.insert(name.to_owned());
        Ok(())
    }

    /// The same, with the `.txt` and `.html` files of a folder in the place of those of their names.
    ///
    /// # Errors
    ///
    /// [`TemplatesError`], when it cannot be read or one does not compile.
    pub fn with_folder(mut self, folder: &Path) -> Result<Self, TemplatesError> {
        let told = |path: &Path| {
            let path = path.to_owned();
            move |source| TemplatesError::Read { path, source }
        };
        for entry in fs::read_dir(folder).map_err(told(folder))? {
            let path = entry.map_err(told(folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(name) = name.filter(|name| name.ends_with(".txt") || name.ends_with(".html")) {
                self.add(name, fs::read_to_string(&path).map_err(told(&path))?)?;
            }
        }
        Ok(self)
    }

    /// What the template of this name gives for these values.
    ///
    /// # Errors
    ///
    /// [`TemplatesError::Missing`] and [`TemplatesError::Render`].
    pub fn render(&self, name: &str, values: &impl Serialize) -> Result<Content, TemplatesError> {
        let values = Value::from(Serde(values));
        let part = |name: String| {
            if !self.names.contains(&name) {
                return Ok(None);
            }
            let template = self.environment.get_template(&name);
            let rendered = template.and_then(|template| template.render(&values));
            rendered
                .map(Some)
                .map_err(|source| TemplatesError::Render { name, source })
        };
        let subject = format!("{name}.subject.txt");
        let content = Content {
            subject: part(subject.clone())?.ok_or(TemplatesError::Missing(subject))?,
            text: part(format!("{name}.txt"))?,
            html: part(format!("{name}.html"))?,
        };
        if content.text.is_none() && content.html.is_none() {
            return Err(TemplatesError::Missing(format!("{name}.txt or {name}.html")));
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SOURCES: [(&str, &str); 4] = [
        ("hello.subject.txt", "Hello {{ name }}"),
        ("hello.txt", "Dear {{ name }},\n{% include 'foot.txt' %}"),
        ("hello.html", "<p>Dear {{ name }}</p>"),
        ("foot.txt", "-- \nus"),
    ];

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let templates = Templates::new(SOURCES).unwrap();
        let content = templates.render("hello", &json!({ "name": "A & B" })).unwrap();
        assert_eq!(
            content,
            Content {
                subject: "Hello A & B".to_owned(),
                text: Some("Dear A & B,\n-- \nus".to_owned()),
                html: Some("<p>Dear A &amp; B</p>".to_owned()),
            }
        );
    }

    #[test]
    fn what_is_missing_is_told() {
        let templates = Templates::new(SOURCES).unwrap();
        let told = |name: &str, values| templates.render(name, &values).unwrap_err().to_string();
        assert_eq!(
            told("bye", json!({})),
            "there is no mail template bye.subject.txt"
        );
        let unfilled = told("hello", json!({}));
        assert!(
            unfilled.contains("hello.subject.txt") && unfilled.contains("undefined"),
            "{unfilled}"
        );
        let broken = Templates::new([("a.txt", "{{ a")]).unwrap_err();
        assert!(broken.to_string().contains("a.txt"), "{broken}");
    }

    #[test]
    fn a_folder_takes_the_place_of_what_is_built_in() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hello.subject.txt"), "Hi {{ name }}").unwrap();
        std::fs::write(folder.path().join("notes.md"), "{{ broken").unwrap();
        let templates = Templates::new(SOURCES)
            .unwrap()
            .with_folder(folder.path())
            .unwrap();
        assert_eq!(
            templates
                .render("hello", &json!({ "name": "A" }))
                .unwrap()
                .subject,
            "Hi A"
        );
        let nowhere = Templates::new(SOURCES)
            .unwrap()
            .with_folder(Path::new("/nowhere"));
        assert!(matches!(nowhere, Err(TemplatesError::Read { .. })));
    }
}
