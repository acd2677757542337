use std::sync::Mutex;

use async_trait::async_trait;

use super::*;

/// Takes events as it is told, and writes down what it was given.
struct Told<F>(F, Mutex<Vec<Vec<String>>>);

#[async_trait]
impl<F: Fn(&Event, usize) -> Outcome + Send + Sync> Intake for Told<F> {
    async fn take(&self, events: &[Event]) -> Vec<Outcome> {
        let round = {
            let mut rounds = self.1.lock().unwrap();
            rounds.push(events.iter().map(|event| event.id.clone()).collect());
            rounds.len()
        };
        events.iter().map(|event| (self.0)(event, round)).collect()
    }
}

fn event(id: &str, subject: Option<&str>) -> Event {
    let mut event = Event::new("/s", id, "t");
    event.subject = subject.map(str::to_owned);
    event
}

fn in_hand(events: Vec<Event>) -> InHand {
    let lanes = events.iter().filter_map(super::subject).collect();
    InHand {
        events: Ok(events),
        lanes,
    }
}

fn one(id: &str, subject: Option<&str>) -> InHand {
    in_hand(vec![event(id, subject)])
}

async fn run(
    messages: &[InHand],
    told: impl Fn(&Event, usize) -> Outcome + Send + Sync,
) -> (Vec<Verdict>, Vec<Vec<String>>) {
    let intake = Told(told, Mutex::default());
    let verdicts = store(&intake, messages, &CancellationToken::new()).await;
    (verdicts, intake.1.into_inner().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_subjects_events_are_stored_one_after_the_other() {
    let messages = [
        one("1", Some("a")),
        one("2", Some("b")),
        one("3", Some("a")),
        one("4", None),
        one("5", Some("a")),
    ];
    let (verdicts, rounds) = run(&messages, |_, _| Outcome::Durable).await;
    assert_eq!(verdicts, vec![Verdict::Taken; 5]);
    assert_eq!(rounds, [vec!["1", "2", "4"], vec!["3"], vec!["5"]]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_or_malformed_blocks_nothing() {
    let broken = InHand {
        events: Err("not JSON".to_owned()),
        lanes: vec!["subject /s a".to_owned()],
    };
    let messages = [
        one("1", Some("a")),
        broken,
        one("2", Some("a")),
        in_hand(Vec::new()),
    ];
    let (verdicts, rounds) = run(&messages, |event, _| match event.id.as_str() {
        "1" => Outcome::Refused("too large".to_owned()),
        _ => Outcome::Durable,
    })
    .await;
    let rejected = |reason: &str| Verdict::Rejected(reason.to_owned());
    assert_eq!(
        verdicts,
        [
            rejected("too large"),
            rejected("not JSON"),
            Verdict::Taken,
            Verdict::Taken
        ]
    );
    assert_eq!(rounds, [["1"], ["2"]]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_now_is_tried_again_and_holds_back_its_subject_alone() {
    let messages = [one("1", Some("a")), one("2", Some("a")), one("3", Some("b"))];
    let (verdicts, rounds) = run(&messages, |event, round| match event.id.as_str() {
        "1" if round < 4 => Outcome::Later("down".to_owned()),
        _ => Outcome::Durable,
    })
    .await;
    assert_eq!(verdicts, vec![Verdict::Taken; 3]);
    assert_eq!(
        rounds,
        [vec!["1", "3"], vec!["1"], vec!["1"], vec!["1"], vec!["2"]]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_never_taken_goes_back_with_what_is_behind_it() {
    let messages = [one("1", Some("a")), one("2", Some("a")), one("3", None)];
    let began = Instant::now();
    let (verdicts, rounds) = run(&messages, |event, _| match event.id.as_str() {
        "1" => Outcome::Later("down".to_owned()),
        _ => Outcome::Durable,
    })
    .await;
    assert_eq!(verdicts, [Verdict::Back, Verdict::Back, Verdict::Taken]);
    assert!(began.elapsed() <= HOLD && began.elapsed() > HOLD / 2);
    assert!(!rounds.concat().contains(&"2".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn being_told_to_stop_ends_the_waiting() {
    let stop = CancellationToken::new();
    stop.cancel();
    let intake = Told(|_: &Event, _| Outcome::Later("down".to_owned()), Mutex::default());
    let verdicts = store(&intake, &[one("1", None)], &stop).await;
    assert_eq!(verdicts, [Verdict::Back]);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_taken_when_all_of_its_events_are() {
    let messages = [in_hand(vec![event("1", None), event("2", None)])];
    let (verdicts, rounds) = run(&messages, |event, round| match event.id.as_str() {
        "2" if round == 1 => Outcome::Later("down".to_owned()),
        _ => Outcome::Durable,
    })
    .await;
    assert_eq!(verdicts, [Verdict::Taken]);
    assert_eq!(rounds, [["1", "2"], ["1", "2"]]);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_message_is_told_of_by_an_event() {
    let seen = Mutex::new(Vec::new());
    let intake = Told(
        |event: &Event, _| {
            seen.lock().unwrap().push(event.clone());
            Outcome::Durable
        },
        Mutex::default(),
    );
    let message = Message::new("m-1", b"{not json");
    assert!(record(&intake, "/sources/orders", &message, "the body is not JSON").await);
    let event = seen.lock().unwrap().remove(0);
    assert_eq!((event.ty.as_str(), event.id.as_str()), (REJECTED, "rejected/m-1"));
    let Some(Data::Json(data)) = event.data else {
        panic!("it has data")
    };
    assert_eq!(data["reason"], "the body is not JSON");
    assert_eq!(data["body"], "{not json");
}

#[tokio::test(start_paused = true)]
async fn work_is_accompanied_by_beats() {
    let beats = Mutex::new(0);
    let beat = || async { *beats.lock().unwrap() += 1 };
    holding(sleep(Duration::from_millis(3_500)), Duration::from_secs(1), beat).await;
    assert_eq!(*beats.lock().unwrap(), 3);
}
