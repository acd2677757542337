//! Tables in the layout of Debezium's outbox event router.

use segno_event::Event;
use sqlx::Pool;

use crate::{Backend, Error, Outbox};

/// A table with the columns `id`, `aggregatetype`, `aggregateid`, `type`, `payload`, as services write it for
/// [Debezium's outbox event router](https://debezium.io/documentation/reference/stable/transformations/outbox-event-router.html).
///
/// A trigger takes what is inserted into the outbox, in the same transaction: so it does not matter if the service deletes
/// its rows at once, as is common with Debezium. An event gets the row's `id`, `type` and `payload`, `aggregateid` as its
/// subject, and `aggregatetype/aggregateid` as its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debezium {
    table: String,
    source: String,
}

impl Debezium {
    /// The table `outboxevent`, Debezium's default; its events get this source.
    ///
    /// # Errors
    ///
    /// When the source is no URI-reference, or has a quotation mark.
    pub fn new(source: impl Into<String>) -> Result<Self, Error> {
        let source = source.into();
        Event::new(source.clone(), "id", "type")
            .validate()
            .map_err(Error::Invalid)?;
        // It stands in a string of the trigger's text.
        Ok(Self {
            table: "outboxevent".to_owned(),
            source: source.replace('\'', "''").replace('\\', "%5C"),
        })
    }

    /// Another table than `outboxevent`.
    ///
    /// # Errors
    ///
    /// [`Error::TableName`].
    pub fn table(self, table: impl Into<String>) -> Result<Self, Error> {
        let table = table.into();
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        let starts = table.bytes().next().is_some_and(|c| !c.is_ascii_digit());
        if !starts || table.len() > 40 || !table.bytes().all(fits) {
            return Err(Error::TableName(table));
        }
        Ok(Self { table, ..self })
    }
}

impl<DB: Backend> Outbox<DB> {
    /// Connects a table of Debezium's layout to the outbox, which must have been [migrated](Outbox::migrate); makes the table
    /// if it is not there. Doing it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn connect_debezium(&self, pool: &Pool<DB>, debezium: &Debezium) -> Result<(), Error> {
        let script = DB::DEBEZIUM
            .replace("{table}", &debezium.table)
            .replace("{source}", &debezium.source);
        Ok(DB::script(pool, script).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sources_cannot_leave_their_place() {
        let debezium = Debezium::new("/it's").unwrap();
        assert_eq!(debezium.source, "/it''s");
        assert!(Debezium::new("no uri").is_err());
        for wrong in ["", "a b", "a;drop", "1a", "A", &"a".repeat(41)] {
            assert!(
                matches!(debezium.clone().table(wrong), Err(Error::TableName(_))),
                "{wrong}"
            );
        }
        assert_eq!(debezium.table("outbox_2").unwrap().table, "outbox_2");
    }
}
