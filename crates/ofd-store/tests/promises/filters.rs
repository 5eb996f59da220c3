//! Filters: what they find is what a look at every document finds, whatever way leads to it.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::NewDocument;
use crate::records::{FindingSeverity, Forward, StoredFinding};
use crate::rows::{DocumentFilter, DocumentSummary, FindingFilter};
use crate::support::{document, fd_number, fn_number, moment};

promises!(a_filter_finds_what_a_look_at_every_document_finds, a_search_from_a_moment_on_ends_a_day_before_it,);

const FNS: [&str; 2] = ["8710000100000001", "8710000100000002"];
const RULES: [&str; 2] = ["sum.items", "item.vat"];
const VERDICTS: [&str; 2] = ["valid", "foreign_scheme"];
const CODES: [u8; 3] = [0, 11, 14];
const FORMS: [u16; 3] = [1, 3, 5];
const FORWARDS: [Forward; 3] = [Forward::No, Forward::Yes, Forward::WhenKnown];

fn finding(rule: &str, severity: FindingSeverity) -> StoredFinding {
    StoredFinding { path: vec![1059], rule: rule.to_owned(), severity, text: String::new() }
}

fn any_severity() -> impl Strategy<Value = FindingSeverity> {
    any::<bool>().prop_map(|hard| if hard { FindingSeverity::Hard } else { FindingSeverity::Soft })
}

fn any_document() -> impl Strategy<Value = NewDocument> {
    let found = vec((0..RULES.len(), any_severity()), 0..3);
    (
        0..FNS.len(),
        1..6_u32,
        0..FORMS.len(),
        0..CODES.len(),
        0..VERDICTS.len(),
        0..FORWARDS.len(),
        0..40_i64,
        found,
    )
        .prop_map(|(number, fd, form, code, verdict, forward, second, findings)| {
            let content = format!("{form} {code} {verdict} {forward} {second} {findings:?}");
            let mut document = document(FNS[number], fd, FORMS[form], &content);
            document.code = CODES[code];
            document.sign.verdict = VERDICTS[verdict];
            document.forward = FORWARDS[forward];
            document.received_at = moment(second);
            document.findings =
                findings.into_iter().map(|(rule, severity)| finding(RULES[rule], severity)).collect();
            document
        })
}

fn any_filter() -> impl Strategy<Value = DocumentFilter> {
    let findings = prop_oneof![
        Just(None),
        Just(Some(FindingFilter::Any)),
        (0..RULES.len()).prop_map(|rule| Some(FindingFilter::Rule(RULES[rule].to_owned()))),
        any_severity().prop_map(|severity| Some(FindingFilter::Severity(severity))),
    ];
    let numbers = (option::of(0..FNS.len()), option::of(1..6_u32));
    let words = (option::of(0..FORMS.len()), option::of(0..CODES.len()), option::of(0..VERDICTS.len()));
    let rest = (option::of(0..FORWARDS.len()), any::<bool>(), option::of(0..40_i64), option::of(0..40_i64));
    (numbers, words, rest, findings, option::of(1..40_i64)).prop_map(
        |((number, fd), (form, code, verdict), (forward, conflicts_only, from, to), findings, before_seq)| {
            DocumentFilter {
                fn_number: number.map(|index| fn_number(FNS[index])),
                fd_number: fd.map(fd_number),
                form: form.map(|index| FORMS[index]),
                code: code.map(|index| CODES[index]),
                verdict: verdict.map(|index| VERDICTS[index].to_owned()),
                forward: forward.map(|index| FORWARDS[index]),
                conflicts_only,
                from: from.map(moment),
                to: to.map(moment),
                findings,
                before_seq,
            }
        },
    )
}

fn passes(document: &DocumentSummary, filter: &DocumentFilter) -> bool {
    fn is<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
        wanted.is_none_or(|wanted| wanted == found)
    }
    let findings = match &filter.findings {
        None => true,
        Some(FindingFilter::Any) => !document.findings.is_empty(),
        Some(FindingFilter::Rule(rule)) => document.findings.iter().any(|found| found.rule == *rule),
        Some(FindingFilter::Severity(weight)) => {
            document.findings.iter().any(|found| found.severity == *weight)
        }
    };
    findings
        && is(filter.fn_number.as_ref(), &document.fn_number)
        && is(filter.fd_number.as_ref(), &document.fd_number)
        && is(filter.form.as_ref(), &document.form)
        && is(filter.code.as_ref(), &document.code)
        && is(filter.verdict.as_ref(), &document.verdict)
        && is(filter.forward.as_ref(), &document.forward)
        && (!filter.conflicts_only || document.conflict_no > 0)
        && filter.from.is_none_or(|from| document.received_at >= from)
        && filter.to.is_none_or(|to| document.received_at < to)
        && filter.before_seq.is_none_or(|before| document.seq < before)
}

/// All pages, one after another.
fn by_pages(reader: &View, filter: &DocumentFilter, limit: usize) -> Vec<DocumentSummary> {
    let (mut found, mut filter) = (Vec::new(), filter.clone());
    loop {
        let page = reader.summaries_page(&filter, limit);
        assert!(page.rows.len() <= limit);
        found.extend(page.rows);
        let Some(next) = page.next_before_seq else { return found };
        assert!(filter.before_seq.is_none_or(|before| next < before), "a page gets on");
        filter.before_seq = Some(next);
    }
}

fn a_filter_finds_what_a_look_at_every_document_finds(on: On) {
    let (documents, filters) = (vec(any_document(), 0..30), vec(any_filter(), 20));
    proptest!(on.cases(40), |(documents in documents, filters in filters, limit in 1..9_usize)| {
        let mut bench = Bench::new(on);
        bench.append(&documents);
        let reader = bench.reader();
        let all = reader.summaries(&DocumentFilter::default(), usize::MAX);
        for filter in filters {
            let expected: Vec<_> = all.iter().filter(|document| passes(document, &filter)).cloned().collect();
            prop_assert_eq!(&by_pages(&reader, &filter, limit), &expected, "{:?}", filter);
            let some = reader.summaries(&filter, limit);
            prop_assert_eq!(&some, &expected[..expected.len().min(limit)], "{:?}", filter);
        }
    });
}

const DAY: i64 = 24 * 3600 * 1_000_000;

fn a_search_from_a_moment_on_ends_a_day_before_it(on: On) {
    // 30..27, 26..23, 22..19, 18..15, 14..11, then 10..7, which came long before and ends it. With a clock that was set
    // back after the fifth, what came before may be stamped with later moments: the walk goes on there, and ends below it
    // by the same rule.
    for (set_back, expected_pages) in [(false, 6), (true, 7)] {
        let mut bench = Bench::new(on);
        // A piece is four positions in tests. Days: ten long ago, ten just before, ten wanted.
        let day = |fd: u32| match fd {
            1..=10 => -30,
            11..=20 => -1,
            _ => 1,
        };
        let documents: Vec<_> = (1..=30)
            .map(|fd| NewDocument {
                received_at: moment(day(fd) * DAY + i64::from(fd)),
                ..document(FNS[0], fd, 3, "x")
            })
            .collect();
        bench.append(&documents[..5]);
        if set_back {
            bench.operator().clock_confirm(moment(-40 * DAY)).unwrap();
        }
        bench.append(&documents[5..]);
        let mut filter = DocumentFilter { from: Some(moment(0)), ..DocumentFilter::default() };
        let (mut found, mut pages) = (0, 0);
        loop {
            let page = bench.reader().summaries_page(&filter, 100);
            (found, pages) = (found + page.rows.len(), pages + 1);
            filter.before_seq = page.next_before_seq;
            if filter.before_seq.is_none() {
                break;
            }
        }
        assert_eq!((found, pages), (10, expected_pages));
    }
}
