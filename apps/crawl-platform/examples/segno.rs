//! `segno` as it is, for tests of what it runs: the program of another package is not built for those of this one.

fn main() -> std::process::ExitCode {
    segno::cli::main()
}
