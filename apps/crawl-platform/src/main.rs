//! `crawl-platform`: the platform as a program.

fn main() {}
