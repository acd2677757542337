//! The templates of a folder.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context, value::Serde};

use crate::{Delivery, Failure};

/// Templates deeper in folders than this are a loop of links.
const DEEPEST: usize = 16;

/// Why a folder of templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BodiesError {
    /// It cannot be read.
    #[error("the mail templates in {path} cannot be read")]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One of them is wrong.
    #[error("the mail template {path} does not compile: {source:#}")]
    Compile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: minijinja::Error,
    },
}

/// The subject and the bodies that a template gives.
pub(super) struct Rendered {
    pub(super) subject: Option<String>,
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
}

/// The templates, or none.
#[derive(Debug)]
pub(super) struct Bodies {
    /// Whether there is a folder of them.
    configured: bool,
    environment: Environment<'static>,
    /// The files, as their templates call each other.
    files: BTreeSet<String>,
}

impl Bodies {
    /// Reads and compiles all `.txt` and `.html` files in the folder, at whatever depth.
    pub(super) fn read(folder: Option<PathBuf>) -> Result<Self, BodiesError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_recursion_limit(100);
        environment.set_auto_escape_callback(|name| {
            if name.ends_with(".html") {
                AutoEscape::Html
            } else {
                AutoEscape::None
            }
        });
        let mut bodies = Self {
            configured: folder.is_some(),
            environment,
            files: BTreeSet::new(),
        };
        if let Some(folder) = folder {
            bodies.read_folder(&folder, "", 0)?;
        }
        Ok(bodies)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), BodiesError> {
        let told = |path: &Path| {
            let path = path.to_owned();
            move |source| BodiesError::Read { path, source }
        };
        if depth > DEEPEST {
            return Err(told(folder)(io::Error::other(
                "folders within folders without an end",
            )));
        }
        for entry in fs::read_dir(folder).map_err(told(folder))? {
            let path = entry.map_err(told(folder))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let name = format!("{prefix}{name}");
            // Following links: mounted configuration is often made of them.
            if fs::metadata(&path).map_err(told(&path))?.is_dir() {
                self.read_folder(&path, &format!("{name}/"), depth + 1)?;
            } else if name.ends_with(".txt") || name.ends_with(".html") {
                let source = fs::read_to_string(&path).map_err(told(&path))?;
                self.environment
                    .add_template_owned(name.clone(), source)
                    .map_err(|source| BodiesError::Compile { path, source })?;
                self.files.insert(name);
            }
        }
        Ok(())
    }

    /// What the template of this name gives for this delivery.
    pub(super) fn render(&self, name: &str, delivery: Delivery<'_>) -> Result<Rendered, Failure> {
        if !self.configured {
            return Err(Failure::permanent(
                "the payload names a mail template, and the sink has no folder of `templates`",
            ));
        }
        let rendered = Rendered {
            subject: self.file(&format!("{name}.subject.txt"), delivery)?,
            text: self.file(&format!("{name}.txt"), delivery)?,
            html: self.file(&format!("{name}.html"), delivery)?,
        };
        if rendered.text.is_none() && rendered.html.is_none() {
            return Err(Failure::permanent(format!(
                "there is no mail template {name:?}: the sink's folder has neither {name}.txt nor {name}.html, or had \
                not when the sink was made"
            )));
        }
        Ok(rendered)
    }

    fn file(&self, name: &str, delivery: Delivery<'_>) -> Result<Option<String>, Failure> {
        if !self.files.contains(name) {
            return Ok(None);
        }
        let Delivery {
            key, payload, event, ..
        } = delivery;
        let data = payload.get("data").map(|data| Value::from(Serde(data)));
        let payload = Value::from(Serde(payload));
        let values = match (data, event.map(|event| Value::from(Serde(event)))) {
            (Some(data), Some(event)) => context! { key, payload, data, event },
            (Some(data), None) => context! { key, payload, data },
            (None, Some(event)) => context! { key, payload, event },
            (None, None) => context! { key, payload },
        };
        let rendered = self
            .environment
            .get_template(name)
            .and_then(|template| template.render(values));
        rendered.map(Some).map_err(|error| {
            Failure::permanent(format!(
                "the mail template {name} fails on this payload: {error:#}"
            ))
        })
    }
}
