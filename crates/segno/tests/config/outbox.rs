//! `[outbox.NAME]`.

use std::time::Duration;

use segno::config::Code;

use super::{found, parse};

#[test]
fn outboxes_are_read_and_judged() {
    let right =
        "[outbox.orders]\ndatabase = \"postgres://u:hunter2@h/d\"\nbatch = 7\nmax_pause = \"250ms\"\n";
    let config = parse(right).expect("no mistakes");
    let outbox = &config.outboxes["orders"];
    assert_eq!(outbox.batch.map(std::num::NonZeroU32::get), Some(7));
    assert_eq!(outbox.max_pause, Some(Duration::from_millis(250)));
    assert!(!format!("{outbox:?}").contains("hunter2"));

    let wrong = |lines: &str| {
        let text = format!(
            "[outbox.orders]\ndatabase = \"sqlite:a.db\"\n{lines}\n[sinks.log]\nfile = {{ path = \"x\" }}\n"
        );
        found(&text)
    };
    assert_eq!(
        wrong("to = \"lgo\""),
        [(Code::UnknownSink, 3, "\"lgo\"".to_owned())]
    );
    assert_eq!(wrong("bacth = 7"), [(Code::UnknownKey, 3, "bacth".to_owned())]);
    assert_eq!(wrong("batch = 0"), [(Code::Value, 3, "0".to_owned())]);
    assert_eq!(
        wrong("max_pause = \"0s\""),
        [(Code::Value, 3, "\"0s\"".to_owned())]
    );
    assert_eq!(
        wrong("keys = { k = \"c2hvcnQ=\" }"),
        [(Code::OutboxKey, 3, "{ k = \"c2hvcnQ=\" }".to_owned())]
    );
    assert_eq!(
        wrong("debezium = { source = \"/s\" }"),
        [(Code::OutboxTable, 3, "{ source = \"/s\" }".to_owned())]
    );
    assert_eq!(
        found("[outbox.orders]\ndatabase = \"oracle://h\"\n"),
        [(Code::OutboxDatabase, 2, "\"oracle://h\"".to_owned())]
    );
    assert_eq!(found("[outbox.orders]\nbatch = 7\n")[0].0, Code::Missing);
    assert_eq!(
        found("[outbox]\norders = [\"sqlite:a.db\"]\n"),
        [(Code::Type, 2, "[\"sqlite:a.db\"]".to_owned())]
    );
    let broken = "[outbox.orders]\ndatabase = \"oracle://u:hunter2@h\"\n";
    let mut shown = Vec::new();
    for mistake in &parse(broken).map(drop).expect_err("mistakes") {
        segno::cli::output::diagnostic(&mut shown, mistake, false).unwrap();
    }
    assert!(!String::from_utf8(shown).unwrap().contains("hunter2"));
}
