//! Gives the fuzz targets bytes that are made of their seeds, with a stable compiler and without coverage: for machines
//! on which cargo-fuzz does not run, and for a first look. See `fuzz/README.md`.
//!
//! `cargo run -p segno-engine --example fuzz -- --seconds 3600 --seed 1 --target query`
//!
//! Without `--target` each target has its turn for that long. An input that breaks a rule, or takes too long, is written
//! to `crates/engine/fuzz/artifacts`, and ends the program.
#![allow(clippy::disallowed_methods, reason = "it counts the seconds of a person")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use rng::Rng;

#[path = "../tests/simulation/sim/rng.rs"]
mod rng;
#[path = "../fuzz/src/lib.rs"]
mod targets;

/// No input takes nearly as long, not even on a busy machine.
const LONGEST: Duration = Duration::from_secs(60);
/// As `-max_len` of the fuzzers.
const LONGEST_INPUT: usize = 8_192;

/// What inputs are made of.
struct Material {
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

fn main() -> ExitCode {
    let (mut seconds, mut seed, mut only) = (60, 1, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match (name.as_str(), value.parse()) {
            ("--seconds", Ok(value)) => seconds = value,
            ("--seed", Ok(value)) => seed = value,
            ("--target", _) if targets::TARGETS.iter().any(|(target, _)| *target == value) => {
                only = Some(value)
            }
            _ => {
                let names = targets::TARGETS.map(|(target, _)| target).join(", ");
                say(&format!("fuzz [--seconds S] [--seed N] [--target NAME]: {names}"));
                return ExitCode::FAILURE;
            }
        }
    }
    for (target, run) in targets::TARGETS {
        if only.as_ref().is_some_and(|only| only != target) {
            continue;
        }
        let material = match Material::of(target) {
            Ok(material) => material,
            Err(error) => {
                say(&format!("{target}: its seeds cannot be read: {error}"));
                return ExitCode::FAILURE;
            }
        };
        match fuzz(&material, run, Duration::from_secs(seconds), seed) {
            Ok(inputs) => say(&format!("{target}: {inputs} inputs hold")),
            Err((input, what)) => {
                let path = keep(target, &input);
                say(&format!("{target}: {what}; the input is {path:?}"));
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Answers how many inputs held, or one that did not.
fn fuzz(
    material: &Material,
    run: fn(&[u8]),
    budget: Duration,
    seed: u64,
) -> Result<u64, (Vec<u8>, &'static str)> {
    let mut rng = Rng::new(seed);
    let until = Instant::now() + budget;
    let mut inputs = 0;
    while Instant::now() < until {
        let input = material.input(&mut rng);
        let begun = Instant::now();
        if std::panic::catch_unwind(|| run(&input)).is_err() {
            return Err((input, "it breaks a rule"));
        }
        if begun.elapsed() > LONGEST {
            return Err((input, "it takes too long"));
        }
        inputs += 1;
    }
    Ok(inputs)
}

impl Material {
    fn of(target: &str) -> std::io::Result<Self> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder().join("seeds").join(target))? {
            paths.push(entry?.path());
        }
        paths.sort();
        let seeds = paths.iter().map(fs::read).collect::<Result<Vec<_>, _>>()?;
        let dictionary = folder().join("dictionaries").join(format!("{target}.dict"));
        let words = match fs::read_to_string(dictionary) {
            Ok(text) => text.lines().filter_map(word).collect(),
            Err(_) => Vec::new(),
        };
        Ok(Self { seeds, words })
    }

    /// A seed, changed here and there.
    fn input(&self, rng: &mut Rng) -> Vec<u8> {
        let seed = |rng: &mut Rng| self.seeds[rng.index(self.seeds.len())].clone();
        let mut input = seed(rng);
        for _ in 0..=rng.below(6) {
            let at = rng.index(input.len() + 1);
            let end = (at + 1 + rng.index(16)).min(input.len());
            match rng.below(9) {
                0 if at < input.len() => input[at] ^= 1 << rng.below(8),
                1 if at < input.len() => input[at] = byte(rng),
                2 => input.insert(at, byte(rng)),
                3 => drop(input.drain(at..end)),
                4 => {
                    let again = input[at..end].to_vec();
                    input.splice(at..at, again);
                }
                5 => {
                    // The beginning of one and the end of another.
                    let other = seed(rng);
                    input.truncate(at);
                    input.extend(&other[rng.index(other.len() + 1)..]);
                }
                6 => {
                    let other = seed(rng);
                    let from = rng.index(other.len() + 1);
                    let to = (from + rng.index(24)).min(other.len());
                    input.splice(at..at, other[from..to].iter().copied());
                }
                7 if !self.words.is_empty() => {
                    let word = self.words[rng.index(self.words.len())].clone();
                    input.splice(at..end, word);
                }
                _ => {
                    // Numbers at their bounds.
                    let number: i64 = [0, -1, 1, i64::MIN, i64::MAX, 1 << 31, 1 << 32][rng.index(7)];
                    if rng.one_in(2) {
                        input.splice(at..end, number.to_string().into_bytes());
                    } else {
                        input.splice(at..end, number.to_le_bytes());
                    }
                }
            }
        }
        input.truncate(LONGEST_INPUT);
        input
    }
}

/// Any byte; more often one that is written.
fn byte(rng: &mut Rng) -> u8 {
    let any = rng.next().to_le_bytes()[0];
    if rng.one_in(3) { any } else { 0x20 + any % 0x5f }
}

/// A line of a dictionary: `"a word"`, with `\xNN`, `\\` and `\"`.
fn word(line: &str) -> Option<Vec<u8>> {
    let text = line.trim().strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = text.bytes();
    let mut word = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next()? {
                b'x' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    word.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                }
                other => word.push(other),
            },
            other => word.push(other),
        }
    }
    Some(word)
}

/// Where the input is written to, or why it is not.
fn keep(target: &str, input: &[u8]) -> std::io::Result<PathBuf> {
    let folder = folder().join("artifacts").join(target);
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("found-{}", input.len()));
    fs::write(&path, input)?;
    Ok(path)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn say(text: &str) {
    // Nobody may be reading.
    let _ = writeln!(std::io::stdout(), "{text}");
}
