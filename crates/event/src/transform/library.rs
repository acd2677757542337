//! What transforms can call: jq's standard library without what reads the world, and with a limit on work.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::LazyLock;

use jaq_core::box_iter::box_once;
use jaq_core::data::HasLut;
use jaq_core::load::parse::{Def, Term};
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Cv, DataT, Error, Exn, Lut, RunPtr, ValR, ValXs};
use jaq_json::{Num, Val};

use super::guard;

/// A compiled transform.
pub(super) type Filter = jaq_core::Filter<Guarded>;

/// What filters run on: JSON values, and a count of the steps that are left.
pub(super) struct Guarded;

/// What one run carries through all its filters.
#[derive(Clone)]
pub(super) struct Run<'a> {
    pub(super) lut: &'a Lut<Guarded>,
    pub(super) steps: &'a Cell<u64>,
}

impl DataT for Guarded {
    type V<'a> = Val;
    type Data<'a> = Run<'a>;
}

impl<'a> HasLut<'a, Guarded> for Run<'a> {
    fn lut(&self) -> &'a Lut<Guarded> {
        self.lut
    }
}

/// Takes a step. Names that start with `!` cannot be written in jq, so that only the guard calls them.
pub(super) const TICK: &str = "!tick";
/// `!add(x; y)` is `x + y` within limits.
pub(super) const ADD: &str = "!add";
/// `!mul(x; y)` is `x * y` within limits.
pub(super) const MUL: &str = "!mul";
/// Fails on a string of JSON that nests too deeply for jq's recursive reader.
const SHALLOW: &str = "!shallow";

/// The longest string that addition and multiplication make, in bytes.
const MAX_STRING: usize = 16 << 20;
/// The longest array that addition makes, in elements.
const MAX_ARRAY: usize = 1 << 20;
/// How deeply JSON inside a string may nest.
const MAX_DEPTH: usize = 128;

/// Functions that are left out, each with the reason.
pub(super) const LEFT_OUT: [(&str, &str); 11] = [
    (
        "now",
        "a delivery that is tried again has to deliver the same: use .time, when the event happened",
    ),
    ("localtime", "it depends on the machine's time zone: use gmtime"),
    (
        "strflocaltime",
        "it depends on the machine's time zone: use strftime",
    ),
    ("env", "transforms see the event alone, and no environment"),
    ("input", "transforms see one event, .data is its payload"),
    ("inputs", "transforms see one event, .data is its payload"),
    ("debug", "transforms do not log: try them with `segno explain`"),
    ("stderr", "transforms do not log: try them with `segno explain`"),
    ("halt", "use `empty` to yield nothing, error(\"…\") to fail"),
    ("halt_error", "use `empty` to yield nothing, error(\"…\") to fail"),
    ("input_filename", "transforms see the event alone, and no files"),
];

/// jq's natives that are replaced by a definition of the same name: the native is called under a name of its own.
const RENAMED: [(&str, &str); 2] = [("range", "!range"), ("fromjson", "!fromjson")];

/// The native functions.
pub(super) fn funs() -> impl Iterator<Item = Fun<Guarded>> {
    let out: HashSet<&str> = LEFT_OUT
        .iter()
        .map(|(name, _)| *name)
        .chain(["debug_empty", "stderr_empty"])
        .collect();
    let library = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let kept = library
        .filter(move |(name, ..)| !out.contains(name))
        .map(|(name, args, native)| {
            let renamed = RENAMED
                .iter()
                .find(|(old, _)| *old == name)
                .map_or(name, |(_, new)| *new);
            (renamed, args, native)
        });
    let own: [(&'static str, usize, RunPtr<Guarded>); 4] = [
        (TICK, 0, tick),
        (ADD, 2, add),
        (MUL, 2, mul),
        (SHALLOW, 0, shallow),
    ];
    kept.chain(
        own.into_iter()
            .map(|(name, arity, native)| run::<Guarded>((name, v(arity), native))),
    )
}

/// The definitions in jq, guarded.
pub(super) fn defs() -> Vec<Def<&'static str>> {
    static DEFS: LazyLock<Vec<Def<&'static str>>> = LazyLock::new(|| {
        let library = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let kept = library.filter(|def| LEFT_OUT.iter().all(|(name, _)| *name != def.name));
        replacements().into_iter().chain(kept).map(guard::def).collect()
    });
    DEFS.clone()
}

/// The definitions in place of the [`RENAMED`] natives.
fn replacements() -> [Def<&'static str>; 2] {
    let call = |name, args| Term::Call(name, args);
    let args = vec!["$from", "$to", "$by"];
    let range = call("!range", args.iter().copied().map(Term::Var).collect());
    [
        Def {
            name: "range",
            args,
            body: guard::pipe(range, call(TICK, Vec::new())),
        },
        Def {
            name: "fromjson",
            args: Vec::new(),
            body: guard::pipe(call(SHALLOW, Vec::new()), call("!fromjson", Vec::new())),
        },
    ]
}

fn tick<'a>(cv: Cv<'a, Guarded>) -> ValXs<'a, Val> {
    let steps = cv.0.data().steps;
    steps.set(steps.get().saturating_sub(1));
    if steps.get() == 0 {
        return box_once(Err(Exn::from(Error::str("too many steps"))));
    }
    box_once(Ok(cv.1))
}

fn pair<'a>(mut cv: Cv<'a, Guarded>, f: impl FnOnce(Val, Val) -> ValR<Val>) -> ValXs<'a, Val> {
    let right = cv.0.pop_var();
    let left = cv.0.pop_var();
    bome(f(left, right))
}

fn add<'a>(cv: Cv<'a, Guarded>) -> ValXs<'a, Val> {
    pair(cv, |left, right| {
        match (&left, &right) {
            (Val::TStr(left), Val::TStr(right)) | (Val::BStr(left), Val::BStr(right)) => {
                within(left.len() + right.len(), MAX_STRING)?;
            }
            (Val::Arr(left), Val::Arr(right)) => within(left.len() + right.len(), MAX_ARRAY)?,
            _ => {}
        }
        left + right
    })
}

fn mul<'a>(cv: Cv<'a, Guarded>) -> ValXs<'a, Val> {
    pair(cv, |left, right| {
        if let (Val::TStr(text) | Val::BStr(text), Val::Num(times))
        | (Val::Num(times), Val::TStr(text) | Val::BStr(text)) = (&left, &right)
        {
            within(text.len().saturating_mul(times_at_most(times)), MAX_STRING)?;
        }
        left * right
    })
}

/// How often a string is repeated. Not at all by what is no integer.
fn times_at_most(times: &Num) -> usize {
    match times {
        Num::Int(int) => usize::try_from(*int).unwrap_or(0),
        Num::BigInt(_) => usize::MAX,
        Num::Float(_) | Num::Dec(_) => 0,
    }
}

fn within(len: usize, max: usize) -> Result<(), Error<Val>> {
    if len <= max {
        return Ok(());
    }
    Err(Error::str(format_args!(
        "a string or array would be longer than {max}"
    )))
}

fn shallow<'a>(cv: Cv<'a, Guarded>) -> ValXs<'a, Val> {
    let too_deep = match &cv.1 {
        Val::TStr(text) => nesting(text) > MAX_DEPTH,
        _ => false,
    };
    if too_deep {
        let error = format_args!("JSON in a string nests more than {MAX_DEPTH} deep").to_string();
        return box_once(Err(Exn::from(Error::str(error))));
    }
    box_once(Ok(cv.1))
}

/// How deeply brackets nest outside of strings, whether or not the text is JSON.
fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
