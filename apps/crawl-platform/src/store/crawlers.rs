//! Crawlers and schedules.

use uuid::Uuid;

use super::{
    Crawler, CrawlerDefinition, Schedule, ScheduleDefinition, Store, StoreError,
    db::{Row, Statement, Value},
};

impl Store {
    /// Keeps a crawler; one of the same id takes the new definition.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put_crawler(&self, id: Uuid, definition: &CrawlerDefinition) -> Result<Crawler, StoreError> {
        let now = self.now();
        let text = serde_json::to_string(definition)?;
        let insert = self.db.insert(
            "crawlers",
            [
                ("id", id.into()),
                ("name", definition.name.clone().into()),
                ("definition", text.clone().into()),
                ("created_at", now.into()),
                ("updated_at", now.into()),
            ],
        );
        let update =
            Statement::new("UPDATE crawlers SET name = ?, definition = ?, updated_at = ? WHERE id = ?")
                .bind(definition.name.clone())
                .bind(text)
                .bind(now)
                .bind(id);
        self.transaction(vec![insert.into(), update.into()]).await?;
        self.crawler(id).await
    }

    /// A crawler.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] if there is none of this id.
    pub async fn crawler(&self, id: Uuid) -> Result<Crawler, StoreError> {
        let select = Statement::new("SELECT id, definition, created_at FROM crawlers WHERE id = ?").bind(id);
        let rows = self.rows(select).await?;
        let row = rows.first().ok_or(StoreError::NotFound { what: "crawler", id })?;
        crawler(row)
    }

    /// All crawlers, by name.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn crawlers(&self) -> Result<Vec<Crawler>, StoreError> {
        let select = Statement::new("SELECT id, definition, created_at FROM crawlers ORDER BY name, id");
        self.rows(select).await?.iter().map(crawler).collect()
    }

    /// Keeps a schedule; one of the same id takes the new definition.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] if there is no such crawler.
    pub async fn put_schedule(
        &self,
        id: Uuid,
        definition: &ScheduleDefinition,
    ) -> Result<Schedule, StoreError> {
        self.crawler(definition.crawler_id).await?;
        let now = self.now();
        let text = serde_json::to_string(definition)?;
        let enabled = i64::from(definition.enabled);
        let columns: [(&'static str, Value); 6] = [
            ("id", id.into()),
            ("crawler_id", definition.crawler_id.into()),
            ("definition", text.clone().into()),
            ("enabled", enabled.into()),
            ("created_at", now.into()),
            ("updated_at", now.into()),
        ];
        let insert = self.db.insert("schedules", columns);
        let update = Statement::new(
            "UPDATE schedules SET crawler_id = ?, definition = ?, enabled = ?, updated_at = ? WHERE id = ?",
        )
        .bind(definition.crawler_id)
        .bind(text)
        .bind(enabled)
        .bind(now)
        .bind(id);
        self.transaction(vec![insert.into(), update.into()]).await?;
        let select = Statement::new("SELECT id, definition, created_at FROM schedules WHERE id = ?").bind(id);
        let rows = self.rows(select).await?;
        let row = rows
            .first()
            .ok_or(StoreError::NotFound { what: "schedule", id })?;
        schedule(row)
    }

    /// All schedules, the oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn schedules(&self) -> Result<Vec<Schedule>, StoreError> {
        let select =
            Statement::new("SELECT id, definition, created_at FROM schedules ORDER BY created_at, id");
        self.rows(select).await?.iter().map(schedule).collect()
    }

    /// Deletes a schedule; false if it is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn delete_schedule(&self, id: Uuid) -> Result<bool, StoreError> {
        let delete = Statement::new("DELETE FROM schedules WHERE id = ?").bind(id);
        Ok(self.execute(delete).await? > 0)
    }
}

fn crawler(row: &Row) -> Result<Crawler, StoreError> {
    Ok(Crawler {
        id: row.id(0)?,
        definition: row.json(1)?,
        created_at: row.time(2)?,
    })
}

fn schedule(row: &Row) -> Result<Schedule, StoreError> {
    Ok(Schedule {
        id: row.id(0)?,
        definition: row.json(1)?,
        created_at: row.time(2)?,
    })
}
