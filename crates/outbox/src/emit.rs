//! Emitting: events written in the transaction that they tell of.

use std::{fmt, marker::PhantomData, sync::Arc};

use segno_event::{Event, TypePattern};
use sqlx::{Pool, Transaction};

use crate::{
    Backend, Cipher, Error,
    inline::{DynInline, InlineConsumer, Registered},
    row::Row,
};

/// An event with its key.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The event.
    pub event: Event,
    /// The aggregate that it belongs to: events of one key are published in the order in which they were committed. None:
    /// in any order.
    pub key: Option<String>,
}

impl Entry {
    /// The event with another key than its subject.
    pub fn new(event: Event, key: Option<String>) -> Self {
        Self { event, key }
    }

    /// The same with this key.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        Self {
            key: Some(key.into()),
            ..self
        }
    }
}

/// With its subject as the key.
impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        let key = event.subject.clone();
        Self { event, key }
    }
}

/// How events get into the outbox of a database of this kind; cheap to clone.
pub struct Outbox<DB: Backend> {
    cipher: Option<Arc<dyn Cipher>>,
    inline: Arc<[Registered<DB>]>,
    database: PhantomData<fn() -> DB>,
}

impl<DB: Backend> Clone for Outbox<DB> {
    fn clone(&self) -> Self {
        Self {
            cipher: self.cipher.clone(),
            inline: self.inline.clone(),
            database: PhantomData,
        }
    }
}

impl<DB: Backend> Default for Outbox<DB> {
    fn default() -> Self {
        Self {
            cipher: None,
            inline: Arc::new([]),
            database: PhantomData,
        }
    }
}

impl<DB: Backend> fmt::Debug for Outbox<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("database", &<DB as sqlx::Database>::NAME)
            .field("cipher", &self.cipher)
            .finish_non_exhaustive()
    }
}

impl<DB: Backend> Outbox<DB> {
    /// An outbox that keeps payloads as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with payloads encrypted. The relay needs the same keys.
    #[must_use]
    pub fn cipher(self, cipher: impl Cipher + 'static) -> Self {
        Self {
            cipher: Some(Arc::new(cipher)),
            ..self
        }
    }

    /// The same, with a consumer that processes the events of these types inside the transaction that emits them.
    /// Consumers run in the order in which they are given here.
    #[must_use]
    pub fn inline(
        self,
        on: impl IntoIterator<Item = TypePattern>,
        consumer: impl InlineConsumer<DB>,
    ) -> Self {
        let registered = Registered {
            on: on.into_iter().collect(),
            consumer: Arc::new(consumer) as Arc<dyn DynInline<DB>>,
        };
        Self {
            inline: self.inline.iter().cloned().chain([registered]).collect(),
            ..self
        }
    }

    pub(crate) fn opener(&self) -> Option<&dyn Cipher> {
        self.cipher.as_deref()
    }

    /// Makes the outbox's tables, or brings them up to date. What was done is remembered in `segno_outbox_migrations`, apart
    /// from the migrations of the program's own. The same statements are in [`Backend::MIGRATIONS`], for those who apply
    /// them by other means; they must not do both.
    ///
    /// # Errors
    ///
    /// [`Error::Migrate`].
    pub async fn migrate(&self, pool: &Pool<DB>) -> Result<(), Error> {
        DB::migrate(pool).await?;
        Ok(())
    }

    /// Writes an event to the outbox, in the transaction that `connection` is in, and runs the inline consumers on it.
    ///
    /// ```no_run
    /// # async fn f(pool: sqlx::PgPool, event: segno_event::Event) -> Result<(), segno_outbox::Error> {
    /// let outbox = segno_outbox::Outbox::<sqlx::Postgres>::new();
    /// let mut tx = pool.begin().await?;
    /// sqlx::query("UPDATE family SET name = 'Quill'").execute(&mut *tx).await?;
    /// outbox.emit(&mut tx, event).await?;
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error`]; the transaction must be rolled back then.
    pub async fn emit(&self, connection: &mut DB::Connection, entry: impl Into<Entry>) -> Result<(), Error> {
        self.emit_all(connection, [entry]).await
    }

    /// The same for several events, in order. Their keys are locked in one order for all transactions, so those that do it
    /// with one call each cannot wait for one another in a circle.
    ///
    /// # Errors
    ///
    /// [`Error`]; the transaction must be rolled back then.
    pub async fn emit_all(
        &self,
        connection: &mut DB::Connection,
        entries: impl IntoIterator<Item = impl Into<Entry>>,
    ) -> Result<(), Error> {
        let entries: Vec<Entry> = entries.into_iter().map(Into::into).collect();
        self.write(connection, entries).await
    }

    async fn write(&self, connection: &mut DB::Connection, entries: Vec<Entry>) -> Result<(), Error> {
        let rows = entries
            .iter()
            .map(|entry| Row::of(&entry.event, entry.key.as_deref(), self.opener()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut keys: Vec<&str> = rows.iter().filter_map(|row| row.key.as_deref()).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.len() > 1 {
            DB::lock(connection, &keys).await?;
        }
        for row in &rows {
            DB::insert(connection, row).await.map_err(|error| {
                let duplicate = error
                    .as_database_error()
                    .is_some_and(|error| error.is_unique_violation());
                if duplicate {
                    Error::Duplicate {
                        source_: row.source.clone(),
                        id: row.id.clone(),
                    }
                } else {
                    error.into()
                }
            })?;
        }
        for entry in &entries {
            self.consume(connection, &entry.event).await?;
        }
        Ok(())
    }

    async fn consume(&self, connection: &mut DB::Connection, event: &Event) -> Result<(), Error> {
        for registered in self.inline.iter() {
            if !registered.on.iter().any(|pattern| pattern.matches(&event.ty)) {
                continue;
            }
            let consumer = &registered.consumer;
            consumer
                .process(connection, event)
                .await
                .map_err(|source| Error::Inline {
                    consumer: consumer.name().to_owned(),
                    id: event.id.clone(),
                    source,
                })?;
        }
        Ok(())
    }

    /// Runs `action` and then emits `events`, all in one transaction: both happen or neither does. Events that only the
    /// action knows it emits itself, with [`emit`](Self::emit).
    ///
    /// # Errors
    ///
    /// The action's, or [`Error`]; nothing has happened then. Where the connection is lost during the commit itself, only the
    /// database knows.
    pub async fn action_with_events<T, E>(
        &self,
        pool: &Pool<DB>,
        events: impl IntoIterator<Item = impl Into<Entry>>,
        action: impl AsyncFnOnce(&mut DB::Connection) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<Error>,
    {
        let entries: Vec<Entry> = events.into_iter().map(Into::into).collect();
        let mut tx: Transaction<'static, DB> = DB::begin(pool).await.map_err(Error::from)?;
        // Dropped on the way, the transaction is rolled back.
        let done = action(&mut tx).await?;
        self.write(&mut tx, entries).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(done)
    }
}

/// [`Outbox::action_with_events`] of an outbox without encryption and inline consumers.
///
/// # Errors
///
/// As those of [`Outbox::action_with_events`].
pub async fn action_with_events<DB: Backend, T, E>(
    pool: &Pool<DB>,
    events: impl IntoIterator<Item = impl Into<Entry>>,
    action: impl AsyncFnOnce(&mut DB::Connection) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<Error>,
{
    Outbox::new().action_with_events(pool, events, action).await
}
