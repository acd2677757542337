//! Options that are one template or several.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::{Delivery, Failure, Template};

/// In a configuration a [`Template`], or a list of them.
///
/// ```
/// use segno_sinks::{Delivery, Templates};
/// let channels: Templates = serde_json::from_str(r#"["orders", "order-{{ payload.id }}"]"#)?;
/// assert_eq!(channels.render(Delivery::new("k", &serde_json::json!({"id": 7})))?, ["orders", "order-7"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Templates(Vec<Template>);

impl Templates {
    /// The texts for this delivery, in order.
    ///
    /// # Errors
    ///
    /// Those of [`Template::render`].
    pub fn render(&self, delivery: Delivery<'_>) -> Result<Vec<String>, Failure> {
        self.0.iter().map(|template| template.render(delivery)).collect()
    }
}

impl<'de> Deserialize<'de> for Templates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Templates;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a template or a list of templates")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Templates, E> {
                let template = text.parse().map_err(E::custom)?;
                Ok(Templates(vec![template]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, sequence: A) -> Result<Templates, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(sequence)).map(Templates)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
