//! Headers as a table and by chance, and the whole way: balancer, header, register, journal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ppp::v2::PROTOCOL_PREFIX;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::header::{FIXED_BYTES, MAX_HEADER_BYTES};
use super::*;
use crate::config::ProxyProtocol;
use crate::testing::{Client, Daemon, FN, Setup, Till, within};

const COUNTER: &str = "fiscald_proxy_connections_total";

/// A header as a balancer writes it.
fn header(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = PROTOCOL_PREFIX.to_vec();
    bytes.extend([0x20 | command, family]);
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn tcp4(source: [u8; 4], port: u16) -> Vec<u8> {
    let mut payload = source.to_vec();
    payload.extend([10, 0, 0, 1]);
    payload.extend(port.to_be_bytes());
    payload.extend(7777_u16.to_be_bytes());
    header(1, 0x11, &payload)
}

fn tcp6(source: Ipv6Addr, port: u16) -> Vec<u8> {
    let mut payload = source.octets().to_vec();
    payload.extend(Ipv6Addr::LOCALHOST.octets());
    payload.extend(port.to_be_bytes());
    payload.extend(7777_u16.to_be_bytes());
    header(1, 0x21, &payload)
}

/// What becomes of a connection that brings these pieces and ends, and how many bytes were taken from it.
fn read_pieces<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> (Result<Introduction, Flaw>, usize) {
    let mut header = HeaderReader::new();
    for mut piece in pieces {
        while !piece.is_empty() {
            let space = header.space();
            let (now, later) = piece.split_at(piece.len().min(space.len()));
            space[..now.len()].copy_from_slice(now);
            match header.filled(now.len()) {
                Ok(None) => piece = later,
                Ok(Some(introduction)) => return (Ok(introduction), header.have()),
                Err(flaw) => return (Err(Flaw::Header(flaw)), header.have()),
            }
        }
    }
    (Err(Flaw::CutOff(header.have())), header.have())
}

fn read(bytes: &[u8]) -> Result<(Introduction, usize), Flaw> {
    let (said, taken) = read_pieces([bytes]);
    said.map(|introduction| (introduction, taken))
}

/// The pieces between the places, which are taken round the length.
fn cut<'b>(bytes: &'b [u8], places: &[usize]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn check(bytes: &[u8], expected: Result<Introduction, ProxyOutcome>) {
    let said = read(bytes).map(|(introduction, _)| introduction).map_err(|flaw| flaw.outcome());
    assert_eq!(said, expected, "{bytes:02x?}");
}

#[test]
fn a_header_says_whose_the_connection_is() {
    let register = |address: &str| Ok(Introduction::Register(address.parse().unwrap()));
    check(&tcp4([203, 0, 113, 7], 40_000), register("203.0.113.7:40000"));
    check(&tcp6("2001:db8::7".parse().unwrap(), 1), register("[2001:db8::7]:1"));
    // Bytes of the register follow, and extensions stand behind the addresses.
    check(&[tcp4([203, 0, 113, 7], 5), vec![0x2A, 0x08]].concat(), register("203.0.113.7:5"));
    let mut extended = tcp4([203, 0, 113, 7], 5);
    extended[15] += 4;
    extended.extend([4, 0, 1, 42]);
    check(&extended, register("203.0.113.7:5"));
    // Health checks: with and without addresses.
    check(&header(0, 0, &[]), Ok(Introduction::Balancer));
    check(&header(0, 0x11, &[0; 12]), Ok(Introduction::Balancer));
}

#[test]
fn whatever_else_comes_is_refused_by_its_reason() {
    check(b"", Err(ProxyOutcome::CutOff));
    check(&tcp4([1, 2, 3, 4], 5)[..15], Err(ProxyOutcome::CutOff));
    check(&tcp4([1, 2, 3, 4], 5)[..27], Err(ProxyOutcome::CutOff));
    check(b"PROXY TCP4 203.0.113.7 10.0.0.1 40000 7777\r\n", Err(ProxyOutcome::NoHeader));
    check(&[0x2A, 0x08, 0x41, 0x0A, 0x81, 0xA2], Err(ProxyOutcome::NoHeader));
    check(b"GET / HTTP/1.1\r\n", Err(ProxyOutcome::NoHeader));
    // Version, command, family, transport, and addresses that are too short.
    for (place, value) in [(12, 0x11), (12, 0x31), (12, 0x22), (13, 0x41), (13, 0x13), (15, 11)] {
        let mut bytes = tcp4([1, 2, 3, 4], 5);
        bytes[place] = value;
        check(&bytes, Err(ProxyOutcome::Damaged));
    }
    // Nobody's address: not said, a file, a datagram, all zeros.
    check(&header(1, 0, &[]), Err(ProxyOutcome::NoAddress));
    check(&header(1, 0x31, &[7; 216]), Err(ProxyOutcome::NoAddress));
    check(&header(1, 0x12, &[7; 12]), Err(ProxyOutcome::NoAddress));
    check(&tcp4([0, 0, 0, 0], 5), Err(ProxyOutcome::NoAddress));
    // The longest header that is read, and one byte more.
    let long = |bytes: usize| header(1, 0x11, &vec![1; bytes - FIXED_BYTES]);
    check(&long(MAX_HEADER_BYTES), Ok(Introduction::Register(([1, 1, 1, 1], 0x0101).into())));
    check(&long(MAX_HEADER_BYTES + 1), Err(ProxyOutcome::Damaged));
}

/// Whatever the bytes are and however they are cut: no panic, the same word or a reason, never more than the header and
/// never more than the limit.
fn never_reads_past(bytes: &[u8], places: &[usize]) {
    let (said, taken) = read_pieces([bytes]);
    assert!(taken <= bytes.len().min(MAX_HEADER_BYTES));
    let said = said.map_err(|flaw| {
        assert!(!flaw.to_string().is_empty());
        flaw.outcome()
    });
    for pieces in [cut(bytes, places), bytes.chunks(1).collect()] {
        let (in_pieces, taken_in_pieces) = read_pieces(pieces);
        assert_eq!(in_pieces.map_err(|flaw| flaw.outcome()), said, "the same bytes in other pieces");
        // What is no header may be noticed earlier; what is one ends where it ends.
        assert!(taken_in_pieces == taken || (said.is_err() && taken_in_pieces < taken));
    }
    if let Ok(introduction) = said {
        // What follows belongs to the register and changes nothing.
        assert_eq!(read(&bytes[..taken]).unwrap(), (introduction, taken));
        // And one byte less is no header.
        assert_eq!(read(&bytes[..taken - 1]).unwrap_err().outcome(), ProxyOutcome::CutOff);
    }
}

/// Where to cut.
fn places() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 0..6)
}

proptest! {
    #[test]
    fn any_bytes_end_with_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..64), prefixed: bool, places in places()) {
        never_reads_past(&bytes, &places);
        if prefixed {
            never_reads_past(&[PROTOCOL_PREFIX, &bytes].concat(), &places);
        }
    }

    #[test]
    fn what_balancers_write_is_read(source: IpAddr, port: u16, extensions in prop::collection::vec(any::<u8>(), 0..200), tail in prop::collection::vec(any::<u8>(), 0..40), places in places()) {
        let mut bytes = match source {
            IpAddr::V4(address) => tcp4(address.octets(), port),
            IpAddr::V6(address) => tcp6(address, port),
        };
        let payload = bytes.len() - FIXED_BYTES + extensions.len();
        bytes[14..16].copy_from_slice(&u16::try_from(payload).unwrap().to_be_bytes());
        bytes.extend(extensions);
        let whole = bytes.len();
        bytes.extend(tail);
        never_reads_past(&bytes, &places);
        let said = read(&bytes).map_err(|flaw| flaw.outcome());
        if source.is_unspecified() {
            prop_assert_eq!(said, Err(ProxyOutcome::NoAddress));
        } else {
            prop_assert_eq!(said, Ok((Introduction::Register((source, port).into()), whole)));
        }
    }
}

/// A daemon behind balancers of this machine.
async fn behind_balancers(change: impl FnOnce(&mut crate::IngestConfig)) -> Daemon {
    let mut setup = Setup::new();
    setup.config.proxy_protocol = ProxyProtocol::Required;
    setup.config.proxy_from = "127.0.0.1".parse().unwrap();
    change(&mut setup.config);
    setup.start().await
}

async fn introduced(daemon: &Daemon, header: &[u8]) -> Client {
    let mut client = daemon.connect().await;
    within(client.stream.write_all(header)).await.unwrap();
    client
}

/// The daemon closes without a byte; what it did not read may turn the end into a reset.
async fn expect_end(mut client: Client) {
    let mut rest = Vec::new();
    let _ = within(client.stream.read_to_end(&mut rest)).await;
    assert_eq!(rest, [0_u8; 0], "bytes where silence was expected");
}

async fn until_counted(daemon: &Daemon, outcome: &str, count: f64) {
    daemon.running.until_metric(&format!("{COUNTER}{{outcome=\"{outcome}\"}}"), count).await;
}

#[tokio::test]
async fn the_journal_names_the_register_and_not_the_balancer() {
    let daemon = behind_balancers(|_| {}).await;
    let till = Till::new(FN);
    // Header and message in one segment, then a header byte by byte with the message behind it.
    let mut client = introduced(&daemon, &[tcp4([203, 0, 113, 7], 40_001), till.receipt(1)].concat()).await;
    client.reply().await;
    let mut slow = daemon.connect().await;
    slow.stream.set_nodelay(true).unwrap();
    for byte in tcp6("2001:db8::7".parse().unwrap(), 40_002) {
        within(slow.stream.write_all(&[byte])).await.unwrap();
        within(slow.stream.flush()).await.unwrap();
    }
    slow.exchange(&till.receipt(2)).await;
    let peers: Vec<String> = daemon.documents().into_iter().map(|row| row.peer.clone().unwrap()).collect();
    assert_eq!(peers, ["203.0.113.7:40001", "[2001:db8::7]:40002"]);
    until_counted(&daemon, "register", 2.0).await;
    daemon.stop().await;
}

#[tokio::test]
async fn limits_count_registers_and_not_their_balancer() {
    let daemon = behind_balancers(|config| config.max_connections_per_ip = 1).await;
    let mut first = introduced(&daemon, &tcp4([203, 0, 113, 7], 1)).await;
    let mut second = introduced(&daemon, &tcp4([203, 0, 113, 8], 1)).await;
    until_counted(&daemon, "register", 2.0).await;
    introduced(&daemon, &tcp4([203, 0, 113, 7], 2)).await.expect_silent_close().await;
    let refused = r#"fiscald_connections_refused_total{limit="per_address"}"#;
    daemon.running.until_metric(refused, 1.0).await;
    first.expect_silence_so_far().await;
    second.expect_silence_so_far().await;
    daemon.stop().await;
}

#[tokio::test]
async fn health_checks_are_no_faults() {
    let daemon = behind_balancers(|_| {}).await;
    introduced(&daemon, &header(0, 0, &[])).await.expect_silent_close().await;
    drop(daemon.connect().await);
    until_counted(&daemon, "health_check", 2.0).await;
    assert_eq!(daemon.running.metric("fiscald_connections_accepted_total").to_string(), "0");
    daemon.stop().await;
}

#[tokio::test]
async fn who_does_not_introduce_a_register_is_closed() {
    let daemon = behind_balancers(|config| config.message_timeout_s = 1).await;
    expect_end(introduced(&daemon, &Till::new(FN).receipt(1)).await).await;
    until_counted(&daemon, "no_header", 1.0).await;
    // Even when the sender waits for an answer to a few bytes.
    expect_end(introduced(&daemon, b"PROXY").await).await;
    expect_end(introduced(&daemon, b"*").await).await;
    until_counted(&daemon, "no_header", 3.0).await;
    expect_end(daemon.connect().await).await;
    until_counted(&daemon, "late", 1.0).await;
    let mut damaged = tcp4([1, 2, 3, 4], 5);
    damaged[12] = 0x2F;
    expect_end(introduced(&daemon, &damaged).await).await;
    until_counted(&daemon, "damaged", 1.0).await;
    expect_end(introduced(&daemon, &header(1, 0, &[])).await).await;
    until_counted(&daemon, "no_address", 1.0).await;
    drop(introduced(&daemon, &tcp4([1, 2, 3, 4], 5)[..20]).await);
    until_counted(&daemon, "cut_off", 1.0).await;
    assert!(daemon.documents().is_empty());
    daemon.stop().await;
}

#[tokio::test]
async fn nobody_but_a_balancer_may_name_a_register() {
    let daemon = behind_balancers(|config| config.proxy_from = "192.0.2.0/24".parse().unwrap()).await;
    expect_end(daemon.connect().await).await;
    until_counted(&daemon, "stranger", 1.0).await;
    assert!(Networks::default().is_empty() && !Networks::default().contain(Ipv4Addr::LOCALHOST.into()));
    daemon.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_header() {
    let daemon = behind_balancers(|_| {}).await;
    let (_silent, _half) = (daemon.connect().await, introduced(&daemon, &tcp4([1, 2, 3, 4], 5)[..20]).await);
    assert!(daemon.stop().await.drained);
}
