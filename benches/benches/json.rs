//! The tax-service JSON of decoded documents, written into memory.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use ffd::Document;
use ffd::json::{FnsJson, Names};
use fiscald_benches::{captures, receipt_of_five_items};

fn documents(criterion: &mut Criterion) {
    let receipt = receipt_of_five_items();
    let mut inputs: Vec<(&str, &[u8])> =
        captures().iter().map(|capture| (capture.name, capture.document)).collect();
    inputs.push(("receipt of 5 items", &receipt));
    let mut group = criterion.benchmark_group("json");
    for (name, bytes) in inputs {
        let document = Document::decode(bytes).expect("every input is a document");
        let sign = Some([0x81, 0x06, 1, 2, 3, 4, 5, 6]);
        group.throughput(Throughput::Bytes(u64::try_from(bytes.len()).unwrap_or_default()));
        let id = BenchmarkId::new(name, format!("{} B", bytes.len()));
        group.bench_with_input(id, &document, |bencher, document| {
            bencher
                .iter(|| serde_json::to_vec(&FnsJson::new(black_box(document), sign, Names::Modern)).is_ok());
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    documents(&mut criterion);
    criterion.final_summary();
}
