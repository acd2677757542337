//! Reading histories: pages, waiting for news, waiting for the end.

use std::time::Duration;

use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, HistoryEventFilterType},
    history::v1::history_event::Attributes,
    workflowservice::v1::{GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryReverseRequest},
};

use crate::bed::{Bed, both_engines, commands, execution, rpc};

fn request(bed: &Bed) -> GetWorkflowExecutionHistoryRequest {
    GetWorkflowExecutionHistoryRequest {
        namespace: bed.namespace.clone(),
        execution: Some(execution("w")),
        ..Default::default()
    }
}

both_engines! {
    async fn a_history_comes_in_pages(bed: &Bed) {
        bed.start("w").await;
        for number in 0..9 {
            bed.signal("w", &number.to_string()).await;
        }
        let mut ids = Vec::new();
        let mut next_page_token = Vec::new();
        let mut pages = 0;
        loop {
            let page = GetWorkflowExecutionHistoryRequest { maximum_page_size: 3, next_page_token, ..request(bed) };
            let page = rpc!(bed, get_workflow_execution_history, page).expect("a page");
            ids.extend(page.history.expect("a history").events.into_iter().map(|event| event.event_id));
            next_page_token = page.next_page_token;
            pages += 1;
            if next_page_token.is_empty() {
                break;
            }
        }
        assert_eq!(ids, (1..=11).collect::<Vec<_>>());
        assert!(pages >= 3, "{pages} pages");
    }

    async fn an_attempt_that_waits_is_in_the_history(bed: &Bed) {
        bed.start("w").await;
        bed.fail_task(bed.task().await).await;
        let read = || async {
            let read = rpc!(bed, get_workflow_execution_history, request(bed)).expect("a history");
            read.history.expect("a history").events
        };
        let events = read().await;
        let Some(Attributes::WorkflowTaskScheduledEventAttributes(scheduled)) = &events[4].attributes else {
            panic!("{:?}", events[4]);
        };
        assert_eq!((events.len(), events[4].event_id, scheduled.attempt), (5, 5, 2));
        let task = bed.task().await;
        assert_eq!(read().await.len(), 6, "and its start");
        bed.complete(&task, vec![commands::complete("done")]).await;
        assert_eq!(read().await.len(), 8);
    }

    async fn a_history_is_read_from_its_end(bed: &Bed) {
        bed.start("w").await;
        for number in 0..5 {
            bed.signal("w", &number.to_string()).await;
        }
        let mut events = Vec::new();
        let mut pages = 0;
        let mut next_page_token = Vec::new();
        loop {
            let request = GetWorkflowExecutionHistoryReverseRequest {
                namespace: bed.namespace.clone(),
                execution: Some(execution("w")),
                maximum_page_size: 3,
                next_page_token,
            };
            let page = rpc!(bed, get_workflow_execution_history_reverse, request).expect("a page");
            events.extend(page.history.expect("a history").events);
            next_page_token = page.next_page_token;
            pages += 1;
            if next_page_token.is_empty() {
                break;
            }
        }
        assert!(pages >= 2, "{pages} pages");
        events.reverse();
        assert_eq!(events, bed.history("w").await);
    }

    async fn a_reader_waits_for_the_end(bed: &Bed) {
        bed.start("w").await;
        let waits = async {
            let mut wait = request(bed);
            wait.wait_new_event = true;
            wait.history_event_filter_type = HistoryEventFilterType::CloseEvent as i32;
            rpc!(bed, get_workflow_execution_history, wait).expect("the end")
        };
        let works = async {
            let task = bed.task().await;
            bed.complete(&task, vec![commands::complete("done")]).await;
        };
        let (page, ()) = tokio::join!(waits, works);
        let events = page.history.expect("a history").events;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].event_type(), EventType::WorkflowExecutionCompleted);
        assert!(page.next_page_token.is_empty());
    }

    async fn a_reader_waits_for_news(bed: &Bed) {
        bed.start("w").await;
        let mut follow = request(bed);
        follow.wait_new_event = true;
        let first = rpc!(bed, get_workflow_execution_history, follow.clone()).expect("what there is");
        assert_eq!(first.history.expect("a history").events.len(), 2);
        assert!(!first.next_page_token.is_empty(), "more may come");
        follow.next_page_token = first.next_page_token;
        let (news, ()) = tokio::join!(
            async { rpc!(bed, get_workflow_execution_history, follow).expect("the news") },
            bed.signal("w", "news"),
        );
        let events = news.history.expect("a history").events;
        assert_eq!(events.first().map(|event| event.event_type()), Some(EventType::WorkflowExecutionSignaled));
    }

    async fn waiting_without_news_answers_in_time_and_can_go_on(bed: &Bed) {
        bed.start("w").await;
        let mut wait = request(bed);
        wait.wait_new_event = true;
        wait.history_event_filter_type = HistoryEventFilterType::CloseEvent as i32;
        let mut timed = temporalio_client::tonic::Request::new(wait);
        timed.set_timeout(Duration::from_secs(3));
        let mut service = bed.client.connection().workflow_service();
        let page = service.get_workflow_execution_history(timed).await.expect("an answer in time").into_inner();
        assert!(page.history.unwrap_or_default().events.is_empty());
        assert!(!page.next_page_token.is_empty());
    }
}
