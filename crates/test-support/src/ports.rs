//! Free loopback ports for servers that have to be told their port before they start.

use std::{
    fs::{File, OpenOptions, TryLockError},
    net::{Ipv4Addr, TcpListener},
};

use parking_lot::Mutex;
use rand::Rng;

/// The locks of the ports given to this process; they go with the process, however it ends.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes a port that was
/// given out and is not listened on yet.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port on 127.0.0.1 on which nothing listens, and which no other call, in this process or another,
/// is given while this process lives: a lock file for each port keeps parallel tests apart.
///
/// # Panics
///
/// When no free port is found or the lock folder in the temp folder cannot be written.
pub fn free_port() -> u16 {
    let folder = std::env::temp_dir().join("segno-test-ports");
    std::fs::create_dir_all(&folder).expect("the folder of the port locks can be created");
    for _ in 0..1_000 {
        let port = rand::rng().random_range(RANGE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(format!("{port}.lock")))
            .expect("a port's lock file can be opened");
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => panic!("a port's lock file can be locked: {error}"),
        }
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            HELD.lock().push(file);
            return port;
        }
    }
    panic!("no free port in {RANGE:?}");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ports_are_distinct_and_can_be_listened_on() {
        let ports: HashSet<u16> = (0..50).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 50);
        for port in ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a given port is free");
        }
    }
}
