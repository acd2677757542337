//! The SDK's client talks to the engine without a socket.

use std::sync::Arc;

use http::HeaderMap;
use temporalio_client::{
    ConnectionOptions,
    callback_based::{CallbackBasedGrpcService, GrpcRequest, GrpcSuccessResponse},
};
use url::Url;

use super::{dispatch, follows_runs, is_for_people, timeout};
use crate::{rpc::Call, service::Service};

/// Options for a connection to this engine in the same process.
pub(crate) fn connection_options(service: Service) -> ConnectionOptions {
    let callback = move |request: GrpcRequest| {
        let service = service.clone();
        let answer = async move {
            let call = Call {
                timeout: timeout(&request.headers),
                in_process: true,
                is_for_people: is_for_people(&request.headers),
                follows_runs: follows_runs(&request.headers),
                caller: None,
            };
            let proto = dispatch(&service, &request.service, &request.rpc, request.proto, call).await?;
            Ok(GrpcSuccessResponse {
                headers: HeaderMap::new(),
                proto,
            })
        };
        Box::pin(answer) as futures::future::BoxFuture<'static, _>
    };
    ConnectionOptions::new(target())
        .service_override(CallbackBasedGrpcService {
            callback: Arc::new(callback),
        })
        .dns_load_balancing(None)
        .build()
}

/// A name for the connection; nothing ever connects to it.
#[allow(clippy::expect_used, reason = "a constant that parses, as every test shows")]
fn target() -> Url {
    Url::parse("http://segno.internal:7233").expect("a valid URL")
}
