//! Disks that are full, fail, or may not be written.

use std::{fs, path::Path, process::Command, time::Duration};

use segno_engine::StoreProblem;
use tempfile::TempDir;
use tonic::{Code, Status};

use crate::bed::{Stepped, assert_told, events, open, refusal, start};

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_the_engine_goes_on_when_there_is_room() {
    let mut stepped = Stepped::new();
    for number in 0..20 {
        stepped
            .start(&format!("before {number}"), b"small")
            .expect("room");
    }
    stepped.engine.limit_growth(Some(0)).unwrap();
    let large = vec![7; 100_000];
    for number in 0..5 {
        let refused = stepped.start(&format!("refused {number}"), &large);
        let refused = refused.expect_err("no room");
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        if number == 0 {
            assert_told(
                &refused,
                Code::Unavailable,
                &["engine.db", "the disk is full", "make room"],
            );
        }
        stepped.clock.advance(Duration::from_secs(2));
        stepped.engine.step();
    }
    stepped.engine.limit_growth(None).unwrap();
    stepped.clock.advance(Duration::from_secs(2));
    stepped.start("after", &large).expect("room");
    assert_eq!(stepped.engine.audit(), Vec::<String>::new());
    let mut stepped = stepped.reopened();
    for number in 0..20 {
        assert_eq!(stepped.events(&format!("before {number}")).expect("kept"), 2);
    }
    assert_eq!(stepped.events("after").expect("kept"), 2);
    let never = stepped.events("refused 0").expect_err("it was refused");
    assert_eq!(never.code(), Code::NotFound);
}

#[test]
fn a_refused_batch_is_refused_as_a_whole() {
    let mut stepped = Stepped::new();
    stepped.start("running", b"small").expect("room");
    stepped.engine.limit_growth(Some(0)).unwrap();
    let handle = stepped.engine.handle();
    let large = vec![7; 100_000];
    let both = async {
        tokio::join!(
            start(&handle, "small", b"small"),
            start(&handle, "large", &large),
            // It finds the one before it, which is not kept.
            start(&handle, "small", b"small"),
        )
    };
    let (one, two, three) = stepped.wait_for(both);
    for refused in [one, two, three] {
        assert_told(
            &refused.expect_err("no room"),
            Code::Unavailable,
            &["the disk is full"],
        );
    }
    stepped.engine.limit_growth(None).unwrap();
    stepped.clock.advance(Duration::from_secs(2));
    assert_eq!(
        stepped.events("small").expect_err("refused").code(),
        Code::NotFound
    );
    stepped.start("small", b"small").expect("room");
    assert_eq!(stepped.engine.audit(), Vec::<String>::new());
}

#[test]
fn a_file_that_another_program_locks_is_told_and_waited_for() {
    let mut stepped = Stepped::new();
    stepped.start("before", b"small").expect("not locked");
    let other = rusqlite::Connection::open(stepped.folder.path().join("engine.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = stepped.start("locked out", b"small").expect_err("locked");
    assert_told(
        &refused,
        Code::Unavailable,
        &["engine.db", "another program has locked it"],
    );
    drop(other);
    stepped.clock.advance(Duration::from_secs(2));
    stepped.start("locked out", b"small").expect("no lock");
}

/// The variable that names the folder for the child of the next test.
const CHILD: &str = "SEGNO_TEST_LIMITED_FOLDER";

/// Not a test by itself: what the next one runs in a process of its own.
#[tokio::test]
async fn in_a_process_whose_files_may_not_grow() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let folder = Path::new(&folder);
    let engine = open(&folder.join("engine.db")).await.expect("an engine");
    let handle = engine.handle();
    let mut acknowledged = 0;
    let refused = loop {
        match start(&handle, &format!("w{acknowledged}"), &[1; 20_000]).await {
            Ok(()) => acknowledged += 1,
            Err(status) => break status,
        }
        assert!(acknowledged < 2_000, "its files may have 4 MiB");
    };
    assert_told(
        &refused,
        Code::Unavailable,
        &["engine.db", "nothing that was answered is lost"],
    );
    fs::write(folder.join("acknowledged"), acknowledged.to_string()).unwrap();
    engine.shutdown().await;
}

/// The system itself refuses to write, in the middle of whatever SQLite is at; no privilege is needed for it.
#[tokio::test]
async fn files_that_may_not_grow_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let child = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 8192; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "disk::in_a_process_whose_files_may_not_grow",
            "--nocapture",
        ])
        .env(CHILD, folder.path())
        .output()
        .expect("a child");
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stderr)
    );
    let acknowledged: usize = fs::read_to_string(folder.path().join("acknowledged"))
        .unwrap()
        .parse()
        .unwrap();
    assert!(acknowledged > 0);
    let engine = open(&folder.path().join("engine.db")).await.expect("an engine");
    let handle = engine.handle();
    for number in 0..acknowledged {
        assert_eq!(events(&handle, &format!("w{number}")).await.expect("kept"), 2);
    }
    let never = events(&handle, &format!("w{acknowledged}"))
        .await
        .expect_err("it was refused");
    assert_eq!(never.code(), Code::NotFound);
    start(&handle, "after", &[1; 20_000]).await.expect("room");
    engine.shutdown().await;
}

#[tokio::test]
async fn what_may_not_be_written_is_told() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("engine.db");
    let engine = open(&file).await.expect("an engine");
    start(&engine.handle(), "before", b"small")
        .await
        .expect("a start");
    engine.shutdown().await;
    let set = |read_only| {
        for path in [
            &file,
            &folder.path().join("engine.db.lock"),
            &folder.path().to_path_buf(),
        ] {
            let mut permissions = fs::metadata(path).unwrap().permissions();
            permissions.set_readonly(read_only);
            fs::set_permissions(path, permissions).unwrap();
        }
    };
    set(true);
    if fs::write(folder.path().join("probe"), "").is_ok() {
        eprintln!("this process may write everything; see the disk that is mounted for reading alone");
    } else {
        let (error, said) = refusal(&file).await;
        assert!(
            matches!(
                error.problem(),
                Some(StoreProblem::ReadOnly | StoreProblem::NoAccess)
            ),
            "{said}"
        );
        assert!(said.contains("engine.db"), "{said}");
    }
    let mut permissions = fs::metadata(folder.path()).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o700);
    fs::set_permissions(folder.path(), permissions).unwrap();
    set(false);
    let engine = open(&file).await.expect("it may be written again");
    assert_eq!(events(&engine.handle(), "before").await.expect("kept"), 2);
    engine.shutdown().await;
}

/// A small disk of its own, where the machine allows it: a file system in memory.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=40m", "segno-test"])
            .arg(folder.path())
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        is_mounted.then_some(Self { folder })
    }

    fn remount(&self, how: &str) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,{how}")])
            .arg(self.folder.path())
            .status();
        assert!(done.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // At the end of the test, whatever came of it.
        drop(Command::new("umount").arg("-l").arg(self.folder.path()).status());
    }
}

#[tokio::test]
async fn a_real_disk_that_is_full_or_read_only() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("this machine lets nobody mount a disk; the tests above do without one");
        return;
    };
    let file = disk.folder.path().join("engine.db");
    let ballast = disk.folder.path().join("ballast");
    fs::write(&ballast, vec![1; 34_000_000]).unwrap();
    let engine = open(&file).await.expect("an engine");
    let handle = engine.handle();
    let mut acknowledged = 0;
    let full = loop {
        match start(&handle, &format!("w{acknowledged}"), &[1; 20_000]).await {
            Ok(()) => acknowledged += 1,
            Err(status) => break status,
        }
        assert!(acknowledged < 1_000, "the disk has 40 MiB");
    };
    assert_told(
        &full,
        Code::Unavailable,
        &["engine.db", "the disk is full", "make room"],
    );
    fs::remove_file(&ballast).unwrap();
    let goes_on = async {
        while let Err(status) = start(&handle, "after", b"small").await {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), goes_on)
        .await
        .expect("the engine goes on by itself");
    engine.shutdown().await;
    let kept = async |acknowledged: usize| -> Result<(), Status> {
        let engine = open(&file).await.expect("an engine");
        for number in 0..acknowledged {
            assert_eq!(events(&engine.handle(), &format!("w{number}")).await?, 2);
        }
        engine.shutdown().await;
        Ok(())
    };
    kept(acknowledged).await.expect("kept");

    disk.remount("ro");
    let (error, said) = refusal(&file).await;
    assert!(
        matches!(
            error.problem(),
            Some(StoreProblem::ReadOnly | StoreProblem::NoAccess)
        ),
        "{said}"
    );
    assert!(said.contains("engine.db"), "{said}");
    disk.remount("rw");
    kept(acknowledged).await.expect("kept");
}
