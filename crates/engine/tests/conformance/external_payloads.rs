//! Payloads that SDKs keep elsewhere: an execution is described with how many its history refers to, and listed by it.

use temporalio_common::protos::temporal::api::{
    common::v1::{Memo, Payload, Payloads, payload::ExternalPayloadDetails},
    workflowservice::v1::SignalWorkflowExecutionRequest,
};

use crate::{
    bed::{Bed, both_engines, commands, execution, payloads, rpc},
    visibility::finds,
};

/// A payload that stands for others, of these sizes.
fn external(sizes: &[i64]) -> Payload {
    let mut payload = payloads("x").payloads.remove(0);
    let details = sizes.iter().map(|size_bytes| ExternalPayloadDetails {
        size_bytes: *size_bytes,
    });
    payload.external_payloads = details.collect();
    payload
}

async fn counted(bed: &Bed) -> (i64, i64) {
    let info = bed.describe("w").await.workflow_execution_info.expect("its info");
    (info.external_payload_count, info.external_payload_size_bytes)
}

both_engines! {
    async fn what_a_history_refers_to_is_counted(bed: &Bed) {
        let mut start = bed.start_request("w");
        start.input = Some(Payloads { payloads: vec![external(&[100, 200]), external(&[])] });
        start.memo = Some(Memo { fields: [("m".to_owned(), external(&[1_000]))].into() });
        rpc!(bed, start_workflow_execution, start).expect("a start");
        assert_eq!(counted(bed).await, (3, 1_300));
        let signal = SignalWorkflowExecutionRequest {
            namespace: bed.namespace.clone(),
            workflow_execution: Some(execution("w")),
            signal_name: "s".to_owned(),
            input: Some(Payloads { payloads: vec![external(&[7])] }),
            ..Default::default()
        };
        rpc!(bed, signal_workflow_execution, signal).expect("a signal");
        assert_eq!(counted(bed).await, (4, 1_307));
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(counted(bed).await, (4, 1_307));
        finds(bed, "TemporalExternalPayloadCount = 4 AND TemporalExternalPayloadSizeBytes > 1306", &["w"]).await;
    }

    async fn an_execution_without_any_is_not_listed_with_a_number(bed: &Bed) {
        bed.start("w").await;
        let task = bed.task().await;
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(counted(bed).await, (0, 0));
        finds(bed, "TemporalExternalPayloadCount IS NULL AND ExecutionStatus = 'Completed'", &["w"]).await;
    }
}
