//! Expressions rewritten so that they end.
//!
//! A transform is written by whoever runs Segno, and it works on events from elsewhere: `range(.data.n)`, or
//! `.data.price * .data.count` with a string for a price, must not take the process down. jq's interpreter knows no
//! limits, so the limits are written into the expression: whatever can happen often takes a step
//! ([`library::TICK`]), and what can make one value big is asked first ([`library::ADD`], [`library::MUL`]).

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

use super::library::{ADD, MUL, TICK};

/// `left | right`, unguarded.
pub(super) fn pipe<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

/// The same expression within limits.
pub(super) fn term(term: Term<&str>) -> Term<&str> {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => term,
        Term::Str(format, parts) => Term::Str(format, parts.into_iter().map(str_part).collect()),
        Term::Arr(Some(inner)) => Term::Arr(Some(Box::new(pipe(self::term(*inner), tick())))),
        Term::Obj(entries) => {
            let entry = |(key, value): (_, Option<_>)| (self::term(key), value.map(self::term));
            Term::Obj(entries.into_iter().map(entry).collect())
        }
        Term::Neg(inner) => Term::Neg(boxed(inner)),
        Term::BinOp(left, op, right) => binary(self::term(*left), op, self::term(*right)),
        Term::Label(name, inner) => Term::Label(name, boxed(inner)),
        Term::Fold(name, over, pattern, args) => {
            let mut args: Vec<_> = args.into_iter().map(self::term).collect();
            if let Some(update) = args.get_mut(1) {
                *update = ticked(std::mem::take(update));
            }
            Term::Fold(name, boxed(over), self::pattern(pattern), args)
        }
        Term::TryCatch(inner, catch) => Term::TryCatch(boxed(inner), catch.map(boxed)),
        Term::IfThenElse(cases, otherwise) => {
            let cases = cases
                .into_iter()
                .map(|(condition, then)| (self::term(condition), self::term(then)));
            Term::IfThenElse(cases.collect(), otherwise.map(boxed))
        }
        Term::Def(defs, inner) => Term::Def(defs.into_iter().map(def).collect(), boxed(inner)),
        Term::Call(name, args) => Term::Call(name, args.into_iter().map(self::term).collect()),
        Term::Path(inner, path) => {
            let part = |(part, opt)| (self::part(part), opt);
            Term::Path(boxed(inner), Path(path.0.into_iter().map(part).collect()))
        }
    }
}

fn boxed(mut term: Box<Term<&str>>) -> Box<Term<&str>> {
    *term = self::term(std::mem::take(&mut *term));
    term
}

/// A definition within limits. One that calls itself takes a step each time.
pub(super) fn def(def: Def<&str>) -> Def<&str> {
    let recursive = calls_itself(&def);
    let body = term(def.body);
    Def {
        body: if recursive { ticked(body) } else { body },
        ..def
    }
}

fn str_part<'s>(part: StrPart<&'s str, Term<&'s str>>) -> StrPart<&'s str, Term<&'s str>> {
    match part {
        StrPart::Term(inner) => StrPart::Term(term(inner)),
        other => other,
    }
}

fn part(part: Part<Term<&str>>) -> Part<Term<&str>> {
    match part {
        Part::Index(index) => Part::Index(term(index)),
        Part::Range(from, to) => Part::Range(from.map(term), to.map(term)),
    }
}

fn pattern(pattern: Pattern<&str>) -> Pattern<&str> {
    match pattern {
        Pattern::Var(_) => pattern,
        Pattern::Arr(inner) => Pattern::Arr(inner.into_iter().map(self::pattern).collect()),
        Pattern::Obj(entries) => Pattern::Obj(
            entries
                .into_iter()
                .map(|(key, value)| (term(key), self::pattern(value)))
                .collect(),
        ),
    }
}

/// A binary operation on operands that are guarded already.
fn binary<'s>(left: Term<&'s str>, op: BinaryOp<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    let native = |math: &Math| match math {
        Math::Add => Some(ADD),
        Math::Mul => Some(MUL),
        _ => None,
    };
    match op {
        BinaryOp::Pipe(pattern) => {
            let op = BinaryOp::Pipe(pattern.map(self::pattern));
            Term::BinOp(Box::new(left), op, Box::new(ticked(right)))
        }
        // `x + y` as `x as $l | y as $r | !add($l; $r)`: in the order of jq's own products of several values.
        BinaryOp::Math(math) if native(&math).is_some() => {
            let call = Term::Call(
                native(&math).unwrap_or(ADD),
                vec![Term::Var("$!l"), Term::Var("$!r")],
            );
            bind(left, "$!l", bind(right, "$!r", call))
        }
        // `p += y` as `y as $r | p |= !add(.; $r)`, which is how jq defines it.
        BinaryOp::UpdateMath(math) if native(&math).is_some() => {
            let call = Term::Call(native(&math).unwrap_or(ADD), vec![Term::Id, Term::Var("$!r")]);
            bind(
                right,
                "$!r",
                Term::BinOp(Box::new(left), BinaryOp::Update, Box::new(call)),
            )
        }
        op => Term::BinOp(Box::new(left), op, Box::new(right)),
    }
}

/// `value as $name | body`.
fn bind<'s>(value: Term<&'s str>, name: &'s str, body: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(
        Box::new(value),
        BinaryOp::Pipe(Some(Pattern::Var(name))),
        Box::new(body),
    )
}

/// The expression, after a step. By a binding, so that it remains a path where it is one.
fn ticked(body: Term<&str>) -> Term<&str> {
    bind(tick(), "$!t", body)
}

fn tick<'s>() -> Term<&'s str> {
    Term::Call(TICK, Vec::new())
}

/// Whether a definition calls itself, in its own body or in one inside it. One that defines its own name anew inside
/// itself counts as well.
pub(super) fn calls_itself(def: &Def<&str>) -> bool {
    let mut found = false;
    visit(&def.body, &mut |term| {
        found |= matches!(term, Term::Call(name, args) if *name == def.name && args.len() == def.args.len());
    });
    found
}

/// Calls `f` with every term inside `term`, itself included.
pub(super) fn visit<'t, 's>(term: &'t Term<&'s str>, f: &mut impl FnMut(&'t Term<&'s str>)) {
    f(term);
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => {}
        Term::Str(_, parts) => parts.iter().for_each(|part| {
            if let StrPart::Term(inner) = part {
                visit(inner, f);
            }
        }),
        Term::Arr(Some(inner)) | Term::Neg(inner) | Term::Label(_, inner) => visit(inner, f),
        Term::Obj(entries) => entries.iter().for_each(|(key, value)| {
            visit(key, f);
            value.iter().for_each(|value| visit(value, f));
        }),
        Term::BinOp(left, op, right) => {
            visit(left, f);
            if let BinaryOp::Pipe(Some(pattern)) = op {
                visit_pattern(pattern, f);
            }
            visit(right, f);
        }
        Term::Fold(_, over, pattern, args) => {
            visit(over, f);
            visit_pattern(pattern, f);
            args.iter().for_each(|arg| visit(arg, f));
        }
        Term::TryCatch(inner, catch) => {
            visit(inner, f);
            catch.iter().for_each(|catch| visit(catch, f));
        }
        Term::IfThenElse(cases, otherwise) => {
            cases.iter().for_each(|(condition, then)| {
                visit(condition, f);
                visit(then, f);
            });
            otherwise.iter().for_each(|otherwise| visit(otherwise, f));
        }
        Term::Def(defs, inner) => {
            defs.iter().for_each(|def| visit(&def.body, f));
            visit(inner, f);
        }
        Term::Call(_, args) => args.iter().for_each(|arg| visit(arg, f)),
        Term::Path(inner, path) => {
            visit(inner, f);
            path.0.iter().for_each(|(part, _)| match part {
                Part::Index(index) => visit(index, f),
                Part::Range(from, to) => from.iter().chain(to).for_each(|end| visit(end, f)),
            });
        }
    }
}

fn visit_pattern<'t, 's>(pattern: &'t Pattern<&'s str>, f: &mut impl FnMut(&'t Term<&'s str>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(inner) => inner.iter().for_each(|inner| visit_pattern(inner, f)),
        Pattern::Obj(entries) => entries.iter().for_each(|(key, value)| {
            visit(key, f);
            visit_pattern(value, f);
        }),
    }
}
