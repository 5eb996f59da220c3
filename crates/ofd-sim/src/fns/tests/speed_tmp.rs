//! temporary
use super::super::codes::Codes;
use super::super::door::{Checked, DocKey};
use super::super::world::World;
use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::time::Instant;

fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let rest: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (rest[11].parse::<f64>().unwrap() + rest[12].parse::<f64>().unwrap()) / 100.0
}
fn rss() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    text.lines().find(|l| l.starts_with("VmRSS")).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn speed() {
    let mut bodies = Vec::new();
    let mut count = 0;
    for n in 0..100 {
        let life = opened(1000 + n, 298);
        for part in life.chunks(100) {
            let items: Vec<String> = part.iter().map(|made| made.item().text()).collect();
            let id = new_id();
            let body = batch_of(&id, &items);
            let mut e = GzEncoder::new(Vec::new(), Compression::fast());
            e.write_all(body.as_bytes()).unwrap();
            count += part.len();
            bodies.push((id, e.finish().unwrap(), body.len()));
        }
    }
    let total: usize = bodies.iter().map(|b| b.2).sum();
    for (name, tls) in [("plain", false), ("tls", true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut options = FnsSimOptions::default();
        if tls {
            options.certificates = Some(folder.path().to_owned());
        }
        let sim = FnsSim::start(options).await.unwrap();
        let mut client = if tls {
            let f = sim.certificates().unwrap();
            Client::tls(sim.address(), &f.ca, Some((&f.client, &f.client_key)))
        } else {
            Client::plain(sim.address())
        };
        let (begun, c) = (Instant::now(), cpu());
        for (id, body, _) in &bodies {
            let headers = [
                ("content-type", "application/json"),
                ("idempotency-key", id.as_str()),
                ("content-encoding", "gzip"),
            ];
            let reply = client.request("POST", "/v1/ofds/ofd1/documents", &headers, body).await.unwrap();
            assert_eq!(reply.status, 202);
        }
        let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu() - c);
        assert_eq!(sim.totals().accepted, count);
        eprintln!(
            "{name}: {count} docs, {} B/doc json, {:.0}/s wall, {:.0}/s per CPU second",
            total / count,
            count as f64 / wall,
            count as f64 / cpu
        );
    }
}

#[test]
fn memory() {
    let before = rss();
    let mut world = World::new(SimConfig::default(), 1);
    let begun = Instant::now();
    for n in 0..1_000_000_u32 {
        let fn_number = storage(u64::from(n / 1000));
        let mut sha256 = [7; 32];
        sha256[..4].copy_from_slice(&n.to_le_bytes());
        let checked = Checked {
            key: DocKey { fn_number, fd_number: ffd::FdNumber::new(n % 1000 + 1).unwrap() },
            form: FormCode::RECEIPT,
            sha256,
            message_sign: 1,
            fiscal_sign: 2,
            rnm: format!("{:016}", n / 1000),
            inn: "7702203276".to_owned(),
            date_time: CLOCK,
            codes: Codes::NONE,
            report: None,
        };
        world.receive(vec![(Ok(checked), None)], 1000);
        if n % 100 == 0 {
            world.use_key(&new_id(), sha256);
        }
    }
    eprintln!("memory: {} MiB for 1M docs and their events, {:?}", (rss() - before) / 1024, begun.elapsed());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let begun = Instant::now();
    world.save(&path).unwrap();
    eprintln!("save {:?}, {} MiB", begun.elapsed(), std::fs::metadata(&path).unwrap().len() >> 20);
    let begun = Instant::now();
    let again = World::load(&path, SimConfig::default(), 1, 2000).unwrap();
    eprintln!("load {:?} {}", begun.elapsed(), again.document_count());
}
