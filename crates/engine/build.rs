//! Generates the server side of Temporal's gRPC services from the descriptor set that
//! `temporalio-protos` hands to the crates that depend on it.
//!
//! For each service: a trait with one method an RPC, whose default answers `UNIMPLEMENTED` naming
//! the RPC, and a `dispatch_…` function from a method name and message bytes to answer bytes. Both
//! transports (a gRPC port, and the SDK's in-process callback) go through `dispatch_…`, so neither
//! knows any message type; and it is the one place where callers are checked, as it sees the
//! namespace of every request.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    path::PathBuf,
};

use prost::Message as _;
use prost_descriptor_types::{FileDescriptorSet, ServiceDescriptorProto};

const SERVICES: [(&str, &str); 3] = [
    ("temporal.api.workflowservice.v1", "WorkflowService"),
    ("temporal.api.operatorservice.v1", "OperatorService"),
    ("grpc.health.v1", "Health"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let descriptors = fs::read(env::var("DEP_TEMPORALIO_PROTOS_DESCRIPTOR_PATH")?)?;
    let set = FileDescriptorSet::decode(descriptors.as_slice())?;
    let fields = fields(&set);

    let mut code = String::new();
    for (package, name) in SERVICES {
        let service = set
            .file
            .iter()
            .filter(|file| file.package() == package)
            .flat_map(|file| &file.service)
            .find(|service| service.name() == name)
            .ok_or_else(|| format!("the descriptor set has no service {package}.{name}"))?;
        generate(&mut code, package, service, &fields)?;
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("services.rs"), code)?;
    Ok(())
}

/// The names of the fields of each message, by its full name.
fn fields(set: &FileDescriptorSet) -> BTreeMap<String, BTreeSet<&str>> {
    let mut all = BTreeMap::new();
    for file in &set.file {
        for message in &file.message_type {
            let names = message.field.iter().map(|field| field.name()).collect();
            all.insert(format!(".{}.{}", file.package(), message.name()), names);
        }
    }
    all
}

fn generate(
    code: &mut String,
    package: &str,
    service: &ServiceDescriptorProto,
    fields: &BTreeMap<String, BTreeSet<&str>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let name = service.name();
    let unary: Vec<_> = service
        .method
        .iter()
        .filter(|m| !m.server_streaming() && !m.client_streaming())
        .collect();

    writeln!(
        code,
        "/// The unary RPCs of `{package}.{name}`; each answers UNIMPLEMENTED until it is overridden."
    )?;
    writeln!(
        code,
        "#[allow(unused_variables)]\npub(crate) trait {name}: Send + Sync + 'static {{"
    )?;
    for method in &unary {
        writeln!(
            code,
            "    /// `{rpc}`\n    fn {f}(&self, request: {i}, call: Call) -> impl Future<Output = Result<{o}, Status>> + Send \
             {{ async {{ Err(unimplemented(\"{package}.{name}\", \"{rpc}\")) }} }}",
            rpc = method.name(),
            f = snake(method.name()),
            i = rust_path(method.input_type()),
            o = answer(method.name(), &rust_path(method.output_type())),
        )?;
    }
    writeln!(code, "}}\n")?;

    writeln!(
        code,
        "/// Calls the RPC `method` of `{package}.{name}` with an encoded request, if the caller may."
    )?;
    writeln!(
        code,
        "pub(crate) async fn dispatch_{f}<S: {name}>(service: &S, method: &str, request: Bytes, call: Call) -> Result<Vec<u8>, Status> {{\n    match method {{",
        f = snake(name),
    )?;
    for method in &unary {
        let has = |field| {
            fields
                .get(method.input_type())
                .is_some_and(|fields| fields.contains(field))
        };
        writeln!(
            code,
            "        \"{rpc}\" => {{
            let request: {i} = decode(request)?;
            let _permit = call.admit(&Called {{
                service: \"{name}\",
                method: \"{rpc}\",
                namespace: {namespace},
                waits: {waits},
            }})?;
            Ok(Box::pin(service.{f}(request, call)).await?.into_bytes())
        }}",
            rpc = method.name(),
            f = snake(method.name()),
            i = rust_path(method.input_type()),
            namespace = if has("namespace") {
                "Some(&request.namespace)"
            } else {
                "None"
            },
            // What waits is told by the RPC's name, or by one of these fields.
            // A reader of a close event waits for it without saying so.
            waits = if has("history_event_filter_type") {
                "request.wait_new_event || request.history_event_filter_type == 2"
            } else if has("wait_new_event") {
                "request.wait_new_event"
            } else if has("long_poll_token") {
                "!request.long_poll_token.is_empty()"
            } else {
                "false"
            },
        )?;
    }
    writeln!(
        code,
        "        other => Err(unimplemented(\"{package}.{name}\", other)),\n    }}\n}}\n"
    )?;
    Ok(())
}

/// What a method answers with: its message, or that with an encoded history.
fn answer(method: &str, message: &str) -> String {
    match method {
        "PollWorkflowTaskQueue" | "GetWorkflowExecutionHistory" => format!("WithHistory<{message}>"),
        _ => message.to_owned(),
    }
}

/// `.temporal.api.common.v1.Payload` to `::temporalio_protos::temporal::api::common::v1::Payload`.
fn rust_path(proto: &str) -> String {
    format!("::temporalio_protos{}", proto.replace('.', "::"))
}

/// `StartWorkflowExecution` to `start_workflow_execution`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
