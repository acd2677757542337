//! Inline consumers are part of the transaction that emits.

use segno_event::Event;
use segno_outbox::{Error, InlineConsumer, InlineError};

use crate::support::{Db, World, event};

in_every_database!(inside_the_transaction);

/// Notes each event, and refuses some.
struct Audit<D>(std::marker::PhantomData<fn() -> D>);

impl<D: Db> InlineConsumer<D::Sql> for Audit<D> {
    fn name(&self) -> &str {
        "audit"
    }

    async fn process(
        &self,
        connection: &mut <D::Sql as sqlx::Database>::Connection,
        event: &Event,
    ) -> Result<(), InlineError> {
        if event.id == "refused" {
            return Err("not this one".into());
        }
        D::change(connection, 2, "audited", &event.id).await?;
        Ok(())
    }
}

async fn inside_the_transaction<D: Db>(mut world: World<D>) {
    let on = ["family.*".parse().unwrap()];
    world.outbox = world.outbox.inline(on, Audit::<D>(std::marker::PhantomData));
    world.emit(event("1", "a")).await;
    world.emit(Event::new("/s", "other", "study.created")).await;
    let audited = "SELECT aggregate FROM changes WHERE what = 'audited'";
    assert_eq!(D::texts(&world.pool, audited).await, ["1"]);

    let refused = world
        .outbox
        .action_with_events(&world.pool, [event("refused", "a")], async |tx| {
            D::change(tx, 1, "made", "a").await.map_err(Error::from)
        });
    let error = refused.await.unwrap_err().to_string();
    assert_eq!(
        error,
        "the consumer \"audit\" refuses the event \"refused\": not this one"
    );
    assert_eq!(world.count("SELECT COUNT(*) FROM changes").await, 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM segno_outbox").await, 2);
}
