//! The events that the service emits.

use segno::Event;
use serde_json::{Value, json};

/// The source of all of them.
pub(crate) const SOURCE: &str = "/consent";

fn event(ty: &str, subject: String, mut data: Value) -> Event {
    if let Some(data) = data.as_object_mut() {
        data.insert("payloadVersion".to_owned(), 1.into());
    }
    let mut event = Event::new(SOURCE, uuid::Uuid::now_v7().to_string(), ty).with_data(data);
    // The key by which the outbox keeps their order.
    event.subject = Some(subject);
    event
}

pub(crate) fn answers_updated(
    user: i64,
    study: i64,
    step: &str,
    survey_version: i32,
    previous: &[Value],
    new: &[Value],
) -> Event {
    let data = json!({
        "userId": user, "studyId": study, "step": step, "surveyVersionNumber": survey_version,
        "previousAnswers": previous, "newAnswers": new,
    });
    event("answers.updated", format!("user/{user}"), data)
}

pub(crate) fn family_created(family: i64, members: &[i64]) -> Event {
    let data = json!({"familyId": family, "newMemberProfileIds": members});
    event("family.created", format!("family/{family}"), data)
}

pub(crate) fn family_updated(family: i64, previous: &[i64], new: &[i64]) -> Event {
    let data = json!({
        "familyId": family, "previousMemberProfileIds": previous, "newMemberProfileIds": new,
    });
    event("family.updated", format!("family/{family}"), data)
}

pub(crate) fn profile_updated(profile: i64, fields: Value) -> Event {
    let data = json!({"profileId": profile, "fields": fields});
    event("profile.updated", format!("profile/{profile}"), data)
}

pub(crate) fn user_updated(user: i64, fields: Value) -> Event {
    event(
        "user.updated",
        format!("user/{user}"),
        json!({"userId": user, "fields": fields}),
    )
}

pub(crate) fn participant_added(profile: i64, study: i64) -> Event {
    let data = json!({"profileId": profile, "studyId": study});
    event("study.participant.added", format!("profile/{profile}"), data)
}

pub(crate) fn participant_removed(profile: i64, study: i64) -> Event {
    let data = json!({"profileId": profile, "studyId": study});
    event("study.participant.removed", format!("profile/{profile}"), data)
}
