//! What the API does: each a change and its event in one transaction.

use segno::Event;
use segno_outbox::Outbox;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlx::{PgConnection, PgPool, Postgres, types::Json};

use crate::{Error, combine::LengthMismatch, events};

/// How a person takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ParticipantType {
    /// Answers for the dependents of the family.
    Guardian,
    /// Is answered for.
    Dependent,
    /// Answers for nobody else.
    Standard,
}

impl ParticipantType {
    /// As in the database.
    fn name(self) -> &'static str {
        match self {
            Self::Guardian => "GUARDIAN",
            Self::Dependent => "DEPENDENT",
            Self::Standard => "STANDARD",
        }
    }
}

/// A new profile, and its user unless it is a dependent's.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewProfile {
    pub(crate) id: Option<i64>,
    pub(crate) participant_type: ParticipantType,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
}

/// What of a profile is changed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProfileChange {
    pub(crate) participant_type: Option<ParticipantType>,
    pub(crate) name: Option<String>,
}

/// Answers of a user.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Submission {
    pub(crate) answers: Vec<Value>,
    #[serde(default)]
    pub(crate) step: String,
}

/// The database with its outbox.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    pub(crate) pool: PgPool,
    pub(crate) outbox: Outbox<Postgres>,
}

impl Changes {
    /// A profile has no event of its own: nobody reacts to one that is in no family and no study.
    pub(crate) async fn create_profile(&self, new: NewProfile) -> Result<(i64, Option<i64>), Error> {
        let mut tx = self.pool.begin().await?;
        let id: i64 = match new.id {
            Some(id) => {
                sqlx::query_scalar(
                    "INSERT INTO profile (id, participant_type, name) VALUES ($1, $2, $3) RETURNING id",
                )
                .bind(id)
                .bind(new.participant_type.name())
                .bind(new.name)
                .fetch_one(&mut *tx)
                .await?
            }
            None => {
                sqlx::query_scalar(
                    "INSERT INTO profile (participant_type, name) VALUES ($1, $2) RETURNING id",
                )
                .bind(new.participant_type.name())
                .bind(new.name)
                .fetch_one(&mut *tx)
                .await?
            }
        };
        let user = if new.participant_type == ParticipantType::Dependent {
            None
        } else {
            sqlx::query_scalar("INSERT INTO \"user\" (profile_id, email) VALUES ($1, $2) RETURNING id")
                .bind(id)
                .bind(new.email)
                .fetch_optional(&mut *tx)
                .await?
        };
        tx.commit().await?;
        Ok((id, user))
    }

    pub(crate) async fn change_profile(&self, profile: i64, change: ProfileChange) -> Result<Event, Error> {
        let mut fields = Map::new();
        if let Some(ty) = change.participant_type {
            fields.insert("participantType".to_owned(), json!(ty));
        }
        if let Some(name) = &change.name {
            fields.insert("name".to_owned(), json!(name));
        }
        let event = events::profile_updated(profile, Value::Object(fields));
        self.with(event, async |tx| {
            let done = sqlx::query(
                "UPDATE profile SET participant_type = COALESCE($2, participant_type), name = COALESCE($3, name) \
                 WHERE id = $1",
            )
            .bind(profile)
            .bind(change.participant_type.map(ParticipantType::name))
            .bind(change.name)
            .execute(tx)
            .await?;
            found(done.rows_affected(), "profile", profile)
        })
        .await
    }

    pub(crate) async fn change_user(&self, user: i64, email: String) -> Result<Event, Error> {
        let event = events::user_updated(user, json!({"email": email}));
        self.with(event, async |tx| {
            let done = sqlx::query("UPDATE \"user\" SET email = $2 WHERE id = $1")
                .bind(user)
                .bind(email)
                .execute(tx)
                .await?;
            found(done.rows_affected(), "user", user)
        })
        .await
    }

    pub(crate) async fn create_family(
        &self,
        id: Option<i64>,
        members: &[i64],
    ) -> Result<(i64, Event), Error> {
        let mut tx = self.pool.begin().await?;
        let id: i64 = match id {
            Some(id) => sqlx::query_scalar("INSERT INTO family (id) VALUES ($1) RETURNING id").bind(id),
            None => sqlx::query_scalar("INSERT INTO family DEFAULT VALUES RETURNING id"),
        }
        .fetch_one(&mut *tx)
        .await?;
        for member in members {
            add_member(&mut tx, id, *member).await?;
        }
        let event = events::family_created(id, members);
        self.outbox.emit(&mut tx, event.clone()).await?;
        tx.commit().await?;
        Ok((id, event))
    }

    /// Adds a member to a family, or removes one.
    pub(crate) async fn change_family(
        &self,
        family: i64,
        profile: i64,
        member: bool,
    ) -> Result<Event, Error> {
        let mut tx = self.pool.begin().await?;
        let known = sqlx::query("SELECT 1 FROM family WHERE id = $1 FOR UPDATE")
            .bind(family)
            .fetch_optional(&mut *tx)
            .await?;
        found(known.iter().count() as u64, "family", family)?;
        let previous = members(&mut tx, family).await?;
        if member {
            add_member(&mut tx, family, profile).await?;
        } else {
            sqlx::query("DELETE FROM family_member WHERE family_id = $1 AND profile_id = $2")
                .bind(family)
                .bind(profile)
                .execute(&mut *tx)
                .await?;
        }
        let new = members(&mut tx, family).await?;
        let event = events::family_updated(family, &previous, &new);
        self.outbox.emit(&mut tx, event.clone()).await?;
        tx.commit().await?;
        Ok(event)
    }

    pub(crate) async fn create_study(&self, id: Option<i64>, questions: u16) -> Result<i64, Error> {
        let query = match id {
            Some(id) => sqlx::query_scalar("INSERT INTO study (id, questions) VALUES ($2, $1) RETURNING id")
                .bind(i32::from(questions))
                .bind(id),
            None => sqlx::query_scalar("INSERT INTO study (questions) VALUES ($1) RETURNING id")
                .bind(i32::from(questions)),
        };
        Ok(query.fetch_one(&self.pool).await?)
    }

    /// Lets a profile take part in a study, or not any more. Its answers stay.
    pub(crate) async fn change_participant(
        &self,
        study: i64,
        profile: i64,
        takes_part: bool,
    ) -> Result<Event, Error> {
        let (event, statement) = if takes_part {
            (
                events::participant_added(profile, study),
                "INSERT INTO study_participant (study_id, profile_id) \
                 SELECT study.id, profile.id FROM study, profile WHERE study.id = $1 AND profile.id = $2 \
                 ON CONFLICT (study_id, profile_id) DO UPDATE SET study_id = EXCLUDED.study_id",
            )
        } else {
            (
                events::participant_removed(profile, study),
                "DELETE FROM study_participant WHERE study_id = $1 AND profile_id = $2",
            )
        };
        self.with(event, async |tx| {
            let done = sqlx::query(statement)
                .bind(study)
                .bind(profile)
                .execute(tx)
                .await?;
            found(done.rows_affected(), "such profile in the study", study)
        })
        .await
    }

    /// Takes a user's answers to a study, of which there is one a question.
    pub(crate) async fn submit(&self, study: i64, user: i64, submission: Submission) -> Result<Event, Error> {
        let Submission { answers, step } = submission;
        let mut tx = self.pool.begin().await?;
        let survey: Option<(i32, i32)> =
            sqlx::query_as("SELECT questions, survey_version FROM study WHERE id = $1")
                .bind(study)
                .fetch_optional(&mut *tx)
                .await?;
        let (questions, version) = survey.ok_or(Error::NotFound {
            what: "study",
            id: study,
        })?;
        let expected = usize::try_from(questions).unwrap_or(0);
        if answers.len() != expected {
            let found = answers.len();
            return Err(LengthMismatch { expected, found }.into());
        }
        let profile: Option<i64> = sqlx::query_scalar(
            "SELECT profile_id FROM \"user\" JOIN study_participant USING (profile_id) \
             WHERE \"user\".id = $1 AND study_id = $2",
        )
        .bind(user)
        .bind(study)
        .fetch_optional(&mut *tx)
        .await?;
        let what = "user in the study";
        let profile = profile.ok_or(Error::NotFound { what, id: user })?;
        let previous: Option<Json<Vec<Value>>> = sqlx::query_scalar(
            "SELECT answers FROM answers WHERE study_id = $1 AND profile_id = $2 FOR UPDATE",
        )
        .bind(study)
        .bind(profile)
        .fetch_optional(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO answers (study_id, profile_id, answers) VALUES ($1, $2, $3) \
             ON CONFLICT (study_id, profile_id) DO UPDATE SET answers = EXCLUDED.answers",
        )
        .bind(study)
        .bind(profile)
        .bind(Json(&answers))
        .execute(&mut *tx)
        .await?;
        let previous = previous.map(|Json(previous)| previous).unwrap_or_default();
        let event = events::answers_updated(user, study, &step, version, &previous, &answers);
        self.outbox.emit(&mut tx, event.clone()).await?;
        tx.commit().await?;
        Ok(event)
    }

    /// A profile's answers; None: it has not answered.
    pub(crate) async fn answers(&self, study: i64, profile: i64) -> Result<Option<Vec<Value>>, Error> {
        let answers: Option<Json<Vec<Value>>> =
            sqlx::query_scalar("SELECT answers FROM answers WHERE study_id = $1 AND profile_id = $2")
                .bind(study)
                .bind(profile)
                .fetch_optional(&self.pool)
                .await?;
        Ok(answers.map(|Json(answers)| answers))
    }

    async fn with(
        &self,
        event: Event,
        action: impl AsyncFnOnce(&mut PgConnection) -> Result<(), Error>,
    ) -> Result<Event, Error> {
        self.outbox
            .action_with_events(&self.pool, [event.clone()], action)
            .await?;
        Ok(event)
    }
}

fn found(rows: u64, what: &'static str, id: i64) -> Result<(), Error> {
    if rows == 0 {
        return Err(Error::NotFound { what, id });
    }
    Ok(())
}

async fn members(connection: &mut PgConnection, family: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT profile_id FROM family_member WHERE family_id = $1 ORDER BY profile_id")
        .bind(family)
        .fetch_all(connection)
        .await
}

async fn add_member(connection: &mut PgConnection, family: i64, profile: i64) -> Result<(), Error> {
    let done = sqlx::query(
        "INSERT INTO family_member (family_id, profile_id) SELECT $1, id FROM profile WHERE id = $2 \
         ON CONFLICT (family_id, profile_id) DO UPDATE SET family_id = EXCLUDED.family_id",
    )
    .bind(family)
    .bind(profile)
    .execute(connection)
    .await?;
    found(done.rows_affected(), "profile", profile)
}
