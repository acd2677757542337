//! Lists and counts of schedules, and that lists of workflows know nothing of them.

use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::{
    common::v1::{Memo, Payload, SearchAttributes},
    enums::v1::{IndexedValueType, ScheduleOverlapPolicy as Policy},
    operatorservice::v1::AddSearchAttributesRequest,
    schedule::v1::*,
    workflowservice::v1::*,
};

use crate::{
    bed::{Bed, both_engines, rpc},
    schedules::{
        at, create, create_request, delete, described, idle, patch, schedule, state, update_request,
    },
};

fn json(text: &str) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: text.as_bytes().to_vec(),
        ..Default::default()
    }
}

async fn page(bed: &Bed, query: &str, size: i32, token: Vec<u8>) -> Result<ListSchedulesResponse, Status> {
    let request = ListSchedulesRequest {
        namespace: bed.namespace.clone(),
        maximum_page_size: size,
        next_page_token: token,
        query: query.to_owned(),
    };
    rpc!(bed, list_schedules, request)
}

async fn ids(bed: &Bed, query: &str) -> Result<Vec<String>, Status> {
    let found = page(bed, query, 0, Vec::new()).await?;
    let mut ids: Vec<_> = found
        .schedules
        .into_iter()
        .map(|entry| entry.schedule_id)
        .collect();
    ids.sort();
    Ok(ids)
}

/// Waits until the list is this: the real server's is behind by moments.
async fn finds(bed: &Bed, query: &str, expected: &[&str]) {
    bed.eventually(&format!("{query} finds {expected:?}"), || async move {
        (ids(bed, query).await.ok()? == expected).then_some(())
    })
    .await;
}

async fn entry(
    bed: &Bed,
    id: &str,
    what: &str,
    is_so: impl Fn(&ScheduleListEntry) -> bool,
) -> ScheduleListEntry {
    bed.eventually(what, || async {
        let found = page(bed, "", 0, Vec::new()).await.ok()?;
        found
            .schedules
            .into_iter()
            .find(|entry| entry.schedule_id == id && is_so(entry))
    })
    .await
}

async fn add_color(bed: &Bed) {
    let request = AddSearchAttributesRequest {
        namespace: bed.namespace.clone(),
        search_attributes: [("Color".to_owned(), IndexedValueType::Keyword as i32)].into(),
    };
    let mut service = bed.client.connection().operator_service();
    let request = temporalio_client::tonic::IntoRequest::into_request(request);
    service
        .add_search_attributes(request)
        .await
        .expect("an attribute");
    bed.eventually("the attribute is known", || async {
        ids(bed, "Color = 'x'").await.ok()
    })
    .await;
}

fn color(name: &str) -> Option<SearchAttributes> {
    Some(SearchAttributes {
        indexed_fields: [("Color".to_owned(), json(&format!("{name:?}")))].into(),
    })
}

both_engines! {
    async fn an_entry_says_the_most_important(bed: &Bed) {
        let mut request = create_request(bed, "s", schedule(bed, &["0 0 1 1 * 2090-2100"], Policy::Skip));
        request.memo = Some(Memo { fields: [("owner".to_owned(), json("\"me\""))].into() });
        let memo = request.memo.clone();
        rpc!(bed, create_schedule, request).expect("a schedule");
        let listed = entry(bed, "s", "it is listed", |_| true).await;
        assert_eq!(listed.memo, memo);
        let info = listed.info.expect("an info");
        assert_eq!(info.workflow_type.map(|given| given.name), Some("Test".to_owned()));
        assert_eq!((info.paused, info.recent_actions.len(), info.future_action_times.len()), (false, 0, 5));
        assert_eq!(info.spec.map(|spec| spec.structured_calendar.len()), Some(1));
        let trigger = TriggerImmediatelyRequest { scheduled_time: at(1_893_456_000), ..Default::default() };
        patch(
            bed,
            "s",
            SchedulePatch { trigger_immediately: Some(trigger), pause: "why".to_owned(), ..Default::default() },
        )
        .await;
        let is_new = |entry: &ScheduleListEntry| entry.info.as_ref().is_some_and(|info| info.paused && !info.recent_actions.is_empty());
        let listed = entry(bed, "s", "it is paused", is_new).await;
        let info = listed.info.expect("an info");
        assert_eq!(info.notes, "why");
        assert_eq!(info.recent_actions[0].schedule_time, at(1_893_456_000));
    }

    async fn schedules_are_found_by_what_they_are(bed: &Bed) {
        add_color(bed).await;
        for (id, paused, shade) in [("a", false, "red"), ("b", true, "red"), ("c", true, "blue")] {
            let mut made = idle(bed, Policy::Skip);
            made.state = Some(ScheduleState { paused, ..Default::default() });
            let mut request = create_request(bed, id, made);
            request.search_attributes = color(shade);
            rpc!(bed, create_schedule, request).expect("a schedule");
        }
        finds(bed, "", &["a", "b", "c"]).await;
        finds(bed, "TemporalSchedulePaused = true", &["b", "c"]).await;
        finds(bed, "Color = 'red' AND TemporalSchedulePaused = false", &["a"]).await;
        finds(bed, "ScheduleId = 'b' OR Color = 'blue'", &["b", "c"]).await;
        finds(bed, "ScheduleId STARTS_WITH 'a'", &["a"]).await;
        let count = |query: &str| CountSchedulesRequest { namespace: bed.namespace.clone(), query: query.to_owned() };
        assert_eq!(rpc!(bed, count_schedules, count("")).expect("a count").count, 3);
        assert_eq!(rpc!(bed, count_schedules, count("Color = 'red'")).expect("a count").count, 2);
        patch(bed, "b", SchedulePatch { unpause: "on".to_owned(), ..Default::default() }).await;
        finds(bed, "TemporalSchedulePaused = true", &["c"]).await;
        delete(bed, "c").await.expect("it is deleted");
        finds(bed, "", &["a", "b"]).await;
    }

    async fn an_update_changes_search_attributes(bed: &Bed) {
        add_color(bed).await;
        let mut request = create_request(bed, "s", idle(bed, Policy::Skip));
        request.search_attributes = color("red");
        rpc!(bed, create_schedule, request).expect("a schedule");
        finds(bed, "Color = 'red'", &["s"]).await;
        let mut update = update_request(bed, "s", idle(bed, Policy::AllowAll));
        update.search_attributes = color("blue");
        rpc!(bed, update_schedule, update).expect("an update");
        finds(bed, "Color = 'blue'", &["s"]).await;
        finds(bed, "Color = 'red'", &[]).await;
        let is_blue = |found: &DescribeScheduleResponse| {
            let attributes = found.search_attributes.clone().unwrap_or_default().indexed_fields;
            attributes.len() == 1 && attributes["Color"].data == b"\"blue\""
        };
        described(bed, "s", "it is blue", is_blue).await;
        // Not given they stay; given as none they go.
        let mut kept = idle(bed, Policy::AllowAll);
        kept.state = Some(ScheduleState { notes: "kept".to_owned(), ..Default::default() });
        rpc!(bed, update_schedule, update_request(bed, "s", kept)).expect("an update");
        described(bed, "s", "it is kept", |found| state(found).notes == "kept" && is_blue(found)).await;
        let mut update = update_request(bed, "s", idle(bed, Policy::AllowAll));
        update.search_attributes = Some(SearchAttributes::default());
        rpc!(bed, update_schedule, update).expect("an update");
        finds(bed, "Color = 'blue'", &[]).await;
    }

    async fn unknown_attributes_are_refused(bed: &Bed) {
        let mut request = create_request(bed, "s", idle(bed, Policy::Skip));
        request.search_attributes = color("red");
        let refused = rpc!(bed, create_schedule, request).expect_err("it is unknown");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("Color"), "{}", refused.message());
    }

    async fn queries_know_what_schedules_have(bed: &Bed) {
        for name in ["WorkflowId", "ExecutionStatus", "StartTime"] {
            let query = if name == "StartTime" {
                "StartTime > '2020-01-01T00:00:00Z'".to_owned()
            } else {
                format!("{name} = 'Completed'")
            };
            let refused = ids(bed, &query).await.expect_err(name);
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert_eq!(
                refused.message(),
                format!("invalid query filter for schedules: cannot filter on {name:?}")
            );
        }
        let refused = ids(bed, "Nameless = 'x'").await.expect_err("unknown");
        assert_eq!(refused.message(), "invalid query: invalid search attribute: Nameless");
    }

    async fn pages_follow_each_other(bed: &Bed) {
        for id in ["a", "b", "c", "d", "e"] {
            create(bed, id, idle(bed, Policy::Skip)).await;
        }
        finds(bed, "", &["a", "b", "c", "d", "e"]).await;
        let (mut seen, mut token) = (Vec::new(), Vec::new());
        loop {
            let found = page(bed, "", 2, token).await.expect("a page");
            assert!(found.schedules.len() <= 2);
            seen.extend(found.schedules.into_iter().map(|entry| entry.schedule_id));
            token = found.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    }

    async fn lists_of_workflows_know_nothing_of_schedules(bed: &Bed) {
        create(bed, "s", idle(bed, Policy::Skip)).await;
        finds(bed, "", &["s"]).await;
        let list = |query: &str| ListWorkflowExecutionsRequest {
            namespace: bed.namespace.clone(),
            query: query.to_owned(),
            ..Default::default()
        };
        for query in ["", "ExecutionStatus = 'Running'", "WorkflowType = 'temporal-sys-scheduler-workflow'"] {
            let found = rpc!(bed, list_workflow_executions, list(query)).expect("a list");
            assert!(found.executions.is_empty(), "{query}: {found:?}");
        }
        let count = CountWorkflowExecutionsRequest { namespace: bed.namespace.clone(), ..Default::default() };
        assert_eq!(rpc!(bed, count_workflow_executions, count).expect("a count").count, 0);
        // Whoever asks for their division sees them as executions.
        bed.eventually("it is in its division", || async {
            let found = rpc!(bed, list_workflow_executions, list("TemporalNamespaceDivision = 'TemporalScheduler'"));
            let ids: Vec<_> = found.ok()?.executions.into_iter().filter_map(|e| e.execution).map(|e| e.workflow_id).collect();
            (ids == ["temporal-sys-scheduler:s"]).then_some(())
        })
        .await;
    }
}
