//! What becomes of a dependent's answers.

use reqwest::{Method, StatusCode};
use segno_consent::Reaction;
use serde_json::{Value, json};

use crate::world::World;

macro_rules! either_way {
    ($($behaviour:ident),+ $(,)?) => {
        mod after {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour(super::World::new(super::Reaction::After).await).await;
                }
            )+
        }

        mod after_on_temporal {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour(super::World::on_temporal(super::Reaction::After).await).await;
                }
            )+
        }

        mod inside {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour(super::World::new(super::Reaction::Inside).await).await;
                }
            )+
        }
    };
}

either_way!(
    a_guardian_leaves_the_family,
    a_dependent_is_added,
    another_member_is_added,
    a_guardian_becomes_standard_and_guardian_again,
    a_guardian_leaves_the_study,
    the_only_one_with_answers_leaves_the_study_and_comes_back,
    a_guardian_answers,
    what_is_wrong_changes_nothing,
);

fn agreed() -> Value {
    json!([false, "Choice 2"])
}

fn nothing() -> Value {
    json!([null, null])
}

async fn a_guardian_leaves_the_family(world: World) {
    world
        .change(Method::DELETE, "/families/100/members/102", Value::Null)
        .await;
    assert_eq!(world.answers(100).await, agreed());
    world.stop().await;
}

async fn a_dependent_is_added(mut world: World) {
    world.profile(103, "DEPENDENT").await;
    world
        .change(Method::PUT, "/studies/1/participants/103", Value::Null)
        .await;
    assert_eq!(world.answers(103).await, Value::Null);
    world
        .change(Method::PUT, "/families/100/members/103", Value::Null)
        .await;
    assert_eq!(world.answers(103).await, agreed());
    assert_eq!(world.answers(100).await, agreed());
    world.stop().await;
}

async fn another_member_is_added(world: World) {
    world
        .change(Method::PUT, "/families/100/members/98", Value::Null)
        .await;
    assert_eq!(world.answers(100).await, agreed());
    assert_eq!(
        world.answers(98).await,
        Value::Null,
        "nobody answers for who is no dependent"
    );
    world.stop().await;
}

async fn a_guardian_becomes_standard_and_guardian_again(world: World) {
    world
        .change(
            Method::PATCH,
            "/profiles/99",
            json!({"participantType": "STANDARD"}),
        )
        .await;
    assert_eq!(world.answers(100).await, nothing());
    world
        .change(
            Method::PATCH,
            "/profiles/99",
            json!({"participantType": "GUARDIAN"}),
        )
        .await;
    assert_eq!(world.answers(100).await, agreed());
    world.stop().await;
}

async fn a_guardian_leaves_the_study(world: World) {
    world
        .change(Method::DELETE, "/studies/1/participants/102", Value::Null)
        .await;
    assert_eq!(world.answers(100).await, agreed());
    world.stop().await;
}

async fn the_only_one_with_answers_leaves_the_study_and_comes_back(world: World) {
    world
        .change(Method::DELETE, "/studies/1/participants/99", Value::Null)
        .await;
    assert_eq!(world.answers(100).await, nothing());
    world
        .change(Method::PUT, "/studies/1/participants/99", Value::Null)
        .await;
    assert_eq!(world.answers(100).await, agreed());
    world.stop().await;
}

async fn a_guardian_answers(world: World) {
    world.answer(99, json!([true, "Choice 2"])).await;
    assert_eq!(world.answers(100).await, json!([true, "Choice 2"]));
    // Who disagrees leaves the question without an answer; who is no guardian answers for nobody.
    world.answer(102, json!([false, null])).await;
    assert_eq!(world.answers(100).await, json!([null, "Choice 2"]));
    world.answer(98, json!(["x", "y"])).await;
    assert_eq!(world.answers(100).await, json!([null, "Choice 2"]));
    world.stop().await;
}

async fn what_is_wrong_changes_nothing(world: World) {
    let path = format!("/studies/1/answers/{}", world.user(99));
    let (status, answer) = world
        .request(Method::PUT, &path, json!({"answers": [true]}))
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer["error"], "1 answers where 2 are expected");
    let (status, _) = world
        .request(Method::PUT, "/families/7/members/99", Value::Null)
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = world
        .request(Method::PUT, "/studies/1/participants/7", Value::Null)
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(world.answers(99).await, agreed());
    assert_eq!(world.answers(100).await, agreed());
    // An event that nobody reacts to.
    let path = format!("/users/{}", world.user(99));
    world
        .change(Method::PATCH, &path, json!({"email": "a@example.com"}))
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_is_healthy_while_database_and_bus_answer() {
    let mut world = World::new(Reaction::After).await;
    let (status, health) = world.request(Method::GET, "/healthz", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({
        "status": "ok", "databaseConnected": true, "redisConnected": true, "reaction": "after",
    });
    assert_eq!(health, expected);
    world.redis.kill();
    let (status, health) = world.request(Method::GET, "/healthz", Value::Null).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        (&health["status"], &health["redisConnected"]),
        (&json!("unhealthy"), &json!(false))
    );

    // While the bus is away a change is taken all the same, and followed up when it is back.
    let path = format!("/studies/1/answers/{}?wait=1", world.user(99));
    let change = json!({"answers": [true, "Choice 1"]});
    let (status, answer) = world.request(Method::PUT, &path, change).await;
    assert_eq!(
        (status, &answer["recalculated"]),
        (StatusCode::OK, &json!(false)),
        "{answer}"
    );
    world.redis.start_again().await;
    world.answer(102, json!([true, null])).await;
    assert_eq!(world.answers(100).await, json!([true, "Choice 1"]));
    world.stop().await;
}
