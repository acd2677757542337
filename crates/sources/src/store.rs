//! From messages in hand to what is to be done about each: its events are decoded, stored in order, and stored again where
//! the engine does not take them now.

use std::{collections::HashSet, time::Duration};

use segno_event::{Data, Event};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    Codec, Error, Intake, Outcome,
    message::{Message, Received},
};

/// Pauses between two tries to store what the engine does not take.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];
/// How long messages are held while the engine does not take them. Longer than most outages are: what is given back counts
/// as a failed delivery at the broker, which may have a limit for those.
const HOLD: Duration = Duration::from_secs(120);
/// Most events given to the intake at once.
const ROUND: usize = 64;

/// Type of the event that tells of a message that was not taken.
pub const REJECTED: &str = "segno.message.rejected";
/// How much of a message that was not taken is recorded, in bytes.
const RECORDED: usize = 64 << 10;

/// What is to be done about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is taken, and can be acknowledged.
    Taken,
    /// It never will be, for this reason.
    Rejected(String),
    /// It was not taken, and is to be given back.
    Back,
}

/// A message in hand.
pub(crate) struct InHand {
    events: Result<Vec<Event>, String>,
    /// What has to keep its order: messages with a lane in common.
    lanes: Vec<String>,
}

/// Which messages keep their order among each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Those whose events have the same source and subject.
    #[default]
    Subject,
    /// All of them: each event is durable before the next is stored.
    All,
}

/// Decodes messages, aside where that may take its time.
pub(crate) async fn decode(
    codec: &Codec,
    messages: Vec<Received>,
    origin: &str,
    order: Order,
) -> Result<(Vec<Received>, Vec<InHand>), Error> {
    let decode = move |messages: &[Received], codec: &Codec, origin: &str| {
        let one = |message: &Received| InHand::decode(codec, &message.message(), origin, order);
        messages.iter().map(one).collect()
    };
    if !matches!(codec, Codec::Map(_)) {
        let decoded = decode(&messages, codec, origin);
        return Ok((messages, decoded));
    }
    let (codec, origin) = (codec.clone(), origin.to_owned());
    let aside = tokio::task::spawn_blocking(move || {
        let decoded = decode(&messages, &codec, &origin);
        (messages, decoded)
    });
    aside
        .await
        .map_err(|error| Error::of("messages cannot be decoded", &error))
}

impl InHand {
    /// Decodes a message.
    pub(crate) fn decode(codec: &Codec, message: &Message<'_>, origin: &str, order: Order) -> Self {
        let events = codec
            .decode(message, origin)
            .map_err(|malformed| malformed.to_string());
        let lanes = match (&events, order) {
            (Ok(_), Order::All) => vec![String::new()],
            (Ok(events), Order::Subject) => events.iter().filter_map(subject).collect(),
            (Err(_), _) => Vec::new(),
        };
        Self { events, lanes }
    }

    /// The same, in a lane that the broker names.
    #[cfg(feature = "sqs")]
    pub(crate) fn in_lane(mut self, lane: Option<&str>) -> Self {
        self.lanes.extend(lane.map(|lane| format!("group {lane}")));
        self
    }
}

fn subject(event: &Event) -> Option<String> {
    let subject = event.subject.as_ref()?;
    Some(format!("subject {} {subject}", event.source))
}

/// Stores messages, given in the order in which they came. Of a lane the later ones are stored only when the earlier ones are
/// durable or rejected; so after one that goes back, those behind it go back too.
pub(crate) async fn store(
    intake: &dyn Intake,
    messages: &[InHand],
    stop: &CancellationToken,
) -> Vec<Verdict> {
    let mut verdicts: Vec<_> = messages
        .iter()
        .map(|message| match &message.events {
            Err(reason) => Some(Verdict::Rejected(reason.clone())),
            Ok(events) if events.is_empty() => Some(Verdict::Taken),
            Ok(_) => None,
        })
        .collect();
    let deadline = Instant::now() + HOLD;
    let mut pause = PAUSES[0];
    loop {
        let round = round(messages, &verdicts);
        if round.is_empty() {
            break;
        }
        let events: Vec<_> = round
            .iter()
            .flat_map(|n| events(&messages[*n]))
            .cloned()
            .collect();
        let mut outcomes = intake.take(&events).await.into_iter();
        let mut later = None;
        for n in round {
            let outcomes: Vec<_> = outcomes.by_ref().take(events_len(&messages[n])).collect();
            verdicts[n] = verdict(outcomes, &mut later);
        }
        let Some(reason) = later else {
            pause = PAUSES[0];
            continue;
        };
        tracing::warn!(%reason, again_in = ?pause, "events are not taken now");
        if stop.is_cancelled() || Instant::now() + pause > deadline {
            break;
        }
        tokio::select! {
            () = sleep(pause) => {}
            // One more try, and then they go back.
            () = stop.cancelled() => {}
        }
        pause = (pause * 2).min(PAUSES[1]);
    }
    let verdicts: Vec<_> = verdicts
        .into_iter()
        .map(|verdict| verdict.unwrap_or(Verdict::Back))
        .collect();
    let rejected = |verdict: &&Verdict| matches!(verdict, Verdict::Rejected(_));
    match verdicts.iter().filter(rejected).count() {
        0 => {}
        messages => intake.rejected(messages),
    }
    verdicts
}

fn events(message: &InHand) -> &[Event] {
    message.events.as_deref().unwrap_or_default()
}

fn events_len(message: &InHand) -> usize {
    events(message).len()
}

/// The messages without a verdict of which no earlier one has a lane in common.
fn round(messages: &[InHand], verdicts: &[Option<Verdict>]) -> Vec<usize> {
    let mut lanes = HashSet::new();
    let mut round = Vec::new();
    let mut size = 0;
    for (n, message) in messages
        .iter()
        .enumerate()
        .filter(|(n, _)| verdicts[*n].is_none())
    {
        // Every lane is taken, also those of a message that has to wait: what is behind it waits too.
        let mut free = true;
        for lane in &message.lanes {
            free &= lanes.insert(lane.as_str());
        }
        if free && (round.is_empty() || size + events_len(message) <= ROUND) {
            size += events_len(message);
            round.push(n);
        }
    }
    round
}

/// None where it is to be tried again. Of a message with several events one that is refused rejects it whole; those that were
/// taken are known when it comes again.
fn verdict(outcomes: Vec<Outcome>, later: &mut Option<String>) -> Option<Verdict> {
    let mut verdict = Some(Verdict::Taken);
    for outcome in outcomes {
        match (outcome, &verdict) {
            (Outcome::Later(reason), _) => {
                *later = Some(reason);
                return None;
            }
            (Outcome::Refused(reason), Some(Verdict::Taken)) => verdict = Some(Verdict::Rejected(reason)),
            _ => {}
        }
    }
    verdict
}

/// Works, and tells the broker every so often that it still does.
pub(crate) async fn holding<T, B: Future<Output = ()>>(
    work: impl Future<Output = T>,
    every: Duration,
    beat: impl Fn() -> B,
) -> T {
    let beats = async {
        loop {
            sleep(every).await;
            beat().await;
        }
    };
    tokio::select! {
        done = work => done,
        () = beats => unreachable!("it beats for ever"),
    }
}

/// Records a message that was rejected where there is no dead-letter place: in the log, and as an event of type
/// [`REJECTED`], by which a route can tell somebody or keep it. Answers whether the message can be acknowledged.
pub(crate) async fn record(intake: &dyn Intake, origin: &str, message: &Message<'_>, reason: &str) -> bool {
    tracing::warn!(
        source = origin,
        message = message.id,
        reason,
        "a message was rejected"
    );
    let shown = &message.body[..message.body.len().min(RECORDED)];
    let headers: serde_json::Map<_, _> = message
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    let mut event = Event::new(origin, format!("rejected/{}", message.id), REJECTED);
    event.data = Some(Data::Json(serde_json::json!({
        "message": message.id,
        "reason": reason,
        "headers": headers,
        "body": String::from_utf8_lossy(shown),
        "truncated": shown.len() < message.body.len(),
    })));
    if event.validate().is_err() {
        // A broker's own id that no event can have. The log has it.
        return true;
    }
    match intake.take(std::slice::from_ref(&event)).await.as_slice() {
        [Outcome::Durable] => true,
        [Outcome::Refused(reason)] => {
            tracing::warn!(
                source = origin,
                message = message.id,
                reason,
                "nor was the event that tells of it"
            );
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
