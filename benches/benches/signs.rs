//! Signs per document: check ФПС, make ФПО and ФПП, put the reply together. Keys from the cache and derived each
//! time; bodies open and encrypted both ways.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use fiscald_benches::{Exchange, NOW_UNIX, captures, receipt_of_five_items};
use pkz::{AckSigner, FiscalSignVerifier, SoftPkz, test_keys};

fn documents() -> Vec<Vec<u8>> {
    let [first, ..] = captures();
    vec![first.document.to_vec(), receipt_of_five_items()]
}

/// The whole work of the device for one document.
fn serve(device: &SoftPkz, exchange: &Exchange) -> bool {
    let raw = exchange.raw_container();
    let outcome = device.open(black_box(&raw));
    let sealed = device.seal(&exchange.ack_request(&raw.container.header));
    outcome.verdict.is_valid() && sealed.is_ok()
}

fn per_document(criterion: &mut Criterion) {
    let devices = [
        ("cached", test_keys::soft_pkz(NOW_UNIX)),
        ("derived", test_keys::soft_pkz(NOW_UNIX).with_cache_entries(0)),
    ];
    let mut group = criterion.benchmark_group("signs per document");
    group.throughput(Throughput::Elements(1));
    for document in documents() {
        for (keys, device) in &devices {
            for (body, encrypted) in [("open", false), ("encrypted", true)] {
                let exchange = Exchange::new(&document, encrypted);
                assert!(serve(device, &exchange), "what is measured has to work");
                let id = BenchmarkId::new(format!("{keys}, {body}"), format!("{} B", document.len()));
                group.bench_with_input(id, &exchange, |bencher, exchange| {
                    bencher.iter(|| serve(device, exchange));
                });
            }
        }
    }
    group.finish();
}

/// The two halves apart, keys cached.
fn halves(criterion: &mut Criterion) {
    let device = test_keys::soft_pkz(NOW_UNIX);
    let exchange = Exchange::new(&receipt_of_five_items(), false);
    let raw = exchange.raw_container();
    let request = exchange.ack_request(&raw.container.header);
    let mut group = criterion.benchmark_group("signs");
    group.bench_function("open: ФПС", |bencher| bencher.iter(|| device.open(black_box(&raw)).verdict));
    group.bench_function("seal: ФПО and ФПП", |bencher| {
        bencher.iter(|| device.seal(black_box(&request)).is_ok())
    });
    group.bench_function("self-test", |bencher| bencher.iter(|| pkz::self_test().is_ok()));
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    per_document(&mut criterion);
    halves(&mut criterion);
    criterion.final_summary();
}
