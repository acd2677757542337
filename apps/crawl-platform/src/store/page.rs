//! Lists of runs, page by page: the newest first.

use std::str::FromStr;

use cursor::{decode, encode};
use uuid::Uuid;

use super::{
    Run, RunStatus, Store, StoreError, Trigger,
    db::{Statement, Value, millis},
    runs::{COLUMNS, run},
};

/// Which runs are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only runs of this crawler.
    pub crawler: Option<Uuid>,
    /// Only runs of this status.
    pub status: Option<RunStatus>,
    /// Only runs that were asked for so.
    pub trigger: Option<Trigger>,
    /// Only runs that were asked for at this time or later.
    pub since: Option<time::OffsetDateTime>,
    /// Only runs that were asked for before this time.
    pub until: Option<time::OffsetDateTime>,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The runs.
    pub runs: Vec<Run>,
    /// Where the next page begins; None if this is the last.
    pub next: Option<String>,
}

/// A cursor is none that a page gave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is none that a page before has given out")]
pub struct InvalidCursor;

/// Cursors: the time and the id of the last run of a page.
mod cursor {
    use super::{FromStr, InvalidCursor, Uuid};

    pub(super) fn encode(created_at: i64, id: Uuid) -> String {
        format!("{created_at:x}.{}", id.simple())
    }

    pub(super) fn decode(cursor: &str) -> Result<(i64, Uuid), InvalidCursor> {
        let (at, id) = cursor.split_once('.').ok_or(InvalidCursor)?;
        let at = i64::from_str_radix(at, 16).map_err(|_| InvalidCursor)?;
        Ok((at, Uuid::from_str(id).map_err(|_| InvalidCursor)?))
    }
}

impl Store {
    /// A page of runs, the newest first, from where a cursor says.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the inner one if the cursor is no cursor.
    pub async fn runs(
        &self,
        filter: &RunFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Result<Page, InvalidCursor>, StoreError> {
        let mut conditions = Vec::new();
        let mut values: Vec<Value> = Vec::new();
        let mut add = |condition, value: Value| {
            conditions.push(condition);
            values.push(value);
        };
        if let Some(crawler) = filter.crawler {
            add("crawler_id = ?", crawler.into());
        }
        if let Some(status) = filter.status {
            add("status = ?", status.into());
        }
        if let Some(trigger) = filter.trigger {
            add("requested_by = ?", trigger.into());
        }
        if let Some(since) = filter.since {
            add("created_at >= ?", since.into());
        }
        if let Some(until) = filter.until {
            add("created_at < ?", until.into());
        }
        if let Some(cursor) = cursor {
            let (at, id) = match decode(cursor) {
                Ok(place) => place,
                Err(invalid) => return Ok(Err(invalid)),
            };
            conditions.push("(created_at < ? OR (created_at = ? AND id < ?))");
            values.extend([at.into(), at.into(), id.into()]);
        }
        let condition = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        let select = Statement::new(format!(
            "SELECT {COLUMNS} FROM runs{condition} ORDER BY created_at DESC, id DESC LIMIT ?"
        ))
        .bind_all(values)
        .bind(i64::from(limit) + 1);
        let mut runs: Vec<Run> = self
            .rows(select)
            .await?
            .iter()
            .map(run)
            .collect::<Result<_, _>>()?;
        let more = runs.len() > limit as usize;
        runs.truncate(limit as usize);
        let next = runs
            .last()
            .filter(|_| more)
            .map(|last| encode(millis(last.created_at), last.id));
        Ok(Ok(Page { runs, next }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let place = (1_790_000_000_123, Uuid::max());
        assert_eq!(decode(&encode(place.0, place.1)), Ok(place));
        for text in ["", ".", "x.y", "12"] {
            assert_eq!(decode(text), Err(InvalidCursor));
        }
    }
}
