//! What is under the file: whether it is still the one that was opened, and how much space is left.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Device and number of a file: what stays its own when names change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

/// The files a writer has open, known by their paths. Shared between the engine and the watcher; cleared when the
/// engine closes, because the last one to close a database removes its log.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenFiles(Arc<Mutex<Vec<(PathBuf, FileId)>>>);

impl FileId {
    /// Of the file under a path.
    #[cfg(unix)]
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }

    /// Elsewhere the system does not let an open file be removed or replaced; only its presence is looked at.
    #[cfg(not(unix))]
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|_| Self { device: 0, inode: 0 })
    }
}

impl OpenFiles {
    /// Remembers what lies under the paths now.
    pub(super) fn set(&self, paths: &[PathBuf]) -> io::Result<()> {
        let files = paths.iter().map(|path| Ok((path.clone(), FileId::of(path)?)));
        let files = files.collect::<io::Result<Vec<_>>>()?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = files;
        Ok(())
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What happened to the files, if they are not there any more. A look that fails for another reason (a folder
    /// that cannot be read for a moment) says nothing.
    pub(crate) fn lost(&self) -> Option<String> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().find_map(|(path, opened)| {
            let what = match FileId::of(path) {
                Ok(found) if found == *opened => return None,
                Ok(_) => "was replaced by another file",
                Err(error) if error.kind() == io::ErrorKind::NotFound => "was removed or moved away",
                Err(_) => return None,
            };
            Some(format!(
                "{} {what} while it was in use: what was written since may be lost; check the files, then restart",
                path.display()
            ))
        })
    }
}

/// Free space, in bytes, that this process may use where `path` lies.
#[cfg(unix)]
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder_of(path))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Nothing to ask here: there is always enough.
#[cfg(not(unix))]
pub(crate) fn free_bytes(_path: &Path) -> io::Result<u64> {
    Ok(u64::MAX)
}

/// Size of a file; 0 when it is not there.
pub(crate) fn file_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The folder of a file; a bare name lies in the current one.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The path of a file that SQLite keeps beside the database: `-wal`, `-shm`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
