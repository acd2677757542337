use std::{fs, path::Path};

use segno_test_support::servers::Maildev;

use super::{TestEngine, completed, deliver_across_an_outage, fails};
use crate::support::{App, only_execution, order};

on_every_engine!(orders_are_mails, orders_are_files_without_a_server);

async fn orders_are_mails(engine: TestEngine) {
    let mut server = Maildev::start().await;
    let sink = format!(
        "mail = {{ from = \"shop@example.com\", to = \"ann@example.com\", subject = \"Order {{{{ payload.id }}}}\", \
        text = \"It is {{{{ payload.total }}}} for {{{{ event.subject }}}}.\", \
        smtp = {{ host = \"127.0.0.1\", port = {} }} }}",
        server.smtp()
    );
    server.kill();
    deliver_across_an_outage(&engine, &sink, async || {
        server.start_again().await;
        server.takes_mails().await;
    })
    .await;
    let mails = server.mails().await;
    let mut texts: Vec<_> = mails
        .iter()
        .map(|mail| {
            (
                mail["subject"].as_str().unwrap(),
                mail["text"].as_str().unwrap().trim(),
            )
        })
        .collect();
    texts.sort_unstable();
    assert_eq!(
        texts,
        [
            ("Order 1", "It is 1 for customer-7."),
            ("Order 2", "It is 2 for customer-7."),
            ("Order 3", "It is 3 for customer-7."),
            ("Order 4", "It is 4 for customer-7."),
        ]
    );
}

async fn orders_are_files_without_a_server(engine: TestEngine) {
    let templates = engine.folder().join("templates");
    fs::create_dir_all(&templates).unwrap();
    fs::write(templates.join("order.subject.txt"), "Order {{ data.id }}").unwrap();
    fs::write(templates.join("order.txt"), "It is {{ data.total }}.").unwrap();
    let config = format!(
        "[sinks.target.mail]\nfrom = \"shop@example.com\"\ntemplates = \"templates\"\n{}",
        super::route(
            r#"{email: (if .id == "2" then "ann" else "ann@example.com" end), template: "order", data}"#
        )
    );
    let app = App::start(&engine, &config).await;
    completed(&app, only_execution(&app.accept(&order("1", 5)).await)).await;
    // What is no address does not become one.
    let (message, attempts) = fails(&app, &order("2", 5)).await;
    assert!(message.contains("`email` is no mail address"), "{message}");
    assert_eq!(attempts, 1);
    let mails = files(&engine.folder().join("mail"));
    assert_eq!(mails.len(), 1, "{mails:?}");
    for part in ["Subject: Order 1\r\n", "To: ann@example.com\r\n", "It is 5."] {
        assert!(mails[0].contains(part), "{part}: {}", mails[0]);
    }
    app.stop().await;
}

fn files(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect()
}
