//! What the HTTP service answers.

use std::collections::BTreeSet;

use segno_test_support::{Answer, Receiver};
use segno_timers::{Options, TimerId};
use serde_json::{Value, json};

use crate::world::World;

pub(crate) async fn refuses_wrong_requests(world: World) {
    let service = world.service_with(Options::default()).await;
    let (status, body) = service.post(&json!({"minutes": 60, "nulls": null})).await;
    let expected = json!({
        "message": [
            {"message": "\"minutes\" must be less than or equal to 59", "path": ["minutes"],
             "type": "number.max", "context": {"limit": 59, "value": 60, "label": "minutes", "key": "minutes"}},
            {"message": "\"url\" is required", "path": ["url"], "type": "any.required",
             "context": {"label": "url", "key": "url"}},
            {"message": "\"nulls\" is not allowed", "path": ["nulls"], "type": "object.unknown",
             "context": {"child": "nulls", "value": null, "label": "nulls", "key": "nulls"}},
        ],
        "error": "Validation failed",
        "statusCode": 400,
    });
    assert_eq!((status, body), (400, expected));
    let refused = |(status, body): (u16, Value)| {
        assert_eq!(
            (status, &body["error"]),
            (400, &json!("Validation failed")),
            "{body}"
        );
        body["message"][0]["type"].as_str().unwrap().to_owned()
    };
    let url = "http://example.com/";
    for array in ["[]", &format!("[{{\"url\":\"{url}\"}}]"), "null", "\"a\""] {
        assert_eq!(
            refused(service.post_raw("application/json", array.to_owned()).await),
            "object.base"
        );
    }
    for broken in ["", "{", "{\"url\": \"http://example.com\""] {
        assert_eq!(
            refused(service.post_raw("application/json", broken).await),
            "object.json"
        );
    }
    for ty in ["text/plain", "application/x-www-form-urlencoded", ""] {
        assert_eq!(
            refused(service.post_raw(ty, json!({"url": url}).to_string()).await),
            "any.only"
        );
    }
    for private in [
        "http://127.0.0.1:1/",
        "http://localhost/",
        "http://169.254.169.254/latest",
    ] {
        assert_eq!(
            refused(service.post(&json!({"url": private})).await),
            "string.uriPrivate"
        );
    }
    let long = json!({"url": url, "body": "x".repeat(300_000)});
    assert_eq!(service.post(&long).await.0, 413);
    for id in ["1", "x", "8f14e45fceea467fa5d90a1b2c3d4e5f"] {
        for path in [format!("/timers/{id}"), format!("/timers/{id}/deliveries")] {
            assert_eq!(refused(service.get(&path).await), "string.guid");
        }
        assert_eq!(
            refused(service.delete(&format!("/timers/{id}")).await),
            "string.guid"
        );
        let path = format!("/timers/{id}/deadline");
        assert_eq!(
            refused(service.put(&path, &json!({"hours": 1})).await),
            "string.guid"
        );
    }
    let path = format!("/timers/{}/deadline", TimerId::random());
    assert_eq!(refused(service.put(&path, &json!({})).await), "object.missing");
    assert_eq!(refused(service.get("/timers?status=gone").await), "any.only");
    assert_eq!(
        refused(service.get("/timers?page_token=nonsense!").await),
        "any.invalid"
    );
    assert_eq!(
        refused(service.post_keyed("", &json!({"url": url})).await),
        "string.length"
    );
    assert_eq!(
        service.get("/timers").await.1["timers"],
        json!([]),
        "none was made"
    );
}

pub(crate) async fn tells_fired_long_ago_from_never_made(world: World) {
    let service = world.service().await;
    let never = "8f14e45f-ceea-467f-a5d9-0a1b2c3d4e5f";
    let unknown = (404, json!({"message": "Timer not found", "statusCode": 404}));
    assert_eq!(service.get(&format!("/timers/{never}")).await, unknown);
    assert_eq!(service.get(&format!("/timers/{never}/deliveries")).await, unknown);
    assert_eq!(service.delete(&format!("/timers/{never}")).await, unknown);
    assert_eq!(
        service
            .put(&format!("/timers/{never}/deadline"), &json!({"hours": 1}))
            .await,
        unknown
    );
    // To the engine an id that was never used is like one that it no longer holds.
    let ago = TimerId::random().to_string();
    assert_eq!(service.time_left(&ago).await, 0);
    assert_eq!(service.time_left(&ago).await, 0);
    assert_eq!(service.get(&format!("/timers/{ago}/deliveries")).await.0, 410);
    assert_eq!(service.delete(&format!("/timers/{ago}")).await.0, 410);
    assert_eq!(
        service
            .put(&format!("/timers/{ago}/deadline"), &json!({"hours": 1}))
            .await
            .0,
        410
    );
}

pub(crate) async fn makes_one_timer_for_one_idempotency_key(world: World) {
    let (service, receiver, _worker) = (world.service().await, Receiver::start().await, world.worker());
    let body = json!({"url": receiver.url("/"), "seconds": 1});
    let (first, again) = tokio::join!(service.post_keyed("a", &body), service.post_keyed("a", &body));
    assert_eq!(first.0, 200, "{first:?}");
    assert_eq!(first, again);
    let other = service.post_keyed("b", &body).await;
    assert_ne!(first, other);
    let changed = service
        .post_keyed("a", &json!({"url": receiver.url("/"), "seconds": 2}))
        .await;
    assert_eq!((changed.0, &changed.1["statusCode"]), (422, &json!(422)));
    let id = first.1["id"].as_str().unwrap();
    service.deliveries(id, |body| body["status"] == "fired").await;
    service
        .deliveries(other.1["id"].as_str().unwrap(), |body| body["status"] == "fired")
        .await;
    assert_eq!(service.post_keyed("a", &body).await, first, "also when it fired");
    assert_eq!(receiver.requests().len(), 2);
}

pub(crate) async fn lists_timers_by_status_and_page(world: World) {
    let (service, _worker) = (world.service().await, world.worker());
    let receiver = Receiver::answering(|request| {
        Answer::status(if request.uri.path().starts_with("/gone") {
            410
        } else {
            200
        })
    })
    .await;
    let later = |path| json!({"hours": 1, "url": receiver.url(path)});
    let mut pending = BTreeSet::new();
    for _ in 0..5 {
        pending.insert(service.create(later("/secret-path")).await);
    }
    let fired = service.create(json!({"url": receiver.url("/")})).await;
    let failed = service.create(json!({"url": receiver.url("/gone")})).await;
    let canceled = service.create(later("/")).await;
    assert_eq!(service.delete(&format!("/timers/{canceled}")).await.0, 204);
    let ids = |(status, body): &(u16, Value)| -> Vec<String> {
        assert_eq!(*status, 200, "{body}");
        body["timers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for (status, id) in [("fired", &fired), ("failed", &failed), ("canceled", &canceled)] {
        let path = format!("/timers?status={status}");
        let (_, body) = service.until(&path, |answer| ids(answer) == [id.clone()]).await;
        let timer = &body["timers"][0];
        assert_eq!(
            (&timer["status"], &timer["time_left"]),
            (&json!(status), &json!(0))
        );
        assert!(timer["closed_at"].is_string(), "{timer}");
    }
    let path = "/timers?status=pending";
    let (_, body) = service
        .until(path, |answer| ids(answer).len() == pending.len())
        .await;
    let origin = receiver.url("");
    for timer in body["timers"].as_array().unwrap() {
        assert!(
            (3500..=3600).contains(&timer["time_left"].as_u64().unwrap()),
            "{timer}"
        );
        assert_eq!(
            (&timer["origin"], &timer["closed_at"]),
            (&json!(origin), &json!(null))
        );
        assert!(
            timer["deadline"].as_str() > timer["created_at"].as_str(),
            "{timer}"
        );
    }
    assert!(!body.to_string().contains("secret-path"));
    let (mut paged, mut token) = (Vec::new(), String::new());
    loop {
        let page = service
            .get(&format!("/timers?status=pending&limit=2{token}"))
            .await;
        assert!(ids(&page).len() <= 2);
        paged.extend(ids(&page));
        let Some(next) = page.1["next_page_token"].as_str() else {
            break;
        };
        token = format!("&page_token={next}");
    }
    assert_eq!(paged.len(), pending.len(), "each once");
    assert_eq!(paged.into_iter().collect::<BTreeSet<_>>(), pending);
    service.until("/timers", |answer| ids(answer).len() == 8).await;
}

pub(crate) async fn documents_what_it_serves(world: World) {
    let service = world.service().await;
    let document = serde_json::to_value(segno_timers::openapi()).unwrap();
    let mut served = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let url = format!("{}{}", service.url, path.replace("{id}", "1"));
            let request = service.http.request(method.to_uppercase().parse().unwrap(), url);
            let answer = request
                .header("content-type", "application/json")
                .body("{}")
                .send()
                .await
                .unwrap();
            let status = answer.status().as_u16();
            assert!(matches!(status, 200 | 400), "{method} {path} answers {status}");
            assert!(
                operation["responses"].get(status.to_string()).is_some(),
                "{method} {path}: {status}"
            );
            served.push(format!("{method} {path}"));
        }
    }
    let expected = [
        "get /timers",
        "post /timers",
        "delete /timers/{id}",
        "get /timers/{id}",
        "put /timers/{id}/deadline",
        "get /timers/{id}/deliveries",
    ];
    assert_eq!(served, expected);
}
