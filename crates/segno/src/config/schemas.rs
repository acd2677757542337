//! `[schemas."TYPE"]`: JSON Schemas of events' data.

use std::path::Path;

use serde_json::Value;

use super::reader::{Reader, Text};
use super::section::Section;
use super::{Code, Mistake, table};
use crate::catalogue::Schema;

/// The schemas without a mistake.
pub(super) fn read(reader: &mut Reader<'_>, section: Option<Section<'_>>, base: &Path) -> Vec<Schema> {
    let Some(section) = section else {
        return Vec::new();
    };
    let schema = |(ty, value): (Text<'_>, _)| {
        let what = format!("the schema of `{}`", ty.text);
        let section = Section::of(reader, ty.text, value, &what)?;
        schema(reader, section, &ty, base)
    };
    section.entries().filter_map(schema).collect()
}

fn schema(reader: &mut Reader<'_>, mut section: Section<'_>, ty: &Text<'_>, base: &Path) -> Option<Schema> {
    if ty.text.is_empty() || ty.text.contains('*') {
        let help = "a schema is of one type: write it out, without `*`";
        let mistake = Mistake::new(Code::Schema, format!("{:?} is no event type", ty.text), help);
        reader.report(mistake.at(ty.span.clone(), "not a type"));
        return None;
    }
    let file = section.string(reader, "file");
    let inline = section.take("schema");
    let description = section.string(reader, "description");
    let examples = section.take("examples");
    let place = section.span.clone();
    section.finish(reader);
    let (json, span) = match (&file, inline) {
        (Some(file), None) => (from_file(reader, file, base)?, file.span.clone()),
        (None, Some(inline)) => (
            table::read::<Value>(reader, inline)?,
            reader.first_line(inline.span()),
        ),
        _ => {
            let message = format!("the schema of `{}` comes from one place", ty.text);
            let help =
                "give it file = \"order.json\", or the schema itself as schema = { type = \"object\" }";
            reader.report(Mistake::new(Code::Schema, message, help).at(place, "neither, or both"));
            return None;
        }
    };
    let schema = match Schema::new(ty.text, json) {
        Ok(schema) => schema,
        Err(error) => {
            let help = "see https://json-schema.org; without `$schema` it is read as of 2020-12";
            let message = format!("this is no JSON Schema: {error}");
            reader.report(Mistake::new(Code::Schema, message, help).at(span, "this schema"));
            return None;
        }
    };
    let schema = match description {
        Some(description) => schema.with_description(description.text),
        None => schema,
    };
    let Some(examples) = examples else {
        return Some(schema);
    };
    let span = reader.first_line(examples.span());
    let examples: Vec<Value> = table::read(reader, examples)?;
    for (n, example) in examples.iter().enumerate() {
        for misfit in schema.misfits_of(example) {
            let message = format!(
                "example {} does not fit the schema: {}: {}",
                n + 1,
                misfit.path,
                misfit.what
            );
            let help = "people copy examples: mend it, or the schema";
            reader.report(Mistake::new(Code::Schema, message, help).at(span.clone(), "in here"));
        }
    }
    Some(schema.with_examples(examples))
}

/// The JSON in a file, whose path is taken from the folder of the configuration.
fn from_file(reader: &mut Reader<'_>, file: &Text<'_>, base: &Path) -> Option<Value> {
    let path = base.join(reader.path(file)?);
    let read = std::fs::read(&path).map_err(|error| error.to_string());
    let json = read
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| format!("it is no JSON: {error}")));
    match json {
        Ok(json) => Some(json),
        Err(why) => {
            let message = format!("the schema in {} cannot be read: {why}", path.display());
            let help = "relative paths start at the folder of the configuration file";
            reader.report(Mistake::new(Code::Schema, message, help).at(file.span.clone(), "this file"));
            None
        }
    }
}
