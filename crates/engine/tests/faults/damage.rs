//! Damaged pages cost what is on them, and nothing else.

use std::{fs, path::Path, time::Duration};

use rusqlite::Connection;
use segno_engine::{Engine, Options, StoreProblem, backup};
use tonic::Code;

use crate::bed::{Stepped, assert_told, count, events, list_page, open, start};

/// Damages the page of this table that these words are on; answers how many pages it has.
fn damage(file: &Path, table: &str, words: &str) -> usize {
    let connection = Connection::open(file).unwrap();
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let mut statement = connection
        .prepare("SELECT pageno, pgoffset, pgsize FROM dbstat WHERE name = ?1 AND pagetype <> 'internal'")
        .unwrap();
    let pages = statement.query_map([table], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)));
    let place = |(offset, size)| (usize::try_from(offset).unwrap(), usize::try_from(size).unwrap());
    let pages: Vec<_> = pages.unwrap().map(|page| place(page.unwrap())).collect();
    drop(statement);
    drop(connection);
    let mut bytes = fs::read(file).unwrap();
    let has_words = |page: &[u8]| page.windows(words.len()).any(|window| window == words.as_bytes());
    let page = pages
        .iter()
        .find(|(offset, size)| has_words(&bytes[*offset..offset + size]));
    let (offset, _) = *page.expect("a page with these words");
    bytes[offset..offset + 8].fill(0xee);
    fs::write(file, bytes).unwrap();
    pages.len()
}

#[tokio::test]
async fn a_damaged_page_costs_what_is_on_it_and_nothing_else() {
    let Stepped { engine, folder, .. } = filed(60);
    drop(engine);
    let file = folder.path().join("engine.db");
    damage(&file, "history", "run-30-of-many");
    let engine = open(&file).await.expect("the rest is whole");
    let handle = engine.handle();
    let told = events(&handle, "run-30-of-many")
        .await
        .expect_err("it is damaged");
    assert_told(
        &told,
        Code::DataLoss,
        &["engine.db", "it is damaged", "segno restore"],
    );
    let mut kept = 0;
    for number in 0..60 {
        match events(&handle, &format!("run-{number}-of-many")).await {
            Ok(events) => {
                assert_eq!(events, 2);
                kept += 1;
            }
            Err(status) => assert_eq!(status.code(), Code::DataLoss, "{status:?}"),
        }
    }
    // One page of the file holds a handful of such histories.
    assert!((45..60).contains(&kept), "{kept} of 60 kept");
    start(&handle, "new", b"small").await.expect("the engine goes on");
    assert_eq!(events(&handle, "new").await.expect("a history"), 2);

    let copy = folder.path().join("copy.db");
    let refused = backup(&file, &copy).expect_err("no copy of a damaged file");
    assert_eq!(refused.problem(), Some(StoreProblem::Damaged), "{refused}");
    assert!(!copy.exists());
    engine.shutdown().await;
}

/// An engine with so many runs, all of them filed.
fn filed(runs: usize) -> Stepped {
    let mut stepped = Stepped::new();
    for number in 0..runs {
        stepped
            .start(&format!("run-{number}-of-many"), &[1; 200])
            .expect("a start");
    }
    stepped.file();
    stepped
}

#[test]
fn a_run_that_cannot_be_filed_keeps_nobody_waiting() {
    let mut stepped = filed(80).meanwhile(|file| {
        let pages = damage(file, "execution", "run-40-of-many");
        assert!(pages >= 3, "{pages} pages");
    });
    // All of it is acknowledged, and on disk in the journal. Some runs are filed along with it.
    let mut refused = 0;
    for number in 0..80 {
        let id = format!("run-{number}-of-many");
        if let Err(status) = stepped.terminate(&id) {
            assert_told(&status, Code::Unavailable, &["engine.db", "it is damaged"]);
            refused += 1;
            stepped.terminate(&id).expect("a termination");
        }
    }
    for round in 0..20 {
        match stepped.start(&format!("new {round}"), b"small") {
            Ok(()) => {}
            Err(status) => {
                assert_told(&status, Code::Unavailable, &["engine.db", "it is damaged"]);
                refused += 1;
            }
        }
        stepped.file();
        stepped.clock.advance(Duration::from_secs(2));
    }
    assert!(refused <= 1, "{refused} batches of others have failed");
    for round in 0..2 {
        for number in 0..80 {
            let id = format!("run-{number}-of-many");
            assert_eq!(stepped.events(&id).expect("it is whole"), 3, "{id}, {round}");
        }
        assert_eq!(stepped.events("new 19").expect("it is filed"), 2);
        stepped = stepped.reopened();
        // Each life of the engine finds out by itself, with one batch.
        stepped.file();
    }
    // It goes on as well, time and again.
    let file = stepped.folder.path().join("engine.db");
    for number in 0..30 {
        stepped
            .start(&format!("more {number}"), b"small")
            .expect("the engine goes on");
        stepped.file();
    }
    let waiting = journal_rows(&file);
    assert!(waiting <= 1, "the journal has {waiting} rows");
}

fn journal_rows(file: &Path) -> i64 {
    let file = Connection::open(file).unwrap();
    file.query_row("SELECT count(*) FROM journal", [], |row| row.get(0))
        .unwrap()
}

/// Every run is counted, most of them on one page. An engine that opens such a file does without the counts.
#[tokio::test]
async fn damaged_counts_keep_no_run_from_being_filed() {
    let mut stepped = filed(20).meanwhile(|file| {
        damage(file, "execution_count", "Test");
    });
    for number in 0..10 {
        stepped
            .start(&format!("new {number}"), b"small")
            .expect("the engine goes on");
        stepped
            .terminate(&format!("run-{number}-of-many"))
            .expect("the engine goes on");
    }
    stepped.file();
    let Stepped {
        engine,
        clock,
        folder,
    } = stepped;
    drop(engine);
    let file = folder.path().join("engine.db");
    assert_eq!(journal_rows(&file), 0, "all of it is filed");
    let engine = Engine::open(Options::new(&file).with_clock(clock)).await;
    let engine = engine.expect("the rest is whole");
    for (query, expected) in [
        ("", 30),
        ("ExecutionStatus = 'Running'", 20),
        ("ExecutionStatus = 'Terminated'", 10),
    ] {
        let counted = count(&engine.handle(), query).await.expect("a count");
        assert_eq!(counted, expected, "{query}");
    }
    engine.shutdown().await;
}

/// An engine indexes what one of an earlier version has left. If it cannot, lists go through all executions as before.
#[tokio::test]
async fn an_index_that_cannot_be_made_keeps_nothing() {
    let Stepped {
        engine,
        clock,
        folder,
    } = filed(60);
    drop(engine);
    let file = folder.path().join("engine.db");
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch("DROP INDEX execution_by_duration; DROP INDEX execution_closed_early")
        .unwrap();
    drop(connection);
    damage(&file, "execution", "run-5-of-many");
    let engine = Engine::open(Options::new(&file).with_clock(clock.clone())).await;
    let engine = engine.expect("the rest is whole");
    let indexes = "SELECT count(*) FROM sqlite_schema WHERE name IN ('execution_by_duration', 'execution_closed_early')";
    let connection = Connection::open(&file).unwrap();
    let indexes: i64 = connection.query_row(indexes, [], |row| row.get(0)).unwrap();
    assert_eq!(indexes, 0, "to make them is to read what is damaged");
    let handle = engine.handle();
    for id in ["new", "newer"] {
        clock.advance(Duration::from_secs(1));
        start(&handle, id, b"small").await.expect("the engine goes on");
    }
    let newest = "ExecutionTime > '1970-01-01T00:00:00Z' AND TaskQueue = 'queue'";
    let mut page = list_page(&handle, newest, 1).await.expect("a page");
    assert_eq!(page.pop().as_deref(), Some("newer"));
    engine.shutdown().await;
}

#[test]
fn a_run_that_cannot_be_deleted_keeps_no_other() {
    let mut stepped = filed(80);
    for number in 0..80 {
        stepped
            .terminate(&format!("run-{number}-of-many"))
            .expect("a termination");
    }
    stepped.file();
    let mut stepped = stepped.meanwhile(|file| {
        damage(file, "history", "run-40-of-many");
    });
    stepped.start("new", b"small").expect("the engine goes on");
    stepped.clock.advance(Duration::from_secs(31 * 86_400));
    for _ in 0..50 {
        stepped.engine.step();
        stepped.clock.advance(Duration::from_secs(61));
    }
    stepped.start("newer", b"small").expect("the engine goes on");
    let (mut gone, mut damaged, mut left) = (0, 0, 0);
    for number in 0..80 {
        match stepped.events(&format!("run-{number}-of-many")) {
            // Its row is beside what is damaged, and cannot be taken out.
            Ok(events) => {
                assert_eq!(events, 3);
                left += 1;
            }
            Err(status) if status.code() == Code::NotFound => gone += 1,
            Err(status) => {
                assert_eq!(status.code(), Code::DataLoss, "{status:?}");
                damaged += 1;
            }
        }
    }
    assert!(
        damaged >= 1 && left < 15 && gone > 50,
        "{gone} gone, {damaged} damaged, {left} left"
    );
    assert_eq!(stepped.events("new").expect("kept"), 2);
    let mut stepped = stepped.reopened();
    // Each life of the engine finds out by itself, with one batch.
    stepped.file();
    assert_eq!(stepped.events("newer").expect("kept"), 2);
}
