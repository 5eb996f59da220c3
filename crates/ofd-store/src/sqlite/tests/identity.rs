//! Repeat, conflict, chain: a table, and any sequence against a plain list.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::records::{AppendOutcome, Forward, NewDocument, TaskKind};
use crate::registration::TaskFilter;
use crate::rows::ExportFilter;
use crate::support::{DEBUG_FN, PLAIN_FN, document};
use crate::tables::tasks;

/// Each step: (ФН, ФД, form, content) and what it must be: `new`, `conflict`, or the seq it repeats.
#[test]
fn identity_table() {
    #[derive(Debug)]
    enum Is {
        New(u32),
        Conflict(u32, u32),
        RepeatOf(i64),
    }
    use Is::{Conflict, New, RepeatOf};
    let check = |name: &str, steps: &[(&str, u32, u16, &str, Is)]| {
        let mut bench = Bench::new();
        let mut stored: BTreeMap<i64, NewDocument> = BTreeMap::new();
        let mut seq = 0;
        for (step, (fn_text, fd, form, content, is)) in steps.iter().enumerate() {
            let sent = document(fn_text, *fd, *form, content);
            let outcome = bench.append(std::slice::from_ref(&sent)).remove(0);
            let expected = match is {
                New(_) => appended(seq + 1),
                Conflict(..) => conflict(seq + 1),
                RepeatOf(of) => repeat(*of, &stored[of]),
            };
            assert_eq!(outcome, expected, "{name}, step {step}");
            if let New(_) | Conflict(..) = is {
                seq += 1;
                stored.insert(seq, sent);
                let place = bench.chains(fn_text, *fd).pop().unwrap();
                let expected = match is {
                    New(chain) => (*chain, 0),
                    Conflict(chain, number) => (*chain, *number),
                    RepeatOf(_) => unreachable!(),
                };
                assert_eq!(place, expected, "{name}, step {step}: chain and conflict");
            }
        }
    };
    check(
        "plain ФН",
        &[
            (PLAIN_FN, 1, 1, "a", New(0)),
            (PLAIN_FN, 1, 1, "a", RepeatOf(1)),
            (PLAIN_FN, 1, 1, "b", Conflict(0, 1)),
            (PLAIN_FN, 1, 1, "b", RepeatOf(2)),
            (PLAIN_FN, 1, 11, "c", Conflict(0, 2)),
            (PLAIN_FN, 1, 1, "a", RepeatOf(1)),
            (PLAIN_FN, 5, 3, "a", New(0)),
            ("8710000100000002", 1, 1, "a", New(0)),
        ],
    );
    check(
        "debug ФН begins anew",
        &[
            (DEBUG_FN, 1, 1, "a", New(0)),
            (DEBUG_FN, 2, 2, "a", New(0)),
            (DEBUG_FN, 2, 2, "b", Conflict(0, 1)),
            (DEBUG_FN, 1, 1, "b", New(1)),
            (DEBUG_FN, 2, 2, "c", New(1)),
            (DEBUG_FN, 2, 2, "a", RepeatOf(2)),
            (DEBUG_FN, 2, 2, "b", RepeatOf(3)),
            (DEBUG_FN, 1, 1, "a", RepeatOf(1)),
            (DEBUG_FN, 2, 2, "d", Conflict(1, 1)),
            (DEBUG_FN, 2, 2, "e", Conflict(1, 2)),
            (DEBUG_FN, 1, 11, "c", New(2)),
            (DEBUG_FN, 2, 2, "f", New(2)),
            (DEBUG_FN, 7, 3, "a", New(2)),
        ],
    );
    check(
        "only forms 1 and 11 with ФД 1 open a chain",
        &[
            (DEBUG_FN, 1, 1, "a", New(0)),
            (DEBUG_FN, 1, 3, "b", Conflict(0, 1)),
            (DEBUG_FN, 2, 11, "a", New(0)),
            (DEBUG_FN, 2, 11, "b", Conflict(0, 1)),
            (DEBUG_FN, 1, 2, "c", Conflict(0, 2)),
        ],
    );
    check(
        "debug ФН first seen in the middle",
        &[
            (DEBUG_FN, 5, 3, "a", New(0)),
            (DEBUG_FN, 1, 1, "a", New(1)),
            (DEBUG_FN, 5, 3, "b", New(1)),
            (DEBUG_FN, 5, 3, "a", RepeatOf(1)),
        ],
    );
}

#[test]
fn equal_documents_of_one_batch_and_two_contents_of_one_number() {
    let mut bench = Bench::new();
    let (a, b) = (document(PLAIN_FN, 1, 1, "a"), document(PLAIN_FN, 1, 1, "b"));
    let batch = [a.clone(), a.clone(), b.clone(), b.clone(), a.clone()];
    let expected = [appended(1), repeat(1, &a), conflict(2), repeat(2, &b), repeat(1, &a)];
    assert_eq!(bench.append(&batch), expected);
    let rows = documents::find(bench.db(), &a.fn_number, a.fd_number).unwrap();
    assert_eq!(rows.iter().map(|row| row.forward).collect::<Vec<_>>(), [Forward::Yes, Forward::No]);
    let tasks = tasks::list(bench.db(), &TaskFilter::default(), 10).unwrap();
    assert_eq!(
        tasks.iter().map(|task| (task.kind, task.seq)).collect::<Vec<_>>(),
        [(TaskKind::Conflict, Some(2))]
    );
}

/// The rules of identity over a plain list.
#[derive(Clone, Default)]
pub(super) struct Model {
    rows: Vec<(NewDocument, u32)>,
    newest: BTreeMap<String, u32>,
}

impl Model {
    pub(super) fn append(&mut self, sent: &NewDocument) -> AppendOutcome {
        let key = sent.fn_number.to_string();
        let same_number = |row: &&(NewDocument, u32)| {
            row.0.fn_number == sent.fn_number && row.0.fd_number == sent.fd_number
        };
        let known = self.rows.iter().position(|row| same_number(&row) && row.0.identity == sent.identity);
        if let Some(index) = known {
            return repeat(i64::try_from(index).unwrap() + 1, &self.rows[index].0);
        }
        let begins = key.starts_with("9999") && sent.fd_number.get() == 1 && [1, 11].contains(&sent.form);
        let chain = match self.newest.get(&key) {
            Some(chain) if begins => chain + 1,
            Some(chain) => *chain,
            None => 0,
        };
        let disputed = self.rows.iter().any(|row| same_number(&row) && row.1 == chain);
        self.newest.insert(key, chain);
        self.rows.push((sent.clone(), chain));
        let seq = i64::try_from(self.rows.len()).unwrap();
        if disputed { conflict(seq) } else { appended(seq) }
    }
}

pub(super) fn any_document() -> impl Strategy<Value = NewDocument> {
    let fns = prop_oneof![Just(PLAIN_FN), Just(DEBUG_FN)];
    let forms = prop_oneof![Just(1_u16), Just(3), Just(11)];
    let contents = prop_oneof![Just("a"), Just("b"), Just("c")];
    (fns, 1_u32..4, forms, contents)
        .prop_map(|(fn_text, fd, form, content)| document(fn_text, fd, form, content))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any sequence, cut into any batches, gives what the list gives; and every row can be read back.
    #[test]
    fn any_sequence_in_any_batches(
        documents in prop::collection::vec(any_document(), 1..60),
        cuts in prop::collection::vec(1_usize..9, 1..20),
    ) {
        let mut model = Model::default();
        let expected: Vec<_> = documents.iter().map(|document| model.append(document)).collect();
        let mut bench = Bench::new();
        let mut outcomes = Vec::new();
        let mut rest = documents.as_slice();
        for size in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (batch, later) = rest.split_at((*size).min(rest.len()));
            outcomes.extend(bench.append(batch));
            rest = later;
        }
        prop_assert_eq!(outcomes, expected);
        let rows = export::page(bench.db(), 0, i64::MAX, &ExportFilter::default(), 1000).unwrap();
        prop_assert_eq!(rows.len(), model.rows.len());
        for (row, (sent, chain)) in rows.iter().zip(&model.rows) {
            prop_assert_eq!((&row.container, row.chain), (&sent.container, *chain));
        }
    }
}

#[test]
fn past_the_most_conflicts_a_document_is_refused_and_known_ones_are_answered() {
    let mut bench = Bench::new();
    let other = |n: u32| document(PLAIN_FN, 1, 3, &format!("content {n}"));
    // The first content and as many conflicts as are kept.
    bench.append(&(0..=MAX_CONFLICTS).map(other).collect::<Vec<_>>());
    let items = [other(MAX_CONFLICTS + 1), other(MAX_CONFLICTS), other(0), document(PLAIN_FN, 2, 3, "x")];
    let outcomes = bench.write(items.map(|document| WriteItem::Document(Box::new(document))).into());
    let [refused, known, first, next] = <[_; 4]>::try_from(outcomes).unwrap();
    assert!(matches!(refused, WriteOutcome::Refused { reason } if reason.contains("100 other contents")));
    assert_eq!(known, WriteOutcome::Append(repeat(101, &other(MAX_CONFLICTS))));
    assert_eq!(first, WriteOutcome::Append(repeat(1, &other(0))));
    assert_eq!(next, WriteOutcome::Append(appended(102)), "its neighbours are written");
    let counts = export::counts(bench.db()).unwrap();
    assert_eq!((counts.documents, counts.conflicts), (102, 100));
    assert_eq!(tasks::list(bench.db(), &TaskFilter::default(), 1000).unwrap().len(), 100);
}
