//! Which mails were sent, by their `Message-ID`s: noted before a mail is handed to its server, and after.

use async_trait::async_trait;
use segno_crawl_clients::Failure;

use super::{Store, StoreError, db::Statement};
use crate::events::activities::{Claim, SentMails};

#[async_trait]
impl SentMails for Store {
    async fn claim(&self, message_id: &str) -> Result<Claim, Failure> {
        let insert = self.db.insert(
            "sent_mails",
            [("message_id", message_id.into()), ("begun_at", self.now().into())],
        );
        if self.execute(insert).await.map_err(failure)? > 0 {
            return Ok(Claim::Mine);
        }
        let select = Statement::new("SELECT sent_at FROM sent_mails WHERE message_id = ?").bind(message_id);
        let rows = self.rows(select).await.map_err(failure)?;
        match rows.first() {
            // Released in between: whoever has released it tries again, and so does this attempt.
            None => Err(Failure::retryable(
                "another attempt at the same mail has just failed",
            )),
            Some(row) => Ok(match row.maybe_time(0).map_err(failure)? {
                Some(_) => Claim::Sent,
                None => Claim::Begun,
            }),
        }
    }

    async fn sent(&self, message_id: &str) -> Result<(), Failure> {
        let update = Statement::new("UPDATE sent_mails SET sent_at = ? WHERE message_id = ?")
            .bind(self.now())
            .bind(message_id);
        self.execute(update).await.map(drop).map_err(failure)
    }

    async fn release(&self, message_id: &str) -> Result<(), Failure> {
        let delete = Statement::new("DELETE FROM sent_mails WHERE message_id = ? AND sent_at IS NULL")
            .bind(message_id);
        self.execute(delete).await.map(drop).map_err(failure)
    }
}

fn failure(error: StoreError) -> Failure {
    let text = error.to_string();
    if error.is_retryable() {
        Failure::retryable(text)
    } else {
        Failure::permanent(text)
    }
}
