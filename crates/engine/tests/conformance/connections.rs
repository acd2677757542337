//! Many calls on one connection.

use futures::future::join_all;
use temporalio_client::tonic::IntoRequest as _;

use crate::bed::{Bed, both_engines};

/// More than a small window of a connection holds: each comes as a small frame of its own.
const CALLS: usize = 500;

both_engines! {
    async fn hundreds_of_calls_share_one(bed: &Bed) {
        let client = segno_test_support::client(&bed.address().await, "default").await;
        let calls = (0..CALLS).map(|number| {
            let mut service = client.connection().workflow_service();
            let request = bed.start_request(&format!("w-{number}"));
            async move { service.start_workflow_execution(request.into_request()).await }
        });
        for answer in join_all(calls).await {
            answer.expect("a start");
        }
    }
}
