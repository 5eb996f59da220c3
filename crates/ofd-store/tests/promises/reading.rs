//! What is stored comes back: rows, pages, gaps, counts.

use std::collections::BTreeMap;

use super::*;
use crate::records::{FindingSeverity, Forward, MAX_STORED_FINDINGS, NewDocument, StoredFinding, TaskKind};
use crate::rows::{DocumentFilter, ExportFilter, Gap};
use crate::support::{DEBUG_FN, PLAIN_FN, document, fn_number, moment};

promises!(
    what_is_stored_comes_back,
    findings_are_bounded,
    export_in_pages_and_filters,
    gaps_and_counts,
    a_page_of_export_is_bounded_by_bytes_too,
    summaries_are_the_documents_without_what_is_long,
);

fn what_is_stored_comes_back(on: On) {
    let mut bench = Bench::new(on);
    let finding = |rule: &str, severity| StoredFinding {
        path: vec![1059, 1079],
        rule: rule.to_owned(),
        severity,
        text: "нет реквизита".to_owned(),
    };
    let mut full = document(PLAIN_FN, 7, 3, "full");
    full.opened = Some(b"opened".to_vec());
    full.code = 14;
    full.forward = Forward::WhenKnown;
    full.flk_mark = true;
    full.findings =
        vec![finding("identity.sign", FindingSeverity::Hard), finding("sum", FindingSeverity::Soft)];
    full.task = Some(TaskKind::UnknownForm);
    full.derived.fiscal_sign = Some(u32::MAX);
    full.derived.total_kopecks = Some(1_234_567);
    full.derived.user_inn = Some("7704358518".to_owned());
    full.derived.local_time = Some(1_488_541_080);
    let mut plain = document(PLAIN_FN, 8, 3, "plain");
    plain.sign_mark = true;
    plain.peer = None;
    plain.derived.total_kopecks = Some(u64::MAX);
    plain.findings.push(StoredFinding { path: Vec::new(), ..finding("top", FindingSeverity::Soft) });
    assert_eq!(bench.append(&[full.clone(), plain.clone()]), [appended(1), appended(2)]);

    let rows = bench.reader().documents(&DocumentFilter::default(), 10);
    let [second, first] = <[_; 2]>::try_from(rows).unwrap();
    assert_eq!((first.seq, first.chain, first.conflict_no, first.form), (1, 0, 0, 3));
    assert_eq!((first.fn_number, first.fd_number), (full.fn_number, full.fd_number));
    assert_eq!((first.received_at, first.peer.clone()), (full.received_at, full.peer));
    assert_eq!((first.code, first.verdict.as_str()), (14, "valid"));
    assert_eq!((first.sign_scheme.as_deref(), first.sign_generation), (Some("soft-gost-1"), Some(1)));
    assert_eq!((first.forward, first.flk_mark, first.sign_mark), (Forward::WhenKnown, true, false));
    assert_eq!((first.identity, first.derived.clone()), (full.identity, full.derived));
    assert_eq!((first.container.clone(), first.opened.clone()), (full.container, full.opened));
    assert_eq!(
        (first.acknowledgement.clone(), first.findings.clone()),
        (full.acknowledgement, full.findings)
    );
    assert_eq!((second.flk_mark, second.sign_mark, second.peer.clone()), (false, true, None));
    assert_eq!(second.derived.total_kopecks, None, "past what a column can hold");
    assert_eq!(second.findings, plain.findings);
    let tasks = bench.reader().tasks(10);
    assert_eq!(
        tasks.iter().map(|task| (task.kind, task.seq)).collect::<Vec<_>>(),
        [(TaskKind::UnknownForm, Some(1))]
    );
}

fn findings_are_bounded(on: On) {
    let mut bench = Bench::new(on);
    for (fd, findings) in [(1, MAX_STORED_FINDINGS), (2, MAX_STORED_FINDINGS + 1)] {
        let finding = StoredFinding {
            path: vec![1018],
            rule: "r".to_owned(),
            severity: FindingSeverity::Soft,
            text: String::new(),
        };
        let many = NewDocument { findings: vec![finding; findings], ..document(PLAIN_FN, fd, 3, "x") };
        bench.append(&[many]);
        let rows = bench.reader().document(PLAIN_FN, fd);
        assert_eq!(rows[0].findings.len(), MAX_STORED_FINDINGS);
    }
}

fn export_in_pages_and_filters(on: On) {
    let mut bench = Bench::new(on);
    let other = "8710000100000002";
    let documents: Vec<_> =
        (1..=30).map(|fd| document(if fd % 3 == 0 { other } else { PLAIN_FN }, fd, 3, "x")).collect();
    bench.append(&documents);
    let check = |filter: &ExportFilter, limit: usize, expected: &[i64]| {
        let (mut seen, mut after) = (Vec::new(), 0);
        loop {
            let page = bench.reader().export_page(after, filter, limit);
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = last.seq;
            seen.extend(page.iter().map(|row| row.seq));
        }
        assert_eq!(seen, expected, "{filter:?} by {limit}");
    };
    let all: Vec<i64> = (1..=30).collect();
    let of_other: Vec<i64> = (1..=10).map(|n| n * 3).collect();
    for limit in [1, 7, 30, 100] {
        check(&ExportFilter::default(), limit, &all);
        check(
            &ExportFilter { fn_number: Some(fn_number(other)), ..ExportFilter::default() },
            limit,
            &of_other,
        );
        // The end is excluded.
        let period = ExportFilter { from: Some(moment(4)), to: Some(moment(8)), ..ExportFilter::default() };
        check(&period, limit, &[4, 5, 6, 7]);
        check(&ExportFilter { fn_number: Some(fn_number(other)), ..period }, limit, &[6]);
    }
    let list = |filter: DocumentFilter, limit| {
        let rows = bench.reader().documents(&filter, limit);
        rows.iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    assert_eq!(list(DocumentFilter::default(), 3), [30, 29, 28]);
    assert_eq!(list(DocumentFilter { before_seq: Some(28), ..DocumentFilter::default() }, 2), [27, 26]);
    let of_fn = DocumentFilter { fn_number: Some(fn_number(other)), ..DocumentFilter::default() };
    assert_eq!(list(of_fn.clone(), 2), [30, 27]);
    assert_eq!(list(DocumentFilter { before_seq: Some(27), ..of_fn }, 2), [24, 21]);
    assert_eq!(list(DocumentFilter { code: Some(14), ..DocumentFilter::default() }, 2), [] as [i64; 0]);
    assert_eq!(list(DocumentFilter { conflicts_only: true, ..DocumentFilter::default() }, 2), [] as [i64; 0]);
    assert_eq!(
        list(
            DocumentFilter { verdict: Some("valid".to_owned()), form: Some(3), ..DocumentFilter::default() },
            1
        ),
        [30]
    );
}

fn gaps_and_counts(on: On) {
    let mut bench = Bench::new(on);
    let mut documents: Vec<_> = [3, 4, 8, 6, 20].map(|fd| document(PLAIN_FN, fd, 3, "x")).into();
    documents.push(document(PLAIN_FN, 8, 3, "y"));
    // Two lives of a debug ФН: each has gaps of its own.
    documents.push(document(DEBUG_FN, 1, 1, "a"));
    documents.push(document(DEBUG_FN, 4, 3, "a"));
    documents.push(document(DEBUG_FN, 1, 1, "b"));
    documents.push(NewDocument { code: 14, ..document(DEBUG_FN, 3, 3, "b") });
    bench.append(&documents);
    let gap = |fn_text: &str, chain, from, to| Gap { fn_number: fn_number(fn_text), chain, from, to };
    let plain = [gap(PLAIN_FN, 0, 5, 5), gap(PLAIN_FN, 0, 7, 7), gap(PLAIN_FN, 0, 9, 19)];
    assert_eq!(bench.reader().gaps(Some(PLAIN_FN)), plain);
    let mut all = plain.to_vec();
    all.extend([gap(DEBUG_FN, 0, 2, 3), gap(DEBUG_FN, 1, 2, 2)]);
    assert_eq!(bench.reader().gaps(None), all);
    assert_eq!(bench.reader().gaps(Some("1")), []);

    let counts = bench.reader().counts();
    assert_eq!((counts.documents, counts.conflicts, counts.quarantine, counts.registers), (10, 1, 0, 0));
    assert_eq!(counts.by_code, BTreeMap::from([(0, 9), (14, 1)]));
}

fn a_page_of_export_is_bounded_by_bytes_too(on: On) {
    let mut bench = Bench::new(on);
    // The bound is 4096 bytes in tests: containers and opened documents count.
    let sized = |fd, container: usize, opened: usize| NewDocument {
        container: vec![1; container],
        opened: Some(vec![2; opened]),
        ..document(PLAIN_FN, fd, 3, "x")
    };
    bench.append(&[sized(1, 4000, 95), sized(2, 1, 0), sized(3, 9000, 0), sized(4, 1, 1), sized(5, 1, 1)]);
    for fn_number in [None, Some(fn_number(PLAIN_FN))] {
        let filter = ExportFilter { fn_number, ..ExportFilter::default() };
        let page = |after| {
            let rows = bench.reader().export_page(after, &filter, 100);
            rows.iter().map(|row| row.seq).collect::<Vec<_>>()
        };
        assert_eq!(page(0), [1, 2]);
        assert_eq!(page(2), [3], "always one");
        assert_eq!(page(3), [4, 5]);
        assert_eq!(page(5), [] as [i64; 0]);
    }
}

fn summaries_are_the_documents_without_what_is_long(on: On) {
    let mut bench = Bench::new(on);
    bench.append(&(1..=9).map(|fd| document(PLAIN_FN, fd, 3, "x")).collect::<Vec<_>>());
    for filter in [
        DocumentFilter::default(),
        DocumentFilter {
            fn_number: Some(fn_number(PLAIN_FN)),
            before_seq: Some(5),
            ..DocumentFilter::default()
        },
    ] {
        let whole = bench.reader().documents(&filter, 7);
        let short = bench.reader().summaries(&filter, 7);
        assert_eq!(short, whole.into_iter().map(|row| row.summary).collect::<Vec<_>>());
        assert!(short.len() >= 4);
    }
}
