//! Keystore files on disk: who may read them, who may replace them, and whose keys they hold.
//!
//! A key file is a regular file, reached by no symbolic link, of mode 0600 or stricter, ours, in a folder that
//! nobody else may write. Files delivered by the service manager (`$CREDENTIALS_DIRECTORY`) may belong to root and
//! show group bits, because the manager grants access through an access list whose mask appears there.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use pkz::Keystore;
use pkz::derive::Purpose;
use rustix::fs::{FileType, Mode, OFlags};
use zeroize::{Zeroize, Zeroizing};

/// Longest keystore file that is read, bytes: sixteen generations fit in far less.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// Why a key file is refused. Never holds anything of the file's content.
#[derive(Debug)]
pub(crate) enum KeyFileError {
    /// It cannot be opened or read.
    Io(PathBuf, io::Error),
    /// Its place or its mode lets others read or replace it.
    Exposed(PathBuf, String),
    /// Its content is no keystore of this purpose.
    Content(PathBuf, String),
    /// It holds keys that everybody knows.
    Published(PathBuf),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "key file {}: {error}", path.display()),
            Self::Exposed(path, why) | Self::Content(path, why) => {
                write!(f, "key file {}: {why}", path.display())
            }
            Self::Published(path) => write!(
                f,
                "key file {}: holds a published test key, which anybody can sign with; \
                 make your own with `fiscald keys generate`, or set signs.test = true for tests",
                path.display()
            ),
        }
    }
}

impl std::error::Error for KeyFileError {}

/// The text of a key file, after its place and mode are found to be safe.
///
/// # Errors
/// [`KeyFileError::Io`] and [`KeyFileError::Exposed`].
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let refuse = |why: String| KeyFileError::Exposed(path.to_owned(), why);
    let io = |error: io::Error| KeyFileError::Io(path.to_owned(), error);
    check_folder(path)?;
    // The link is refused by the open itself, and all questions go to the open file: nobody can swap it between.
    let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let file = match opened {
        Ok(file) => std::fs::File::from(file),
        Err(rustix::io::Errno::LOOP) => {
            return Err(refuse("is a symbolic link; name the file itself".to_owned()));
        }
        Err(error) => return Err(io(error.into())),
    };
    check_file(&file, path, is_delivered(path, std::env::var_os("CREDENTIALS_DIRECTORY").as_deref()))?;
    let content = |why: String| KeyFileError::Content(path.to_owned(), why);
    match read_fixed(file, MAX_FILE_BYTES).map_err(io)? {
        Some(bytes) => into_text(bytes).map_err(|why| content(why.to_owned())),
        None => Err(content(format!("is longer than {MAX_FILE_BYTES} bytes"))),
    }
}

/// Everything up to `limit` bytes; nothing when there is more. The buffer never grows: a buffer that does leaves copies
/// of the keys behind in memory given back.
fn read_fixed(mut from: impl Read, limit: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut buffer = Zeroizing::new(vec![0_u8; limit + 1]);
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok((filled <= limit).then_some(buffer))
}

/// The same memory as a text; wiped when it is none.
fn into_text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, &'static str> {
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        error.into_bytes().zeroize();
        "is no text"
    })
}

/// A keystore of one purpose from its file. Published keys are refused unless `test` permits them.
///
/// # Errors
/// Every [`KeyFileError`].
pub(crate) fn load(path: &Path, purpose: Purpose, test: TestKeys) -> Result<Keystore, KeyFileError> {
    let text = read_text(path)?;
    let store = Keystore::parse(&text, purpose)
        .map_err(|error| KeyFileError::Content(path.to_owned(), error.to_string()))?;
    if test == TestKeys::Refused && store.has_published_test_key() {
        return Err(KeyFileError::Published(path.to_owned()));
    }
    Ok(store)
}

/// Whether published test keys may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TestKeys {
    /// `signs.test = true`.
    Permitted,
    /// The rule.
    Refused,
}

/// A folder that others may write lets them put their own file in place of ours.
///
/// # Errors
/// [`KeyFileError::Exposed`] names the folder; [`KeyFileError::Io`] when it cannot be looked at.
pub(crate) fn check_folder(path: &Path) -> Result<(), KeyFileError> {
    let io = |error: io::Error| KeyFileError::Io(path.to_owned(), error);
    let absolute = std::path::absolute(path).map_err(io)?;
    let Some(direct) = absolute.parent() else {
        return Err(KeyFileError::Exposed(path.to_owned(), "is no file name".to_owned()));
    };
    for folder in direct.ancestors() {
        let stat = rustix::fs::stat(folder).map_err(|error| io(error.into()))?;
        // In a sticky folder nobody can replace what belongs to another, so it is bearable higher up.
        let sticky = stat.st_mode & STICKY != 0 && folder != direct;
        if stat.st_mode & OTHERS_WRITE != 0 && !sticky {
            let why = format!(
                "lies in {}, where anybody may write and put another file in its place; \
                 use a folder of your own (chmod 700)",
                folder.display()
            );
            return Err(KeyFileError::Exposed(path.to_owned(), why));
        }
    }
    Ok(())
}

const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o002;
const GROUP_AND_OTHERS: u32 = 0o077;
const OTHERS: u32 = 0o007;

fn check_file(file: &std::fs::File, path: &Path, delivered: bool) -> Result<(), KeyFileError> {
    let refuse = |why: String| Err(KeyFileError::Exposed(path.to_owned(), why));
    let stat =
        rustix::fs::fstat(file.as_fd()).map_err(|error| KeyFileError::Io(path.to_owned(), error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return refuse("is no regular file".to_owned());
    }
    let ours = rustix::process::geteuid().as_raw();
    if stat.st_uid != ours && !(delivered && stat.st_uid == 0) {
        return refuse(format!("belongs to user {}, this program runs as user {ours}", stat.st_uid));
    }
    let forbidden = if delivered { OTHERS } else { GROUP_AND_OTHERS };
    if stat.st_mode & forbidden != 0 {
        let mode = stat.st_mode & 0o7777;
        return refuse(format!(
            "has mode {mode:04o}, others may get at it; run `chmod 600 {}`",
            path.display()
        ));
    }
    Ok(())
}

/// Whether the service manager put this file there for us; `folder` is what it calls its folder.
fn is_delivered(path: &Path, folder: Option<&OsStr>) -> bool {
    folder.is_some_and(|folder| !folder.is_empty() && path.parent() == Some(Path::new(folder)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        folder
    }

    fn file(folder: &Path, mode: u32) -> PathBuf {
        let path = folder.join("msg.keys");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn only_a_private_file_is_read() {
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o666, false)] {
            let folder = folder();
            let read = read_text(&file(folder.path(), mode));
            assert_eq!(read.is_ok(), good, "mode {mode:o}: {read:?}");
            if let Err(error) = read {
                assert!(error.to_string().contains("chmod 600"), "{error}");
            }
        }
    }

    #[test]
    fn a_delivered_file_may_show_group_bits() {
        for (mode, delivered, good) in
            [(0o440, false, false), (0o440, true, true), (0o444, true, false), (0o600, true, true)]
        {
            let folder = folder();
            let path = file(folder.path(), mode);
            let checked = check_file(&std::fs::File::open(&path).unwrap(), &path, delivered);
            assert_eq!(checked.is_ok(), good, "mode {mode:o}, delivered {delivered}: {checked:?}");
        }
    }

    #[test]
    fn only_files_of_the_managers_folder_are_delivered() {
        for (path, folder, expected) in [
            ("/run/credentials/fiscald.service/msg.keys", Some("/run/credentials/fiscald.service"), true),
            ("/run/credentials/other.service/msg.keys", Some("/run/credentials/fiscald.service"), false),
            ("/etc/fiscald/keys/msg.keys", None, false),
            ("msg.keys", Some(""), false),
        ] {
            assert_eq!(is_delivered(Path::new(path), folder.map(OsStr::new)), expected, "{path}");
        }
    }

    #[test]
    fn a_symbolic_link_is_refused() {
        let folder = folder();
        let path = file(folder.path(), 0o600);
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        let error = read_text(&link).unwrap_err();
        assert!(matches!(&error, KeyFileError::Exposed(_, why) if why.contains("symbolic link")), "{error}");
    }

    #[test]
    fn a_folder_that_anybody_may_write_is_refused() {
        for mode in [0o777, 0o1777] {
            let folder = folder();
            let path = file(folder.path(), 0o600);
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read_text(&path).unwrap_err();
            assert!(
                matches!(&error, KeyFileError::Exposed(_, why) if why.contains("anybody may write")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_folder_or_a_missing_file_is_no_key_file() {
        let folder = folder();
        assert!(matches!(read_text(&folder.path().join("none")), Err(KeyFileError::Io(..))));
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        assert!(matches!(read_text(&inner), Err(KeyFileError::Exposed(..))));
    }

    #[test]
    fn a_file_too_long_is_refused() {
        let folder = folder();
        let path = file(folder.path(), 0o600);
        std::fs::write(&path, "x".repeat(MAX_FILE_BYTES)).unwrap();
        assert!(read_text(&path).is_ok());
        std::fs::write(&path, "x".repeat(MAX_FILE_BYTES + 1)).unwrap();
        assert!(matches!(read_text(&path), Err(KeyFileError::Content(..))));
    }

    #[test]
    fn keys_are_read_into_one_buffer_that_stays_where_it_is() {
        struct Slow<'a>(&'a [u8], Vec<*const u8>);
        impl Read for Slow<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.1.push(into.as_ptr());
                let count = self.0.len().min(into.len()).min(3);
                into.get_mut(..count).unwrap().copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let mut slow = Slow(b"0123456789", Vec::new());
        let bytes = read_fixed(&mut slow, 10).unwrap().unwrap();
        let begin = bytes.as_ptr();
        let expected: Vec<*const u8> = [0, 3, 6, 9, 10].map(|at| begin.wrapping_add(at)).to_vec();
        assert_eq!(slow.1, expected);
        let text = into_text(bytes).unwrap();
        assert_eq!((text.as_str(), text.as_ptr()), ("0123456789", begin));
        assert!(read_fixed(&b"0123456789x"[..], 10).unwrap().is_none());
        assert!(into_text(Zeroizing::new(vec![0xFF])).is_err());
    }

    #[test]
    fn published_keys_need_test_mode() {
        let folder = folder();
        let path = file(folder.path(), 0o600);
        std::fs::write(&path, pkz::test_keys::message_keystore()).unwrap();
        assert!(matches!(load(&path, Purpose::Message, TestKeys::Refused), Err(KeyFileError::Published(_))));
        assert!(load(&path, Purpose::Message, TestKeys::Permitted).is_ok());
        assert!(matches!(
            load(&path, Purpose::Operator, TestKeys::Permitted),
            Err(KeyFileError::Content(..))
        ));
    }
}
