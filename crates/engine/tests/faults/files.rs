//! Files that are not opened.

use std::{error::Error as _, fs};

use segno_engine::{StoreError, StoreProblem};
use tempfile::TempDir;

use crate::bed::{Stepped, file_with_runs, refusal};

#[tokio::test]
async fn what_is_no_engine_file_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let text = folder.path().join("text.db");
    fs::write(&text, "dear diary, ".repeat(1_000)).unwrap();
    let (error, said) = refusal(&text).await;
    assert_eq!(error.problem(), Some(StoreProblem::NotTheEngines), "{said}");
    assert!(
        said.contains("text.db") && said.contains("segno restore"),
        "{said}"
    );

    let other = folder.path().join("other.db");
    let program = rusqlite::Connection::open(&other).unwrap();
    program
        .execute_batch("CREATE TABLE song (name TEXT); INSERT INTO song VALUES ('Segno')")
        .unwrap();
    drop(program);
    let before = fs::read(&other).unwrap();
    let (error, said) = refusal(&other).await;
    assert_eq!(error.problem(), Some(StoreProblem::NotTheEngines), "{said}");
    assert_eq!(fs::read(&other).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let file = file_with_runs(folder.path()).await;
    let later = rusqlite::Connection::open(&file).unwrap();
    later
        .execute_batch("UPDATE meta SET value = '2' WHERE name = 'format'; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(later);
    let before = fs::read(&file).unwrap();
    let (error, said) = refusal(&file).await;
    assert!(
        matches!(error, StoreError::Format { ref found, .. } if found == "2"),
        "{said}"
    );
    assert!(
        said.contains("engine.db") && said.contains("the version that wrote it"),
        "{said}"
    );
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_has_lost_its_end_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = file_with_runs(folder.path()).await;
    let whole = fs::metadata(&file).unwrap().len();
    let shorter = fs::OpenOptions::new().write(true).open(&file).unwrap();
    shorter.set_len(whole / 2).unwrap();
    drop(shorter);
    let (error, said) = refusal(&file).await;
    assert_eq!(error.problem(), Some(StoreProblem::Damaged), "{said}");
    let cause = error.source().expect("a cause").to_string();
    assert!(cause.contains("its end is missing"), "{cause}");
}

#[tokio::test]
async fn a_folder_in_place_of_a_file_is_told() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("engine.db");
    fs::create_dir(&file).unwrap();
    let (error, said) = refusal(&file).await;
    assert_eq!(error.problem(), Some(StoreProblem::NoAccess), "{said}");
    fs::remove_dir(&file).unwrap();
    let lock = folder.path().join("engine.db.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let (error, said) = refusal(&file).await;
    assert!(matches!(error, StoreError::Open { .. }), "{said}");
    assert!(said.contains("engine.db.lock"), "{said}");
}

#[tokio::test]
async fn a_damaged_record_of_the_journal_is_told_and_nothing_of_it_is_lost() {
    let mut stepped = Stepped::new();
    for number in 0..3 {
        stepped.start(&format!("w{number}"), b"small").expect("a start");
    }
    let Stepped { engine, folder, .. } = stepped;
    drop(engine);
    let file = folder.path().join("engine.db");
    let damaged = rusqlite::Connection::open(&file).unwrap();
    let rows = damaged
        .execute(
            "UPDATE journal SET changes = X'0affff' WHERE number = (SELECT max(number) FROM journal)",
            [],
        )
        .unwrap();
    assert_eq!(rows, 1, "the journal holds what is not filed");
    damaged.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let journal = || -> Vec<Vec<u8>> {
        let reader = rusqlite::Connection::open(&file).unwrap();
        let mut statement = reader
            .prepare("SELECT changes FROM journal ORDER BY number")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let before = journal();
    drop(damaged);
    let (error, said) = refusal(&file).await;
    assert_eq!(error.problem(), Some(StoreProblem::Damaged), "{said}");
    assert!(
        said.contains("engine.db") && said.contains("segno restore"),
        "{said}"
    );
    let cause = error.source().expect("a cause").to_string();
    assert!(cause.contains("of the journal"), "{cause}");
    assert_eq!(journal(), before);
}
