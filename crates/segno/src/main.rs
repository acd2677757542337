//! The `segno` program.

fn main() -> std::process::ExitCode {
    segno::cli::main()
}
