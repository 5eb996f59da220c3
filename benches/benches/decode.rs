//! From bytes to the lossless tree: container, then document.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use ffd::Document;
use fiscald_benches::{Exchange, captures, receipt_of_five_items};
use kkt_proto::container::Container;

fn documents(criterion: &mut Criterion) {
    let receipt = receipt_of_five_items();
    let mut inputs: Vec<(&str, &[u8])> =
        captures().iter().map(|capture| (capture.name, capture.document)).collect();
    inputs.push(("receipt of 5 items", &receipt));
    let mut group = criterion.benchmark_group("decode document");
    for (name, bytes) in inputs {
        group.throughput(Throughput::Bytes(u64::try_from(bytes.len()).unwrap_or_default()));
        let id = BenchmarkId::new(name, format!("{} B", bytes.len()));
        group.bench_with_input(id, bytes, |bencher, bytes| {
            bencher.iter(|| Document::decode(black_box(bytes)).is_ok());
        });
    }
    group.finish();
}

fn container(criterion: &mut Criterion) {
    let exchange = Exchange::new(&receipt_of_five_items(), false);
    let bytes = exchange.bytes();
    let mut group = criterion.benchmark_group("decode container");
    group.throughput(Throughput::Bytes(u64::try_from(bytes.len()).unwrap_or_default()));
    group.bench_function(format!("{} B", bytes.len()), |bencher| {
        bencher.iter(|| Container::decode(black_box(bytes)).is_ok());
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    documents(&mut criterion);
    container(&mut criterion);
    criterion.final_summary();
}
