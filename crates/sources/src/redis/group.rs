//! The calls to a consumer group.

use std::time::Duration;

use ::redis::{
    AsyncCommands, Cmd, FromRedisValue, RedisError, Value,
    aio::MultiplexedConnection,
    pipe,
    streams::{
        StreamAutoClaimOptions, StreamAutoClaimReply, StreamClaimOptions, StreamId, StreamInfoGroupsReply,
        StreamPendingReply, StreamReadOptions, StreamReadReply,
    },
};

use crate::Error;

/// An entry of the stream.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    /// None of an entry that is no longer in the stream.
    pub(super) fields: Vec<(String, Vec<u8>)>,
}

/// A consumer of a group.
#[derive(Clone)]
pub(super) struct Group {
    /// For reads that wait.
    pub(super) reads: MultiplexedConnection,
    /// For all else.
    pub(super) calls: MultiplexedConnection,
    pub(super) stream: String,
    pub(super) group: String,
    pub(super) consumer: String,
    pub(super) batch: usize,
}

impl Group {
    /// Makes the group, and the stream, unless they are there.
    pub(super) async fn create(&self) -> Result<(), Error> {
        let made: Result<(), RedisError> = self
            .calls
            .clone()
            .xgroup_create_mkstream(&self.stream, &self.group, "0")
            .await;
        match made {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            made => made.map_err(|error| failed("the consumer group cannot be made", &error)),
        }
    }

    /// The next entries that no consumer has; there may be none.
    pub(super) async fn next(&self, wait: Duration) -> Result<Vec<Entry>, Error> {
        let wait = usize::try_from(wait.as_millis()).unwrap_or(usize::MAX);
        self.read(">", self.options().block(wait)).await
    }

    /// The entries after this id that this consumer has and has not acknowledged.
    pub(super) async fn pending(&self, after: &str) -> Result<Vec<Entry>, Error> {
        self.read(after, self.options()).await
    }

    fn options(&self) -> StreamReadOptions {
        StreamReadOptions::default()
            .group(&self.group, &self.consumer)
            .count(self.batch)
    }

    async fn read(&self, from: &str, options: StreamReadOptions) -> Result<Vec<Entry>, Error> {
        let reply: Result<Option<StreamReadReply>, RedisError> = self
            .reads
            .clone()
            .xread_options(&[&self.stream], &[from], &options)
            .await;
        let reply = reply.map_err(|error| failed("entries cannot be read", &error))?;
        let keys = reply.map(|reply| reply.keys).unwrap_or_default();
        Ok(keys.into_iter().flat_map(|key| key.ids).map(entry).collect())
    }

    /// Entries that consumers, this one too, have had for so long without a sign; and where to go on.
    pub(super) async fn claim(&self, start: &str, idle: Duration) -> Result<(Vec<Entry>, String), Error> {
        let options = StreamAutoClaimOptions::default().count(self.batch);
        let (group, consumer) = (&self.group, &self.consumer);
        let idle = millis(idle);
        let reply: Result<StreamAutoClaimReply, RedisError> = self
            .calls
            .clone()
            .xautoclaim_options(&self.stream, group, consumer, idle, start, options)
            .await;
        let reply = reply.map_err(|error| failed("entries cannot be claimed", &error))?;
        Ok((
            reply.claimed.into_iter().map(entry).collect(),
            reply.next_stream_id,
        ))
    }

    /// Gives a sign.
    pub(super) async fn touch(&self, ids: &[String]) -> Result<(), Error> {
        let options = StreamClaimOptions::default().with_justid();
        let (group, consumer) = (&self.group, &self.consumer);
        let touched: Result<Value, RedisError> = self
            .calls
            .clone()
            .xclaim_options(&self.stream, group, consumer, 0, ids, options)
            .await;
        touched
            .map(drop)
            .map_err(|error| failed("entries cannot be claimed", &error))
    }

    pub(super) async fn acknowledge(&self, ids: &[&str]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let done: Result<usize, RedisError> = self.calls.clone().xack(&self.stream, &self.group, ids).await;
        done.map(drop)
            .map_err(|error| failed("entries cannot be acknowledged", &error))
    }

    /// Puts an entry into another stream with the reason, and acknowledges it: both, or neither.
    pub(super) async fn bury(&self, entry: &Entry, stream: &str, reason: &str) -> Result<(), Error> {
        let mut add = Cmd::new();
        add.arg("XADD").arg(stream).arg("*");
        for (name, value) in &entry.fields {
            add.arg(name).arg(value);
        }
        for (name, value) in [
            ("segno-reason", reason),
            ("segno-stream", self.stream.as_str()),
            ("segno-id", entry.id.as_str()),
        ] {
            add.arg(name).arg(value);
        }
        let mut both = pipe();
        both.atomic().add_command(add).ignore();
        both.xack(&self.stream, &self.group, &[&entry.id]).ignore();
        let done: Result<(), RedisError> = both.query_async(&mut self.calls.clone()).await;
        done.map_err(|error| failed("an entry cannot be put into the dead-letter stream", &error))
    }

    /// How many entries the group has not read, or read and not acknowledged. None where Redis does not tell: before version 7,
    /// and of a stream from whose middle something was removed.
    pub(super) async fn waiting(&self) -> Option<u64> {
        let groups: Result<StreamInfoGroupsReply, RedisError> =
            self.calls.clone().xinfo_groups(&self.stream).await;
        let groups = groups.ok()?.groups;
        let group = groups.into_iter().find(|group| group.name == self.group)?;
        u64::try_from(group.lag? + group.pending).ok()
    }

    /// Removes what every group has acknowledged. A group's oldest pending entry and its last one stay.
    pub(super) async fn trim(&self) -> Result<(), Error> {
        let mut calls = self.calls.clone();
        let unseen = |error: RedisError| failed("the stream cannot be trimmed", &error);
        let groups: StreamInfoGroupsReply = calls.xinfo_groups(&self.stream).await.map_err(unseen)?;
        let mut oldest = None;
        for group in groups.groups {
            let pending: StreamPendingReply =
                calls.xpending(&self.stream, &group.name).await.map_err(unseen)?;
            let first = match pending {
                StreamPendingReply::Data(pending) => pending.start_id,
                StreamPendingReply::Empty => group.last_delivered_id,
                _ => return Ok(()),
            };
            oldest = match (oldest, number(&first)) {
                (_, None) => return Ok(()),
                (Some(oldest), Some(first)) if oldest <= first => Some(oldest),
                (_, first) => first,
            };
        }
        let Some((time, sequence)) = oldest else {
            return Ok(());
        };
        let mut trim = Cmd::new();
        trim.arg("XTRIM")
            .arg(&self.stream)
            .arg("MINID")
            .arg(format!("{time}-{sequence}"));
        let removed: usize = trim.query_async(&mut calls).await.map_err(unseen)?;
        if removed > 0 {
            tracing::debug!(stream = self.stream, removed, "trimmed");
        }
        Ok(())
    }
}

/// An id as the numbers by which ids are in order.
fn number(id: &str) -> Option<(u64, u64)> {
    let (time, sequence) = id.split_once('-')?;
    Some((time.parse().ok()?, sequence.parse().ok()?))
}

fn entry(id: StreamId) -> Entry {
    let field = |(name, value)| Some((name, Vec::<u8>::from_redis_value(value).ok()?));
    Entry {
        id: id.id,
        fields: id.map.into_iter().filter_map(field).collect(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn failed(doing: &str, error: &RedisError) -> Error {
    Error::of(doing, error)
}
