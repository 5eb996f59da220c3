//! Damaged files: every call answers, none breaks down, and the answer says what to do.

use std::fs;
use std::os::unix::fs::FileExt as _;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::care::IntegrityDepth;
use crate::rows::{DocumentFilter, ExportFilter, FindingFilter, QuarantineFilter};
use crate::support::{PLAIN_FN, document, quarantined, registration};
use crate::{Derived, Operator, Reader, Store, StoreConfig};

/// Overwrites one page.
pub(super) fn overwrite(path: &Path, page: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0xEE; 4096], (page - 1) * 4096).unwrap();
}

/// A closed store with something of everything.
fn sound_file() -> Vec<u8> {
    let mut bench = Bench::new();
    let mut documents = vec![registration(PLAIN_FN, "0042")];
    documents.extend((2..=60).map(|fd| NewDocument {
        container: vec![7; 700],
        task: Some(crate::TaskKind::UnknownForm),
        ..document(PLAIN_FN, fd, 3, "x")
    }));
    documents.push(document(PLAIN_FN, 7, 3, "y"));
    documents.push(document("9999078900000001", 1, 1, "debug"));
    bench.append(&documents);
    bench.keep((1..=9).map(|fd| quarantined("8710000100000002", fd, "copy")).collect());
    let (path, _folder) = (bench.path(), bench.folder);
    drop(bench.engine);
    fs::read(path).unwrap()
}

/// Does everything that can be done, and gives the errors.
fn use_it(folder: &Path) -> Vec<StoreError> {
    let mut errors = Vec::new();
    let url = format!("sqlite:{}", folder.join("store.db").display());
    let number = fn_number(PLAIN_FN);
    match Reader::open(&url) {
        Ok(reader) => {
            let rule = FindingFilter::Rule("sum".to_owned());
            let filters = [
                DocumentFilter::default(),
                DocumentFilter { fn_number: Some(number), ..DocumentFilter::default() },
                DocumentFilter { findings: Some(rule), ..DocumentFilter::default() },
                DocumentFilter { conflicts_only: true, ..DocumentFilter::default() },
            ];
            errors.extend(filters.iter().filter_map(|filter| reader.documents(filter, 100).err()));
            errors.extend(reader.export_page(0, &ExportFilter::default(), 100).err());
            errors.extend(reader.gaps(None).err());
            errors.extend(reader.registers().err());
            errors.extend(reader.quarantine(&QuarantineFilter::default(), 100).err());
            errors.extend(reader.quarantine_counts().err());
            errors.extend(reader.tasks(100).err());
            errors.extend(reader.counts().err());
            errors.extend(reader.register_history(&number, 100).err());
            errors.extend(reader.integrity_check(IntegrityDepth::Full, &mut |_| {}).err());
            let mut after = Some(0);
            while let Some(position) = after {
                match reader.verify_page(position, 100) {
                    Ok(page) => after = page.next,
                    Err(error) => {
                        errors.push(error);
                        after = None;
                    }
                }
            }
        }
        Err(error) => errors.push(error),
    }
    match Operator::open(&url) {
        Ok(mut operator) => {
            errors.extend(operator.quarantine_release(&number).err());
            errors.extend(operator.clock_confirm(crate::support::moment(0)).err());
            errors.extend(operator.reindex_page(0, 100, &mut |_| Some(Derived::default())).err());
            errors.extend(operator.rebuild_tables().err());
        }
        Err(error) => errors.push(error),
    }
    match Store::open(&StoreConfig { url, ..StoreConfig::default() }) {
        Ok(store) => {
            errors.extend(store.newest_acknowledged().err());
            errors.extend(store.history().load(&number).err());
        }
        Err(error) => errors.push(error),
    }
    errors
}

#[test]
fn a_sound_store_gives_no_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("store.db"), sound_file()).unwrap();
    assert_eq!(use_it(folder.path()), []);
}

#[test]
fn every_page_in_turn() {
    let sound = sound_file();
    let pages = sound.len() / 4096;
    for page in 1..=pages {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        fs::write(&path, &sound).unwrap();
        overwrite(&path, u64::try_from(page).unwrap());
        for error in use_it(folder.path()) {
            let words = error.to_string();
            match error {
                StoreError::Corrupt { .. } => {
                    assert!(words.contains("`fiscald verify`") && words.contains("backup"), "{words}");
                }
                StoreError::ForeignFile { .. } => assert_eq!(page, 1, "{words}"),
                other => panic!("page {page}: {other:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_bytes_anywhere(changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..200)) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = sound_file();
        for (index, byte) in changes {
            *index.get_mut(&mut bytes) = byte;
        }
        fs::write(folder.path().join("store.db"), bytes).unwrap();
        // That it comes back is all that is asked for: what the damage means is anybody's guess.
        for error in use_it(folder.path()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
