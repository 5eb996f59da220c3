//! Names of holders of leases: they tell the process, so that nobody waits for the leases of one that is gone.

use std::fs;
use std::io::ErrorKind;

use ofd_store::{HolderId, StoreError};

/// Characters of the boot's number that are kept: a name has little room.
const BOOT_LEN: usize = 16;
/// Parts of a name that tells the process.
const PARTS: usize = 5;

/// A process of this or another host, and no other one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    /// Which start of the host's system.
    boot: String,
    /// Within which numbers of processes count: containers of one host have their own.
    space: String,
    pid: u32,
    /// When it began, in ticks since the start of the system: numbers of processes come again.
    began: u64,
}

/// A name that never comes again.
///
/// # Errors
/// None that can happen: the name is short enough.
pub(super) fn new_name() -> Result<HolderId, StoreError> {
    let unique = uuid::Uuid::now_v7();
    HolderId::new(match Process::this() {
        Some(Process { boot, space, pid, began }) => format!("{boot}.{space}.{pid}.{began}.{unique}"),
        // Whether it is gone cannot be told then: its leases have to run out.
        None => format!("{}-{unique}", std::process::id()),
    })
}

/// Whether a holder's process has ended for certain. One of another host, another container or an earlier start of the
/// system is left alone: its leases run out.
pub(super) fn is_gone(holder: &HolderId) -> bool {
    let (Some(theirs), Some(ours)) = (Process::of_name(holder.as_str()), Process::this()) else {
        return false;
    };
    let is_here = theirs.boot == ours.boot && theirs.space == ours.space;
    is_here && theirs != ours && !theirs.lives()
}

impl Process {
    fn this() -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let boot: String = boot.chars().filter(char::is_ascii_hexdigit).take(BOOT_LEN).collect();
        let space = fs::read_link("/proc/self/ns/pid").ok()?;
        let space: String = space.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        let (_, began) = stat(&fs::read_to_string("/proc/self/stat").ok()?)?;
        (!boot.is_empty() && !space.is_empty()).then_some(Self {
            boot,
            space,
            pid: std::process::id(),
            began,
        })
    }

    fn of_name(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.splitn(PARTS, '.').collect();
        let [boot, space, pid, began, _] = parts.as_slice() else { return None };
        Some(Self {
            boot: (*boot).to_owned(),
            space: (*space).to_owned(),
            pid: pid.parse().ok()?,
            began: began.parse().ok()?,
        })
    }

    /// True also when it cannot be told.
    fn lives(&self) -> bool {
        match fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            // Ended and not yet collected by its parent: Z, X.
            Ok(text) => {
                stat(&text).is_none_or(|(state, began)| began == self.began && !matches!(state, 'Z' | 'X'))
            }
            // Where processes of others are hidden the first one is not seen either.
            Err(error) if error.kind() == ErrorKind::NotFound => !fs::exists("/proc/1/stat").unwrap_or(false),
            Err(_) => true,
        }
    }
}

/// State and start (fields 3 and 22 of proc(5)); the name before them may hold anything.
fn stat(text: &str) -> Option<(char, u64)> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let began = fields.nth(18)?.parse().ok()?;
    Some((state, began))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(process: &Process) -> HolderId {
        let Process { boot, space, pid, began } = process;
        HolderId::new(format!("{boot}.{space}.{pid}.{began}.0")).unwrap()
    }

    #[test]
    fn the_state_and_the_start_are_read_behind_any_name() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 8675309 9 10\n";
        assert_eq!(stat(text), Some(('S', 8_675_309)));
        assert_eq!(stat("7 (a) S 1"), None);
    }

    #[test]
    fn a_name_tells_the_process_and_fits() {
        let name = new_name().unwrap();
        assert_eq!(Process::of_name(name.as_str()), Process::this());
        assert!(!is_gone(&name));
        assert_ne!(new_name().unwrap(), name);
        assert_eq!(Process::of_name("7-0198"), None);
    }

    #[test]
    fn only_what_is_certainly_gone_is_gone() {
        let ours = Process::this().unwrap();
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let text = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let theirs = Process { pid: child.id(), began: stat(&text).unwrap().1, ..ours.clone() };
        assert!(!is_gone(&holder(&theirs)), "it lives");
        let check = |process: Process, expected: bool| {
            assert_eq!(is_gone(&holder(&process)), expected, "{process:?}");
        };
        check(Process { began: theirs.began + 1, ..theirs.clone() }, true);
        check(Process { began: ours.began + 1, ..ours.clone() }, true);
        check(Process { boot: "0".to_owned(), began: 1, ..theirs.clone() }, false);
        check(Process { space: "0".to_owned(), began: 1, ..theirs.clone() }, false);
        assert!(!is_gone(&HolderId::new("somebody").unwrap()));
        child.kill().unwrap();
        child.wait().unwrap();
        check(theirs, true);
    }
}
