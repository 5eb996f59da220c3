//! Format-logic control of a good receipt of ФФД 1.2, as reception does it for every document: identity, structure,
//! logic, with what is remembered of the ФН. A good document costs no allocation.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use ffd::Document;
use ffd::check::{Severities, check};
use fiscald_benches::good::{around, receipt, register};

fn receipts(criterion: &mut Criterion) {
    let register = register();
    let severities = Severities::default();
    let around = around(&register);
    let mut group = criterion.benchmark_group("check receipt");
    for items in [5, 60] {
        let bytes = receipt(items);
        let document = Document::decode(&bytes).expect("made whole a moment ago");
        assert_eq!(check(&document, &around, &severities), [], "the receipt must be good");
        group.bench_with_input(BenchmarkId::new("items", items), &document, |bencher, document| {
            bencher.iter(|| check(black_box(document), black_box(&around), &severities).len());
        });
    }
    group.bench_function("apply to the register, 60 items", |bencher| {
        let bytes = receipt(60);
        let document = Document::decode(&bytes).expect("made whole a moment ago");
        bencher.iter(|| {
            let mut register = register.clone();
            register.apply(black_box(&document));
            register.last_fd()
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    receipts(&mut criterion);
    criterion.final_summary();
}
