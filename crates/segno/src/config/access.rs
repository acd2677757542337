//! `[[http.tokens]]`: who may use the HTTP API.

use std::path::Path;

use super::grpc::{KeySource, given, key_source};
use super::reader::{Reader, Text};
use super::section::Section;
use super::{Code, Mistake, suggest};
use crate::access::Role;

/// A token, which stands elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What logs and the audit log call whoever uses it.
    pub name: String,
    /// Where the token is.
    pub source: KeySource,
    /// What it is good for.
    pub role: Role,
}

pub(super) fn tokens(reader: &mut Reader<'_>, sections: Vec<Section<'_>>, base: &Path) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for section in sections {
        let name = section.span.clone();
        let Some(token) = token(reader, section, base) else {
            continue;
        };
        if tokens.iter().any(|other| other.name == token.name) {
            let message = format!("two tokens are named {:?}", token.name);
            let help = "give each a name of its own: the audit log tells people and programs apart by it";
            reader.report(Mistake::new(Code::DuplicateName, message, help).at(name, "the second one"));
            continue;
        }
        tokens.push(token);
    }
    tokens
}

fn token(reader: &mut Reader<'_>, mut section: Section<'_>, base: &Path) -> Option<Token> {
    for key in ["token", "key"] {
        if section.take(key).is_some() {
            let span = section.key_span(key).unwrap_or_default();
            let message = "a token does not stand in this file";
            let help = "put it into an environment variable or a file and name that: env = \"OPERATOR_TOKEN\", or file = \
                        \"operator.token\"";
            reader.report(Mistake::new(Code::UnknownKey, message, help).at(span, "no token here"));
        }
    }
    let name = section
        .required(reader, "name")
        .and_then(|text| given(reader, "name", &text));
    let env = section
        .string(reader, "env")
        .and_then(|text| given(reader, "env", &text));
    let file = section.string(reader, "file").and_then(|text| reader.path(&text));
    let role = section
        .required(reader, "role")
        .and_then(|text| role(reader, &text));
    let is_elsewhere = !section.has("token") || section.has("env") || section.has("file");
    let source = is_elsewhere
        .then(|| key_source(reader, &mut section, "a token", (env, file), base))
        .flatten();
    section.finish(reader);
    Some(Token {
        name: name?,
        source: source?,
        role: role?,
    })
}

/// A role by its name.
pub(super) fn role(reader: &mut Reader<'_>, text: &Text<'_>) -> Option<Role> {
    let found = text.text.parse();
    if found.is_err() {
        let message = format!("there is no role `{}`", text.text);
        let names = Role::ALL.into_iter().map(Role::name);
        let help = suggest::help(
            text.text,
            names,
            "the roles are sender, viewer, operator and admin",
        );
        reader.report(Mistake::new(Code::Role, message, help).at(text.span.clone(), "no role"));
    }
    found.ok()
}
