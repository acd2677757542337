//! The steps of a route's actions, each visible: what was skipped and why, what was made of the event, what the sink said.

use segno_test_support::{Answer, Receiver};
use serde_json::{Value, json};
use temporalio_client::{UntypedQuery, UntypedWorkflow, WorkflowQueryOptions};
use temporalio_common::data_converters::RawValue;

use crate::support::{App, DEADLINE, TestEngine, only_execution};

on_every_engine!(every_step_is_told, a_running_action_is_told, plans_of_before);

fn lead() -> Value {
    json!({
        "specversion": "1.0", "id": "l1", "source": "/leads", "type": "lead.created",
        "data": {"internal": false, "names": ["ada", "bob"]},
    })
}

/// The answer to the query `story`.
async fn story(app: &App, workflow_id: &str) -> Value {
    let handle = app.client().get_workflow_handle::<UntypedWorkflow>(workflow_id);
    let answer = handle
        .query(
            UntypedQuery::new("story"),
            RawValue::new(Vec::new()),
            WorkflowQueryOptions::default(),
        )
        .await
        .expect("an answer");
    serde_json::from_slice(&answer.payloads[0].data).expect("JSON")
}

fn without_times(mut actions: Value) -> Value {
    for action in actions.as_array_mut().expect("a list") {
        let action = action.as_object_mut().expect("an action");
        for time in ["started", "ended"] {
            if let Some(at) = action.remove(time) {
                assert!(at.as_str().is_some_and(|at| at.ends_with('Z')), "{at}");
            }
        }
    }
    actions
}

async fn every_step_is_told(engine: TestEngine) {
    let receiver =
        Receiver::answering(|request| Answer::status(if request.uri.path() == "/gone" { 410 } else { 202 }))
            .await;
    let config = format!(
        r#"
        [sinks]
        mail = {{ webhook = {{ url = "{}", allow_private = true }} }}
        gone = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "leads"
        on = "lead.*"

        [[routes.actions]]
        name = "internal"
        weight = 10
        to = "mail"
        category = "notification"
        entity = "Lead"
        available = "event.data.internal"

        [[routes.actions]]
        name = "each"
        weight = 20
        to = "mail"
        category = "service_message"
        transform = ".data.names[] | {{to: .}}"

        [[routes.actions]]
        name = "nothing"
        weight = 30
        to = "mail"
        transform = "empty"

        [[routes.actions]]
        name = "unanswerable"
        weight = 40
        to = "mail"
        available = "event.data.missing"

        [[routes.actions]]
        name = "refused"
        weight = 50
        to = "gone"
        transform = "{{id: .id}}"

        [[routes.actions]]
        name = "last"
        to = "mail"
        transform = "1"
        "#,
        receiver.url("/mail"),
        receiver.url("/gone")
    );
    let app = App::start(&engine, &config).await;
    let id = only_execution(&app.accept(&lead()).await).to_owned();
    let execution = app.closed(&id).await;

    // What could not be decided and what was refused are dead letters; the rest went on.
    assert_eq!(execution["status"], "Failed", "{execution:#}");
    let message = execution["failure"]["message"].as_str().unwrap();
    assert!(message.starts_with("2 of 6 actions failed: "), "{message}");
    assert!(
        message.contains("unanswerable: `available` fails on this event"),
        "{message}"
    );
    let told = without_times(execution["story"].clone());
    let unanswerable = told[3]["reason"].as_str().unwrap();
    assert!(unanswerable.contains("missing"), "{unanswerable}");
    let refused = told[4]["reason"].as_str().unwrap();
    assert!(refused.contains("410"), "{refused}");
    let sent = |payload: Value| {
        let bytes = payload.to_string().len();
        json!({"payload": payload, "bytes": bytes, "attempt": 1, "status": 202})
    };
    let expected = json!([
        {"action": "internal", "weight": 10, "to": "mail", "category": "notification", "entity": "Lead",
         "state": "skipped", "reason": "it is not available for this event: event.data.internal", "attempts": 1},
        {"action": "each", "weight": 20, "to": "mail", "category": "service_message", "state": "done",
         "attempts": 1, "delivered": 2, "payloads": [sent(json!({"to": "ada"})), sent(json!({"to": "bob"}))]},
        {"action": "nothing", "weight": 30, "to": "mail", "state": "done", "attempts": 1, "delivered": 0,
         "reason": "the transform makes no payload of this event"},
        {"action": "unanswerable", "weight": 40, "to": "mail", "state": "failed", "attempts": 1,
         "reason": unanswerable},
        {"action": "refused", "weight": 50, "to": "gone", "state": "failed", "attempts": 1, "reason": refused},
        {"action": "last", "weight": 100, "to": "mail", "state": "done", "attempts": 1, "delivered": 1,
         "payloads": [sent(json!(1))]},
    ]);
    assert_eq!(told, expected, "{told:#}");
    // A closed execution answers the same by itself, and has the event as it was before the transforms.
    let answered = story(&app, &id).await;
    assert_eq!(answered["route"], "leads");
    assert_eq!(answered["event"], lead());
    assert_eq!(
        without_times(answered["actions"].clone()),
        expected,
        "{answered:#}"
    );
    app.stop().await;
}

async fn a_running_action_is_told(engine: TestEngine) {
    let receiver = Receiver::answering(|_| Answer::status(503)).await;
    let config = format!(
        r#"
        [sinks]
        mail = {{ webhook = {{ url = "{}", allow_private = true }} }}

        [[routes]]
        name = "leads"
        on = "lead.*"
        actions = [
            {{ name = "first", weight = 1, to = "mail", retry = {{ initial = "50ms", max_interval = "50ms" }} }},
            {{ name = "second", weight = 2, to = "mail" }},
        ]
        "#,
        receiver.url("/mail")
    );
    let app = App::start(&engine, &config).await;
    let id = only_execution(&app.accept(&lead()).await).to_owned();
    receiver.wait_for(2, DEADLINE).await;
    let execution = app
        .until(&id, |execution| {
            execution["story"][0]["attempts"].as_u64() > Some(1)
        })
        .await;
    assert_eq!(execution["story"][0]["state"], "running", "{execution:#}");
    assert!(
        execution["story"][0]["reason"].as_str().unwrap().contains("503"),
        "{execution:#}"
    );
    assert_eq!(execution["story"][1]["state"], "waiting", "{execution:#}");
    let answered = story(&app, &id).await;
    assert_eq!(answered["actions"][0]["state"], "running", "{answered:#}");
    assert!(answered["actions"][0]["started"].is_string(), "{answered:#}");
    assert_eq!(answered["actions"][1]["state"], "waiting", "{answered:#}");
    app.stop().await;
}

/// A plan without what versions of before did not have is carried out.
async fn plans_of_before(engine: TestEngine) {
    use temporalio_client::WorkflowStartOptions;
    use temporalio_common::protos::temporal::api::common::v1::Payload;

    let receiver = Receiver::start().await;
    let config = format!(
        "[sinks]\nmail = {{ webhook = {{ url = {:?}, allow_private = true }} }}\n",
        receiver.url("/mail")
    );
    let app = App::start(&engine, &config).await;
    let retry = json!({"initial": "1s", "backoff": 2.0, "max_interval": "100s", "max_attempts": 0});
    let plan = json!({
        "route": "old", "event": lead(),
        "handler": {"actions": {"stages": [[{"name": "a", "weight": 100, "to": "mail", "retry": retry}]]}},
    });
    let input = RawValue::new(vec![Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: plan.to_string().into_bytes(),
        ..Default::default()
    }]);
    let options = WorkflowStartOptions::new(segno::worker::TASK_QUEUE, "old//leads/l1").build();
    app.client()
        .start_workflow(UntypedWorkflow::new(segno::WORKFLOW_TYPE), input, options)
        .await
        .unwrap();
    let execution = app.closed("old//leads/l1").await;
    assert_eq!(execution["status"], "Completed", "{execution:#}");
    assert_eq!(execution["story"][0]["delivered"], 1);
    app.stop().await;
}
