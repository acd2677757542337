//! What an event changes: the answers of dependents.

use segno::{Consumer, ConsumerError, Data, Event};
use segno_outbox::{InlineConsumer, InlineError};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Postgres, types::Json};

use crate::{Error, combine::combine};

/// The consumer's name, in its executions and in errors.
pub const CONSUMER: &str = "recalculate";

/// The types of the events that it is for.
pub(crate) const TYPES: [&str; 5] = [
    "answers.updated",
    "family.*",
    "profile.updated",
    "study.participant.added",
    "study.participant.removed",
];

/// Makes the answers of dependents anew. It looks at what is in the database and not at what was there when the event was
/// emitted: so it may run twice, late, and out of order, and ends with the same answers.
#[derive(Clone, Debug)]
pub struct Recalculate {
    pool: PgPool,
}

impl Recalculate {
    /// On this database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

/// After the change, as an execution of its own.
impl Consumer for Recalculate {
    async fn process(&self, event: &Event) -> Result<(), ConsumerError> {
        let mut tx = self.pool.begin().await.map_err(ConsumerError::retryable)?;
        handle(&mut tx, event).await.map_err(|failure| match failure {
            Failure::Event(reason) => ConsumerError::permanent(reason),
            // Which may be mended by answering again.
            Failure::Error(error @ Error::Answers(_)) => ConsumerError::permanent(error),
            Failure::Error(error) => ConsumerError::retryable(error),
        })?;
        tx.commit().await.map_err(ConsumerError::retryable)
    }
}

/// Inside the transaction of the change.
impl InlineConsumer<Postgres> for Recalculate {
    fn name(&self) -> &str {
        CONSUMER
    }

    async fn process(&self, connection: &mut PgConnection, event: &Event) -> Result<(), InlineError> {
        handle(connection, event).await.map_err(|failure| match failure {
            Failure::Event(reason) => reason.into(),
            Failure::Error(error) => error.into(),
        })
    }
}

enum Failure {
    /// The event is not what its type says.
    Event(String),
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Error(error.into())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfUser {
    user_id: i64,
    study_id: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfFamily {
    family_id: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfProfile {
    profile_id: i64,
    fields: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfParticipant {
    profile_id: i64,
    study_id: i64,
}

fn data<T: DeserializeOwned>(event: &Event) -> Result<T, Failure> {
    let wrong = |why: String| Failure::Event(format!("the data of {}: {why}", event.ty));
    match &event.data {
        Some(Data::Json(data)) => T::deserialize(data).map_err(|error| wrong(error.to_string())),
        _ => Err(wrong("there is none".to_owned())),
    }
}

async fn handle(connection: &mut PgConnection, event: &Event) -> Result<(), Failure> {
    match event.ty.as_str() {
        "answers.updated" => {
            let OfUser { user_id, study_id } = data(event)?;
            let guardian: Option<i64> = sqlx::query_scalar(
                "SELECT profile.id FROM profile JOIN \"user\" ON \"user\".profile_id = profile.id \
                 WHERE \"user\".id = $1 AND participant_type = 'GUARDIAN'",
            )
            .bind(user_id)
            .fetch_optional(&mut *connection)
            .await?;
            let Some(guardian) = guardian else { return Ok(()) };
            for family in families_of(connection, guardian).await? {
                recalculate(connection, family, study_id).await?;
            }
        }
        "family.created" | "family.updated" => {
            let OfFamily { family_id } = data(event)?;
            every_study(connection, family_id).await?;
        }
        "profile.updated" => {
            let OfProfile { profile_id, fields } = data(event)?;
            if fields.get("participantType").is_none() {
                return Ok(());
            }
            for family in families_of(connection, profile_id).await? {
                every_study(connection, family).await?;
            }
        }
        "study.participant.added" | "study.participant.removed" => {
            let OfParticipant { profile_id, study_id } = data(event)?;
            for family in families_of(connection, profile_id).await? {
                recalculate(connection, family, study_id).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

async fn families_of(connection: &mut PgConnection, profile: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT family_id FROM family_member WHERE profile_id = $1 ORDER BY family_id")
        .bind(profile)
        .fetch_all(connection)
        .await
}

async fn every_study(connection: &mut PgConnection, family: i64) -> Result<(), Error> {
    let studies: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT study_id FROM study_participant JOIN family_member USING (profile_id) \
         WHERE family_id = $1 ORDER BY study_id",
    )
    .bind(family)
    .fetch_all(&mut *connection)
    .await?;
    for study in studies {
        recalculate(connection, family, study).await?;
    }
    Ok(())
}

/// Gives the dependents of a family that take part in a study what its guardians, who take part and have answered, agree on.
/// Where there is no such guardian any more, nobody has answered for them.
async fn recalculate(connection: &mut PgConnection, family: i64, study: i64) -> Result<(), Error> {
    // One at a time: of two that run side by side each could miss what the other's change has done.
    sqlx::query("SELECT 1 FROM family WHERE id = $1 FOR UPDATE")
        .bind(family)
        .fetch_optional(&mut *connection)
        .await?;
    let guardians: Vec<Json<Vec<Value>>> = sqlx::query_scalar(
        "SELECT answers FROM answers \
         JOIN study_participant USING (study_id, profile_id) JOIN family_member USING (profile_id) \
         JOIN profile ON profile.id = profile_id \
         WHERE study_id = $1 AND family_id = $2 AND participant_type = 'GUARDIAN' ORDER BY profile_id",
    )
    .bind(study)
    .bind(family)
    .fetch_all(&mut *connection)
    .await?;
    let guardians: Vec<_> = guardians.into_iter().map(|Json(answers)| answers).collect();
    let agreed = match combine(&guardians)? {
        Some(agreed) => agreed,
        None => {
            let questions: Option<i32> = sqlx::query_scalar("SELECT questions FROM study WHERE id = $1")
                .bind(study)
                .fetch_optional(&mut *connection)
                .await?;
            vec![Value::Null; usize::try_from(questions.unwrap_or(0)).unwrap_or(0)]
        }
    };
    sqlx::query(
        "INSERT INTO answers (study_id, profile_id, answers) \
         SELECT $1, profile_id, $3 FROM study_participant JOIN family_member USING (profile_id) \
         JOIN profile ON profile.id = profile_id \
         WHERE study_id = $1 AND family_id = $2 AND participant_type = 'DEPENDENT' \
         ON CONFLICT (study_id, profile_id) DO UPDATE SET answers = EXCLUDED.answers",
    )
    .bind(study)
    .bind(family)
    .bind(Json(agreed))
    .execute(connection)
    .await?;
    Ok(())
}
