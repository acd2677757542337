//! Tokens that clients send back. The first byte chooses the method, and with its highest bit the namespace `other`;
//! the rest is the token.

use std::cell::RefCell;

use prost::Message as _;
use temporalio_protos::temporal::api::{common::v1::WorkflowExecution, workflowservice::v1::*};
use tonic::Code;

use super::engine::Bed;

pub fn run(data: &[u8]) {
    let Some((chosen, token)) = data.split_first() else {
        return;
    };
    let is_other = chosen & 0x80 != 0;
    let namespace = if is_other { "other" } else { "default" };
    let (method, request, is_of_one) = request(chosen & 0x7f, namespace.to_owned(), token.to_vec());
    thread_local! {
        static BED: RefCell<Option<Bed>> = const { RefCell::new(None) };
    }
    BED.with_borrow_mut(|kept| {
        let bed = kept.get_or_insert_with(Bed::new);
        let answer = bed.call(method, request);
        let is_taken = !matches!(&answer, Some(Err(status))
            if matches!(status.code(), Code::InvalidArgument | Code::NotFound));
        assert!(
            !(is_taken && is_other && is_of_one && !token.is_empty()),
            "{method} takes the token of another namespace: {answer:?}"
        );
        if is_taken {
            bed.check();
            // It may have changed something.
            *kept = None;
        }
    });
}

/// The method, its request, and whether its tokens are of one execution.
#[allow(clippy::needless_update, reason = "one of the requests has no other fields")]
fn request(chosen: u8, namespace: String, token: Vec<u8>) -> (&'static str, Vec<u8>, bool) {
    macro_rules! requests {
        ($($number:literal => $method:literal $is_of_one:literal $request:ident { $token:ident $(, $field:ident: $value:expr)* })*) => {
            match chosen % 19 {
                $($number => {
                    let request = $request {
                        namespace,
                        $token: token,
                        $($field: $value,)*
                        ..Default::default()
                    };
                    ($method, request.encode_to_vec(), $is_of_one)
                })*
                _ => {
                    let request = ListNamespacesRequest {
                        next_page_token: token,
                        page_size: 1,
                        ..Default::default()
                    };
                    ("ListNamespaces", request.encode_to_vec(), false)
                }
            }
        };
    }
    let execution = Some(WorkflowExecution {
        workflow_id: "w".to_owned(),
        run_id: String::new(),
    });
    requests! {
        0 => "RespondWorkflowTaskCompleted" true RespondWorkflowTaskCompletedRequest { task_token }
        1 => "RespondWorkflowTaskFailed" true RespondWorkflowTaskFailedRequest { task_token }
        2 => "RespondQueryTaskCompleted" true RespondQueryTaskCompletedRequest { task_token }
        3 => "RespondActivityTaskCompleted" true RespondActivityTaskCompletedRequest { task_token }
        4 => "RespondActivityTaskFailed" true RespondActivityTaskFailedRequest { task_token }
        5 => "RespondActivityTaskCanceled" true RespondActivityTaskCanceledRequest { task_token }
        6 => "RecordActivityTaskHeartbeat" true RecordActivityTaskHeartbeatRequest { task_token }
        7 => "GetWorkflowExecutionHistory" true GetWorkflowExecutionHistoryRequest {
            next_page_token, execution: execution, maximum_page_size: 2
        }
        8 => "GetWorkflowExecutionHistory" true GetWorkflowExecutionHistoryRequest {
            next_page_token, execution: execution, wait_new_event: true
        }
        9 => "GetWorkflowExecutionHistoryReverse" true GetWorkflowExecutionHistoryReverseRequest {
            next_page_token, execution: execution, maximum_page_size: 2
        }
        10 => "DescribeActivityExecution" true DescribeActivityExecutionRequest {
            long_poll_token, activity_id: "s".to_owned()
        }
        11 => "ListWorkflowExecutions" false ListWorkflowExecutionsRequest { next_page_token, page_size: 1 }
        12 => "ListActivityExecutions" false ListActivityExecutionsRequest { next_page_token, page_size: 1 }
        13 => "ListSchedules" false ListSchedulesRequest { next_page_token, maximum_page_size: 1 }
        14 => "ListBatchOperations" false ListBatchOperationsRequest { next_page_token, page_size: 1 }
        15 => "ListWorkers" false ListWorkersRequest { next_page_token, page_size: 1 }
        16 => "UpdateSchedule" true UpdateScheduleRequest { conflict_token, schedule_id: "sch".to_owned() }
        17 => "ScanWorkflowExecutions" false ScanWorkflowExecutionsRequest { next_page_token, page_size: 1 }
    }
}
