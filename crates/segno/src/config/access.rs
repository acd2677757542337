//! `[[http.tokens]]`: who may use the HTTP API.

use std::path::Path;

use super::key_source::{Elsewhere, KeySource};
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

const TOKEN: Elsewhere = Elsewhere {
    what: "a token",
    word: "token",
    keys: &["token", "key"],
    examples: ("OPERATOR_TOKEN", "operator.token"),
};

fn token(reader: &mut Reader<'_>, mut section: Section<'_>, base: &Path) -> Option<Token> {
    let (name, source) = TOKEN.read(reader, &mut section, base);
    let role = section
        .required(reader, "role")
        .and_then(|text| role(reader, &text));
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
