//! A result file that appears complete or not at all, private, and never in place of something else than a file.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// What belongs to a store beside its own file: SQLite puts these behind its name.
const STORE_SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// A file under a temporary name in the folder of the real one; dropped unfinished, it vanishes.
pub(super) struct NewFile {
    pub(super) writer: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    kept: bool,
}

impl NewFile {
    /// Begins the file that will be called `path`, readable by its owner only: it holds the data of buyers.
    ///
    /// # Errors
    /// `path` is there and no regular file, or it belongs to the store at `store`; the folder cannot be written.
    pub(super) fn create(path: &Path, store: Option<&Path>) -> Result<Self> {
        refuse_unfit(path, store)?;
        let name = path.file_name().with_context(|| format!("{} is no file name", path.display()))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        // Not the process id: in a container it is the same every time, and a killed export may have left its file.
        let mut unique = [0_u8; 4];
        getrandom::fill(&mut unique).context("the system gives no random bytes")?;
        hidden.push(format!(".{}.part", hex::encode(unique)));
        let temporary = path.with_file_name(hidden);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .with_context(|| format!("cannot make {} beside the export", temporary.display()))?;
        Ok(Self { writer: BufWriter::new(file), temporary, path: path.to_owned(), kept: false })
    }

    /// Everything on disk, then the real name, then the folder that holds the name.
    ///
    /// # Errors
    /// The disk; something else than a file took the name meanwhile.
    pub(super) fn keep(mut self) -> Result<()> {
        self.writer.flush()?;
        self.writer.get_ref().sync_all()?;
        refuse_unfit(&self.path, None)?;
        std::fs::rename(&self.temporary, &self.path)?;
        self.kept = true;
        Ok(File::open(folder_of(&self.path))?.sync_all()?)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // What is left of a failed export is of no use; that it may be gone already does not matter.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// The new file takes the name away from what had it, so that must be a plain file and not the store's.
fn refuse_unfit(path: &Path, store: Option<&Path>) -> Result<()> {
    let shown = path.display();
    let there = match std::fs::symlink_metadata(path) {
        Ok(there) => Some(there),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot look at {shown}")),
    };
    if let Some(there) = &there
        && !there.is_file()
    {
        let what = match there.file_type() {
            kind if kind.is_symlink() => "a symbolic link: name the file itself",
            kind if kind.is_dir() => "a folder: name a file in it",
            _ => "a device, pipe or socket: leave --out away and redirect stdout instead",
        };
        bail!("{shown} is {what}");
    }
    let Some(store) = store else { return Ok(()) };
    if is_of_store(path, there.as_ref(), store).with_context(|| format!("cannot look at {shown}"))? {
        bail!("{shown} belongs to the store {}: name another file", store.display());
    }
    Ok(())
}

/// Whether `path` is one of the store's files, by name (it may not be there yet) or by what is there.
fn is_of_store(path: &Path, there: Option<&Metadata>, store: &Path) -> io::Result<bool> {
    // SQLite follows links and puts the other files beside the file itself.
    let real = std::fs::canonicalize(store)?;
    let place = match path.file_name() {
        Some(name) => std::fs::canonicalize(folder_of(path))?.join(name),
        None => return Ok(false),
    };
    for suffix in STORE_SUFFIXES {
        let mut own = real.clone().into_os_string();
        own.push(suffix);
        let same_file = |own: Metadata| there.is_some_and(|file| identity(file) == identity(&own));
        if place == Path::new(&own) || std::fs::metadata(&own).is_ok_and(same_file) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn refusal(path: &Path, store: Option<&Path>) -> String {
        let before = std::fs::read_dir(folder_of(path)).map(Iterator::count).unwrap_or_default();
        let error = NewFile::create(path, store).err().map(|error| format!("{error:#}"));
        let after = std::fs::read_dir(folder_of(path)).map(Iterator::count).unwrap_or_default();
        assert_eq!(before, after, "{} left something behind", path.display());
        error.unwrap_or_default()
    }

    #[test]
    fn a_file_appears_whole_and_private_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        drop(NewFile::create(&path, None).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        for text in ["first", "second, in place of the first"] {
            let mut file = NewFile::create(&path, None).unwrap();
            file.writer.write_all(text.as_bytes()).unwrap();
            assert_ne!(std::fs::read(&path).unwrap_or_default(), text.as_bytes());
            file.keep().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), text.as_bytes());
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn only_a_plain_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        std::fs::write(place("precious"), "x").unwrap();
        symlink(place("precious"), place("link")).unwrap();
        symlink(place("nowhere"), place("dangling")).unwrap();
        std::fs::create_dir(place("inner")).unwrap();
        let pipe = std::os::unix::net::UnixListener::bind(place("socket")).unwrap();
        for (path, part) in [
            (place("link"), "symbolic link"),
            (place("dangling"), "symbolic link"),
            (place("inner"), "folder"),
            (place("socket"), "redirect stdout"),
            (PathBuf::from("/dev/null"), "redirect stdout"),
            (place("none/out"), "cannot make"),
            (PathBuf::from("/"), "folder"),
        ] {
            let said = refusal(&path, None);
            assert!(said.contains(part), "{}: {said}", path.display());
        }
        drop(pipe);
    }

    #[test]
    fn what_takes_the_name_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let file = NewFile::create(&path, None).unwrap();
        symlink("elsewhere", &path).unwrap();
        assert!(file.keep().is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_store_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        std::fs::create_dir(place("data")).unwrap();
        std::fs::create_dir(place("other")).unwrap();
        let store = place("data/fiscald.db");
        std::fs::write(&store, "x").unwrap();
        std::fs::write(place("data/fiscald.db-wal"), "x").unwrap();
        std::fs::hard_link(&store, place("other/name")).unwrap();
        symlink(place("data"), place("way")).unwrap();
        symlink(&store, place("store")).unwrap();
        for (path, store) in [
            ("data/fiscald.db", "data/fiscald.db"),
            ("data/fiscald.db-wal", "data/fiscald.db"),
            // Not there now, but SQLite would take it for its own later.
            ("data/fiscald.db-shm", "data/fiscald.db"),
            ("data/fiscald.db-journal", "data/fiscald.db"),
            ("other/../data/fiscald.db", "data/fiscald.db"),
            ("way/fiscald.db", "data/fiscald.db"),
            ("other/name", "data/fiscald.db"),
            ("data/fiscald.db", "way/fiscald.db"),
            ("data/fiscald.db-shm", "store"),
        ] {
            let said = refusal(&place(path), Some(&place(store)));
            assert!(said.contains("belongs to the store"), "{path} {store}: {said}");
        }
        let beside = NewFile::create(&place("data/fiscald.db.jsonl"), Some(&store));
        beside.unwrap().keep().unwrap();
    }
}
