//! What a filter refers to has to exist: found when it is compiled and not when the first event comes.

use std::ops::Range;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, ExecutionError, Program, Value};

use super::{ENV, VARIABLE};
use crate::CompileError;

/// How deeply expressions nest at most. Evaluation recurses, and runs on the small stack of whatever thread asks.
const MAX_DEPTH: usize = 32;

pub(super) const TOO_DEEP: &str = "the filter nests too deeply: write it flatter, or as several routes";

/// Fails with the first name, in the order they are written, that nothing is known by; and when the program nests too
/// deeply to be evaluated.
pub(super) fn program(program: &Program) -> Result<(), CompileError> {
    let mut check = Check {
        program,
        scope: Vec::new(),
        unknown: Vec::new(),
        depth: 0,
        deepest: 0,
    };
    check.expr(program.expression());
    if check.deepest > MAX_DEPTH {
        return Err(CompileError::new(TOO_DEEP, 0..program.source_info().source.len()));
    }
    let first = check.unknown.into_iter().min_by_key(|error| error.offset);
    first.map_or(Ok(()), Err)
}

struct Check<'p> {
    program: &'p Program,
    /// The variables of the macros around the current expression.
    scope: Vec<&'p str>,
    unknown: Vec<CompileError>,
    /// How deep the current expression is, and how deep the deepest was.
    depth: usize,
    deepest: usize,
}

impl<'p> Check<'p> {
    fn expr(&mut self, expr: &'p IdedExpr) {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        self.node(expr);
        self.depth -= 1;
    }

    fn node(&mut self, expr: &'p IdedExpr) {
        match &expr.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.ident(expr.id, name),
            Expr::Select(select) => self.expr(&select.operand),
            Expr::List(list) => list.elements.iter().for_each(|element| self.expr(element)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(message) => {
                self.report(
                    expr.id,
                    &message.type_name,
                    format!("there is no type `{}`", message.type_name),
                );
            }
            Expr::Call(call) => {
                let qualified = call.target.as_deref().and_then(|target| name_of(&target.expr));
                let qualified = qualified.map(|target| format!("{target}.{}", call.func_name));
                if !qualified.is_some_and(|name| is_function(&name)) {
                    call.target.iter().for_each(|target| self.expr(target));
                    if !is_function(&call.func_name) {
                        let message = format!("there is no function `{}`", call.func_name);
                        self.report(expr.id, &call.func_name, message);
                    }
                }
                call.args.iter().for_each(|arg| self.expr(arg));
            }
            Expr::Comprehension(fold) => {
                self.expr(&fold.iter_range);
                self.expr(&fold.accu_init);
                let outer = self.scope.len();
                self.scope.push(&fold.iter_var);
                self.scope.extend(fold.iter_var2.as_deref());
                self.scope.push(&fold.accu_var);
                self.expr(&fold.loop_cond);
                self.expr(&fold.loop_step);
                self.expr(&fold.result);
                self.scope.truncate(outer);
            }
        }
    }

    fn entry(&mut self, entry: &'p EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.expr(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.expr(&entry.key);
                self.expr(&entry.value);
            }
        }
    }

    fn ident(&mut self, id: u64, name: &str) {
        let name = name.strip_prefix('.').unwrap_or(name);
        if name == VARIABLE || self.scope.contains(&name) || is_type(name) {
            return;
        }
        self.report(
            id,
            name,
            format!("there is no variable `{name}`: the event is `event`, as in `event.data`"),
        );
    }

    /// Notes an unknown name. The node's own place is that of one of its tokens: the name is searched around it.
    fn report(&mut self, id: u64, name: &str, message: String) {
        let source = self.program.source_info();
        let token = source
            .offset_for(id)
            .map_or(0, |(start, _)| start as usize)
            .min(source.source.len());
        self.unknown
            .push(CompileError::new(message, nearest(&source.source, name, token)));
    }
}

/// Where `name` is in `source`, as near to `token` as it gets: before an opening bracket, after a dot, or right there.
fn nearest(source: &str, name: &str, token: usize) -> Range<usize> {
    let places = source.match_indices(name).map(|(at, _)| at);
    let distance = |at: &usize| {
        if *at <= token {
            token.saturating_sub(at + name.len())
        } else {
            at - token
        }
    };
    places
        .min_by_key(distance)
        .map_or(0..source.len(), |at| at..at + name.len())
}

/// `a.b.c`, if the expression is that and nothing more.
fn name_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", name_of(&select.operand.expr)?, select.field))
        }
        _ => None,
    }
}

/// Whether CEL evaluates a lone name without any variable: the names of types.
fn is_type(name: &str) -> bool {
    let context = Context::with_env(ENV.clone());
    let ident = IdedExpr {
        id: 0,
        expr: Expr::Ident(name.to_owned()),
    };
    !matches!(
        Value::resolve_val(&ident, &context),
        Err(ExecutionError::UndeclaredReference(_))
    )
}

/// Whether a function or operator of this name is declared. CEL refuses to declare one again; that is how it tells.
fn is_function(name: &str) -> bool {
    let operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
    operator
        || Context::with_env(ENV.clone())
            .add_function(name, || true)
            .is_err()
}
