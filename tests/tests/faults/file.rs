//! A file that is not what it was: damaged pages, a newer schema.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use fiscald_tests::daemon::Setup;
use fiscald_tests::random::{Random, asked_for};

use crate::stand::Stand;

const PAGE: u64 = 4096;
/// Where SQLite keeps `user_version` in the first page, big-endian.
const USER_VERSION_AT: u64 = 60;

fn store(setup: &Setup) -> PathBuf {
    setup.folder().join("fiscald.db")
}

#[test]
fn damaged_pages_never_make_a_wrong_answer_and_are_found_by_verify() {
    let mut random = Random::announced("damaged pages");
    for _ in 0..asked_for("FISCALD_TEST_FAULT_ROUNDS", 2) {
        let mut stand = Stand::new(Setup::new());
        stand.fleet.wait_for(600);
        assert_eq!(stand.stop(), Some(0));
        damage(&store(&stand.setup), &mut random);
        let verified = stand.setup.run(&["verify"]);
        assert_eq!(verified.status.code(), Some(1), "{}", String::from_utf8_lossy(&verified.stdout));
        repeat_everything(&mut stand, &mut random);
        stand.fleet.stop();
    }
}

/// Three pages of rubbish, anywhere behind the first, which holds the schema.
fn damage(path: &std::path::Path, random: &mut Random) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let pages = fs::metadata(path).unwrap().len() / PAGE;
    assert!(pages > 50, "the store has {pages} pages only");
    for _ in 0..3 {
        let page = random.within(1..pages);
        let rubbish: Vec<u8> = (0..PAGE).map(|_| random.byte()).collect();
        file.write_all_at(&rubbish, page * PAGE).unwrap();
        eprintln!("page {} of {pages} is damaged", page + 1);
    }
}

/// Each remembered document again: an answer is the remembered one, or there is none. A daemon that does not even
/// start says what is the matter.
fn repeat_everything(stand: &mut Stand, random: &mut Random) {
    let Some(daemon) = stand.setup.try_start() else {
        let refused = stand.setup.run(&["serve"]);
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{words}");
        assert!(words.contains("fiscald.db") && !words.contains("panicked"), "{words}");
        return;
    };
    let answers = stand.fleet.answers();
    let mut silent = 0;
    for ((fn_number, fd_number), before) in &answers {
        // A silent answer costs the patience of a register: some of them are enough.
        if silent > 3 && random.within(0..20) > 0 {
            continue;
        }
        match stand.fleet.again(daemon.registers, fn_number, *fd_number) {
            Some(answer) => assert_eq!(&answer, before, "{fn_number} ФД {fd_number}"),
            None => silent += 1,
        }
    }
    eprintln!("{} documents again, {silent} without an answer", answers.len());
    assert!(!daemon.log().iter().any(|line| line.contains("panicked")), "{}", daemon.log().join("\n"));
}

#[test]
fn a_stored_answer_that_has_changed_on_disk_is_not_given() {
    let mut stand = Stand::new(Setup::new());
    stand.fleet.rest();
    assert_eq!(stand.stop(), Some(0));
    let answers = stand.fleet.answers();
    let ((fn_number, fd_number), answer) = answers.iter().next().unwrap();
    let path = store(&stand.setup);
    // A byte of the operator's sign, which SQLite does not look at. Pages that were split leave old copies behind.
    let bytes = fs::read(&path).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let mut copies = 0;
    for (place, _) in bytes.windows(answer.len()).enumerate().filter(|(_, bytes)| bytes == answer) {
        let at = place + answer.len() - 20;
        file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
        copies += 1;
    }
    assert!(copies > 0, "the answer is not in the store");
    let daemon = stand.setup.start();
    assert_eq!(stand.fleet.again(daemon.registers, fn_number, *fd_number), None);
    assert!(daemon.metric("fiscald_rejects_total", &["reason=\"store_damaged\""]) >= 1.0);
    assert!(daemon.log().iter().any(|line| line.contains("fiscald verify")), "{:?}", daemon.log());
    drop(daemon);
    assert_eq!(stand.setup.run(&["verify"]).status.code(), Some(1));
    stand.fleet.stop();
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let mut stand = Stand::new(Setup::new());
    assert_eq!(stand.stop(), Some(0));
    let path = store(&stand.setup);
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut ours = [0; 4];
    file.read_exact_at(&mut ours, USER_VERSION_AT).unwrap();
    file.write_all_at(&[0, 0, 0, 99], USER_VERSION_AT).unwrap();
    let before = fs::read(&path).unwrap();
    let refused = stand.setup.run(&["serve"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("99") && words.contains("newer"), "{words}");
    assert_eq!(fs::read(&path).unwrap(), before);
    file.write_all_at(&ours, USER_VERSION_AT).unwrap();
    stand.start();
    stand.expect_recovery("schema of this version");
    stand.expect_kept("newer schema");
}
