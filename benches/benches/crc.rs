//! CRC-16/CCITT-FALSE over an average message and over the largest body.

use criterion::{BenchmarkId, Criterion, Throughput};
use kkt_proto::crc;
use std::hint::black_box;

fn checksums(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("crc");
    for len in [460_u32, 32 * 1024] {
        let bytes: Vec<u8> = (0..len).map(|i| i.to_le_bytes()[0]).collect();
        group.throughput(Throughput::Bytes(u64::from(len)));
        group.bench_with_input(BenchmarkId::from_parameter(len), &bytes, |bencher, bytes| {
            bencher.iter(|| crc::ccitt_false(&[black_box(bytes)]));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    checksums(&mut criterion);
    criterion.final_summary();
}
