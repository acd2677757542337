//! The `segno` program.

/// A quarter of the SDK's time goes into allocating, and this allocator takes half as long over it as the
/// system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    segno::cli::main()
}
