//! Generates messages, clients and servers of the platform's services from `protos`, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=protos");
    let files = [
        "platform/v1/platform.proto",
        "support/v1/jsm.proto",
        "reports/v1/report_service.proto",
    ];
    let descriptors = protox::compile(files, ["protos"])?;
    // The crate of `google.protobuf` has another name here than the generator takes for granted.
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::prost_descriptor_types")
        .compile_fds(descriptors)?;
    Ok(())
}
