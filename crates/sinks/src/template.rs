//! Short templates in a sink's options: a text made of what is delivered.

use std::sync::Arc;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context, value::Serde};
use serde::{Deserialize, Deserializer, de};

use crate::{Delivery, Failure};

/// The name of the only template of an environment.
const NAME: &str = "template";

/// A template of [minijinja](https://docs.rs/minijinja), the language of Jinja2, over the variables `payload`, `event`
/// (as JSON; not there for deliveries that were made of no event) and `key`.
///
/// A variable that is not there is an error, and so a permanent failure: silently leaving it out would send the wrong thing
/// to the wrong place. `{{ payload.name or "nobody" }}` and `default` say what to do without it.
///
/// ```
/// use segno_sinks::{Delivery, Template};
/// let template: Template = "orders/{{ payload.id }}.json".parse()?;
/// assert_eq!(template.render(Delivery::new("k", &serde_json::json!({"id": 7})))?, "orders/7.json");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Template(Arc<Environment<'static>>);

/// Why a text is no template.
#[derive(Debug, thiserror::Error)]
#[error("this template does not compile: {0:#}")]
pub struct TemplateError(#[source] minijinja::Error);

impl std::str::FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        Self::compile(text, |_| AutoEscape::None)
    }
}

impl Template {
    /// A template of HTML: what is put into it is escaped.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub fn html(text: &str) -> Result<Self, TemplateError> {
        Self::compile(text, |_| AutoEscape::Html)
    }

    fn compile(text: &str, escape: fn(&str) -> AutoEscape) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(escape);
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        // Loops of a template that does not end would hold up a thread.
        environment.set_recursion_limit(100);
        environment
            .add_template_owned(NAME, text.to_owned())
            .map_err(TemplateError)?;
        Ok(Self(Arc::new(environment)))
    }

    /// The text for this delivery.
    ///
    /// # Errors
    ///
    /// A permanent [`Failure`] when the template fails on it, as with a variable that is not there.
    pub fn render(&self, delivery: Delivery<'_>) -> Result<String, Failure> {
        let Delivery {
            key, payload, event, ..
        } = delivery;
        let told = |error: minijinja::Error| {
            Failure::permanent(format!("a template of the sink fails on this payload: {error:#}"))
        };
        let template = self.0.get_template(NAME).map_err(told)?;
        let payload = Value::from(Serde(payload));
        match event.map(|event| Value::from(Serde(event))) {
            Some(event) => template.render(context! { key, payload, event }),
            None => template.render(context! { key, payload }),
        }
        .map_err(told)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_there_is_a_permanent_failure() {
        let template: Template = "{{ payload.missing }}".parse().unwrap();
        let payload = json!({});
        let failure = template.render(Delivery::new("k", &payload)).unwrap_err();
        assert!(matches!(failure, Failure::Permanent { .. }), "{failure:?}");
        let template: Template = "{{ payload.missing or 'nobody' }}".parse().unwrap();
        assert_eq!(template.render(Delivery::new("k", &payload)).unwrap(), "nobody");
    }

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let payload = json!("<b>");
        let render = |template: Template| template.render(Delivery::new("k", &payload)).unwrap();
        assert_eq!(
            render(Template::html("<p>{{ payload }}").unwrap()),
            "<p>&lt;b&gt;"
        );
        assert_eq!(render("<p>{{ payload }}".parse().unwrap()), "<p><b>");
    }

    #[test]
    fn a_mistake_is_found_when_it_is_read() {
        let error = "{{ payload.id".parse::<Template>().unwrap_err();
        assert!(error.to_string().contains("does not compile"), "{error}");
    }
}
