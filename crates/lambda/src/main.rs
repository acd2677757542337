//! An AWS Lambda function that takes events in.
fn main() {}
