//! What the figures were taken on.

use std::path::Path;

use serde::Serialize;

/// The machine, as far as it matters for the figures. What cannot be found out is empty.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    /// Load averages over 1, 5 and 15 minutes before the first measurement: other work disturbs the figures.
    pub(crate) load: String,
    /// The file system that the servers' files are on.
    pub(crate) file_system: String,
}

impl Machine {
    pub(crate) fn look(folder: &Path) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo").lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == "model name").then(|| value.trim().to_owned())
        });
        let load = read("/proc/loadavg")
            .split(' ')
            .take(3)
            .collect::<Vec<_>>()
            .join(" ");
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: processor.unwrap_or_default(),
            load,
            file_system: file_system(&read("/proc/self/mounts"), folder),
        }
    }
}

/// The type of the file system that holds `folder`: that of the deepest mount point above it.
fn file_system(mounts: &str, folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        folder
            .starts_with(point)
            .then(|| (Path::new(point).components().count(), kind))
    });
    // Of mounts on the same point, the last one is seen.
    above
        .max_by_key(|&(depth, _)| depth)
        .map(|(_, kind)| kind.to_owned())
        .unwrap_or_default()
}
