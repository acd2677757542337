//! From jq source to a guarded filter, with every mistake placed.

use std::ops::Range;

use jaq_core::Compiler;
use jaq_core::compile::Undefined;
use jaq_core::load::lex::{self, Lexer, Token};
use jaq_core::load::parse::{self, Def, Parser, Term};
use jaq_core::load::{Arena, File, Loader};

use super::guard;
use super::library::{self, Filter, LEFT_OUT};
use crate::CompileError;

/// The longest transform, in bytes.
const MAX_SOURCE: usize = 16 * 1024;
/// How deeply brackets may nest: reading an expression recurses.
const MAX_NESTING: usize = 200;

/// The name of the definition that an expression is compiled as.
const MAIN: &str = "__transform";

pub(super) fn compile(source: &str) -> Result<Filter, CompileError> {
    limits(source)?;
    let tokens = Lexer::new(source)
        .lex()
        .map_err(|errors| lexing(source, errors))?;
    let main = Parser::new(&tokens)
        .parse(|parser| parser.term())
        .map_err(|errors| parsing(source, errors))?;
    let main = Def {
        name: MAIN,
        args: Vec::new(),
        body: main,
    };
    if let Some(name) = recursive(&main) {
        let message =
            format!("`{name}` calls itself: use recurse, reduce, foreach, until, while or walk instead");
        return Err(CompileError::new(message, place(source, name)));
    }
    let main = Def {
        body: guard::term(main.body),
        ..main
    };
    let prelude = library::defs().into_iter().chain([main]);
    let unexpected = || CompileError::new("the transform could not be compiled", 0..source.len());
    let arena = Arena::default();
    let modules = Loader::new(prelude)
        .load(&arena, File { code: MAIN, path: () })
        .map_err(|_| unexpected())?;
    Compiler::default()
        .with_funs(library::funs())
        .compile(modules)
        .map_err(|errors| {
            let undefined = errors.into_iter().flat_map(|(_, errors)| errors);
            let placed = undefined.map(|(name, kind)| self::undefined(source, name, &kind));
            placed.min_by_key(|error| error.offset).unwrap_or_else(unexpected)
        })
}

/// The name of a definition that calls itself, the expression as a whole included.
fn recursive<'s>(main: &Def<&'s str>) -> Option<&'s str> {
    let mut found = guard::calls_itself(main).then_some(main.name);
    guard::visit(&main.body, &mut |term| {
        if let Term::Def(defs, _) = term {
            found = found.or(defs
                .iter()
                .find(|def| guard::calls_itself(def))
                .map(|def| def.name));
        }
    });
    found
}

fn limits(source: &str) -> Result<(), CompileError> {
    if source.trim().is_empty() {
        let message = "the transform is empty: leave it out to deliver the event itself, use `empty` to deliver nothing";
        return Err(CompileError::new(message, 0..source.len()));
    }
    if source.len() > MAX_SOURCE {
        let message = format!("the transform is longer than {MAX_SOURCE} bytes");
        return Err(CompileError::new(message, 0..source.len()));
    }
    let mut depth = 0_usize;
    for (at, c) in source.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(CompileError::new("the transform nests too deeply", at..at + 1));
        }
    }
    Ok(())
}

fn lexing(source: &str, errors: Vec<lex::Error<&str>>) -> CompileError {
    let first = errors
        .into_iter()
        .min_by_key(|(_, rest)| place(source, rest).start);
    let Some((expected, rest)) = first else {
        return CompileError::new("this is not jq", 0..source.len());
    };
    let at = place(source, rest);
    let message = match expected {
        lex::Expect::Delim(open) => {
            return CompileError::new(format!("`{open}` is never closed"), place(source, open));
        }
        lex::Expect::Token => "this character means nothing in jq".to_owned(),
        other => format!("expected {}", other.as_str()),
    };
    let len = source
        .get(at.start..)
        .and_then(|rest| rest.chars().next())
        .map_or(0, char::len_utf8);
    CompileError::new(message, at.start..at.start + len)
}

fn parsing(source: &str, errors: Vec<parse::Error<&str, Option<&Token<&str>>>>) -> CompileError {
    let place = |found: Option<&Token<&str>>| {
        found.map_or(source.len()..source.len(), |token| place(source, token.0))
    };
    let first = errors.into_iter().min_by_key(|(_, found)| place(*found).start);
    let Some((expected, found)) = first else {
        return CompileError::new("this is not jq", 0..source.len());
    };
    let expected = match expected {
        parse::Expect::Just(token) => format!("`{token}`"),
        parse::Expect::Nothing => "the end or an operator".to_owned(),
        parse::Expect::Term => "an expression".to_owned(),
        other => other.as_str().to_owned(),
    };
    let found_text = found.map_or("the end".to_owned(), |token| format!("`{}`", first_line(token.0)));
    CompileError::new(format!("expected {expected}, found {found_text}"), place(found))
}

fn first_line(text: &str) -> String {
    crate::error::shorten(text.lines().next().unwrap_or_default(), 40)
}

fn undefined(source: &str, name: &str, kind: &Undefined) -> CompileError {
    let left_out = LEFT_OUT.iter().find(|(function, _)| *function == name);
    let message = match (kind, left_out) {
        (Undefined::Filter(_), Some((_, why))) => format!("`{name}` is not available in transforms: {why}"),
        (Undefined::Filter(0), None) => format!("there is no function `{name}`"),
        (Undefined::Filter(arity), None) => format!("there is no function `{name}` of {arity} argument(s)"),
        (Undefined::Var, _) if matches!(name, "$ENV" | "$__loc__" | "$__prog_args") => {
            format!("`{name}` is not available in transforms: they see the event alone")
        }
        (kind, _) => format!("there is no {} `{name}`", kind.as_str()),
    };
    CompileError::new(message, place(source, name))
}

/// Where `part`, a slice of `source`, is in it. The library's own slices are elsewhere, and stand for all of it.
fn place(source: &str, part: &str) -> Range<usize> {
    let offset = (part.as_ptr() as usize).checked_sub(source.as_ptr() as usize);
    match offset {
        Some(start) if start + part.len() <= source.len() => start..start + part.len(),
        _ => 0..source.len(),
    }
}
