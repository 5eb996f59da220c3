//! Capture files: pcap and pcapng in, TCP segments out.
//!
//! Blocks are read by `pcap-parser`, headers taken apart by `etherparse`; what is decided here is which link
//! layers are understood, how time is counted, and what is left out and counted. Nothing of a file is trusted:
//! the read buffer grows to [`BUFFER_MOST_BYTES`] and no further, and no input makes this module panic.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use pcap_parser::pcapng::Block;
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Linktype, PcapBlockOwned, PcapError, create_reader};

use super::{CaptureCounts, CaptureError};

/// Room for blocks at the start: frames of 64 KiB, which loopback has, and their heads.
const BUFFER_FIRST_BYTES: usize = 256 * 1024;
/// A block larger than this ends the reading: no frame is that large.
const BUFFER_MOST_BYTES: usize = 16 * 1024 * 1024;
/// Interfaces of one pcapng section; more is damage.
const INTERFACES_MOST: usize = 4096;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// Head of the BSD loopback link layer: the address family.
const NULL_HEAD: usize = 4;
/// Head of "Linux cooked", version 1; the protocol stands in its last two bytes, big-endian.
const COOKED_HEAD: usize = 16;
/// Head of "Linux cooked", version 2; the protocol stands in its first two bytes, big-endian.
const COOKED_2_HEAD: usize = 20;

/// One TCP segment as captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// Moment of capture, nanoseconds since 1970-01-01.
    pub(super) at_ns: u64,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    /// Number of the first byte (of the SYN, if there is one), counted modulo 2^32.
    pub(super) sequence: u32,
    pub(super) syn: bool,
    pub(super) ack: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) payload: &'a [u8],
}

/// What is known of an interface.
#[derive(Clone, Copy)]
struct Interface {
    link: Linktype,
    /// Units of its time stamps in a second.
    units_per_second: u64,
    /// Seconds to add to its time stamps.
    offset_s: i64,
}

/// What to do after one look at the reader.
enum Step {
    Consumed(usize),
    MoreBytes,
    MoreRoom,
    End { whole: bool },
    Damaged(String),
}

/// Hands every TCP segment of `input` to `sink`, in the order of the file; what is no segment is counted.
///
/// # Errors
/// Not a capture file, a damaged block, or what `sink` refuses. A file that merely stops in a block (a capture
/// that was killed) is no error: `counts.cut_short` says so.
pub(super) fn segments(
    input: impl Read + Send,
    counts: &mut CaptureCounts,
    mut sink: impl FnMut(Segment<'_>) -> Result<(), CaptureError>,
) -> Result<(), CaptureError> {
    let mut reader = create_reader(BUFFER_FIRST_BYTES, Filling(input)).map_err(|error| match error {
        PcapError::ReadError => CaptureError::Unreadable,
        _ => CaptureError::NotACapture,
    })?;
    let mut interfaces = Interfaces::default();
    let mut room = BUFFER_FIRST_BYTES;
    loop {
        let held = reader.data().len();
        let step = match reader.next() {
            Ok((size, block)) => {
                interfaces.take(&block, counts, &mut sink)?;
                Step::Consumed(size)
            }
            Err(error) => Step::after(&error, held),
        };
        match step {
            Step::Consumed(size) => reader.consume(size),
            Step::MoreBytes => {
                reader.refill().map_err(|_| CaptureError::Unreadable)?;
                // A full buffer takes nothing more, and the reader does not always say so.
                if reader.data().len() == held && !reader.reader_exhausted() {
                    grow(reader.as_mut(), &mut room)?;
                }
            }
            Step::MoreRoom => grow(reader.as_mut(), &mut room)?,
            Step::End { whole } => {
                counts.cut_short = !whole;
                return Ok(());
            }
            Step::Damaged(reason) => return Err(CaptureError::Damaged { block: interfaces.blocks, reason }),
        }
    }
}

/// A source that gives as much as fits: a pipe gives a few bytes at a time, and the parser tells the format of a
/// file from the first read alone.
struct Filling<R>(R);

impl<R: Read> Read for Filling<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

fn grow(reader: &mut (dyn PcapReaderIterator + Send), room: &mut usize) -> Result<(), CaptureError> {
    *room = room.saturating_mul(2);
    if *room > BUFFER_MOST_BYTES {
        return Err(CaptureError::BlockTooLarge { limit: BUFFER_MOST_BYTES });
    }
    reader.grow(*room);
    reader.refill().map_err(|_| CaptureError::Unreadable)
}

impl Step {
    fn after(error: &PcapError<&[u8]>, held: usize) -> Self {
        match error {
            PcapError::Eof => Self::End { whole: true },
            // The reader says this also behind the last whole block.
            PcapError::UnexpectedEof => Self::End { whole: held == 0 },
            PcapError::Incomplete(_) => Self::MoreBytes,
            PcapError::BufferTooSmall => Self::MoreRoom,
            other => Self::Damaged(match other {
                PcapError::NomError(_, kind) | PcapError::OwnedNomError(_, kind) => format!("{kind:?}"),
                _ => "unreadable".to_owned(),
            }),
        }
    }
}

/// What blocks before a frame say about it.
#[derive(Default)]
struct Interfaces {
    known: Vec<Interface>,
    last_ns: u64,
    blocks: u64,
}

impl Interfaces {
    fn take(
        &mut self,
        block: &PcapBlockOwned<'_>,
        counts: &mut CaptureCounts,
        sink: &mut impl FnMut(Segment<'_>) -> Result<(), CaptureError>,
    ) -> Result<(), CaptureError> {
        self.blocks += 1;
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let nanos = header.is_nanosecond_precision();
                let units_per_second = if nanos { NANOS_PER_SECOND } else { 1_000_000 };
                self.known = vec![Interface { link: header.network, units_per_second, offset_s: 0 }];
                Ok(())
            }
            PcapBlockOwned::Legacy(frame) => {
                let Some(interface) = self.known.first().copied() else { return Ok(()) };
                let fraction = u64::from(frame.ts_usec).saturating_mul(interface.nanos_per_unit());
                let at_ns = u64::from(frame.ts_sec).saturating_mul(NANOS_PER_SECOND).saturating_add(fraction);
                self.frame(Some(interface), at_ns, frame.data, frame.caplen < frame.origlen, counts, sink)
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                self.known.clear();
                Ok(())
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(described)) => {
                if self.known.len() >= INTERFACES_MOST {
                    let reason = format!("more than {INTERFACES_MOST} interfaces");
                    return Err(CaptureError::Damaged { block: self.blocks, reason });
                }
                self.known.push(Interface {
                    link: described.linktype,
                    units_per_second: units_per_second(described.if_tsresol),
                    offset_s: described.if_tsoffset,
                });
                Ok(())
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let index = usize::try_from(packet.if_id).unwrap_or(usize::MAX);
                let interface = self.known.get(index).copied();
                let units = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let at_ns = interface.map_or(self.last_ns, |interface| interface.nanos(units));
                self.frame(interface, at_ns, packet.packet_data(), packet.truncated(), counts, sink)
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                // No time and no interface: the first interface, and the moment of the frame before.
                let data = packet.packet_data();
                let whole = usize::try_from(packet.origlen).is_ok_and(|whole| whole <= data.len());
                self.frame(self.known.first().copied(), self.last_ns, data, !whole, counts, sink)
            }
            // Statistics, names, comments.
            PcapBlockOwned::NG(_) => Ok(()),
        }
    }

    fn frame(
        &mut self,
        interface: Option<Interface>,
        at_ns: u64,
        data: &[u8],
        truncated: bool,
        counts: &mut CaptureCounts,
        sink: &mut impl FnMut(Segment<'_>) -> Result<(), CaptureError>,
    ) -> Result<(), CaptureError> {
        counts.frames += 1;
        self.last_ns = at_ns;
        let Some(packet) = interface.and_then(|interface| packet(interface.link, data)) else {
            counts.unknown_frames += 1;
            return Ok(());
        };
        let incomplete = packet.ip_payload().is_some_and(|payload| payload.incomplete);
        if packet.ip_payload().is_some_and(|payload| payload.fragmented) {
            counts.fragments += 1;
            return Ok(());
        }
        let (Some(TransportSlice::Tcp(tcp)), Some((source, destination))) =
            (&packet.transport, addresses(packet.net.as_ref()))
        else {
            counts.other_frames += 1;
            return Ok(());
        };
        counts.segments += 1;
        // What is missing of the payload shows as a gap in its stream.
        counts.truncated += u64::from(truncated || incomplete);
        let segment = Segment {
            at_ns,
            from: SocketAddr::new(source, tcp.source_port()),
            to: SocketAddr::new(destination, tcp.destination_port()),
            sequence: tcp.sequence_number(),
            syn: tcp.syn(),
            ack: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            payload: tcp.payload(),
        };
        sink(segment)
    }
}

impl Interface {
    fn nanos_per_unit(self) -> u64 {
        NANOS_PER_SECOND / self.units_per_second.max(1)
    }

    /// A time stamp of this interface in nanoseconds since 1970-01-01; out of range is the nearest end.
    fn nanos(self, units: u64) -> u64 {
        let nanos =
            i128::from(units) * i128::from(NANOS_PER_SECOND) / i128::from(self.units_per_second.max(1));
        let offset = i128::from(self.offset_s) * i128::from(NANOS_PER_SECOND);
        u64::try_from((nanos + offset).max(0)).unwrap_or(u64::MAX)
    }
}

/// Units of time in a second from option `if_tsresol`: a power of ten, or of two when the top bit is set. One
/// past what 64 bits hold is read as microseconds, the default.
fn units_per_second(resolution: u8) -> u64 {
    let exponent = u32::from(resolution & 0x7F);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(exponent).unwrap_or(1_000_000)
}

/// Takes a frame apart; nothing when its link layer is not understood or it is too short.
fn packet(link: Linktype, data: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    match link {
        Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(data).ok(),
        Linktype::NULL | Linktype::LOOP => LaxSlicedPacket::from_ip(data.get(NULL_HEAD..)?).ok(),
        // 12 and 14 are what BSD systems write for the same.
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype(12 | 14) => {
            LaxSlicedPacket::from_ip(data).ok()
        }
        Linktype::LINUX_SLL => {
            let (head, rest) = data.split_at_checked(COOKED_HEAD)?;
            Some(LaxSlicedPacket::from_ether_type(EtherType(u16::from_be_bytes(*head.last_chunk()?)), rest))
        }
        Linktype(276) => {
            let (head, rest) = data.split_at_checked(COOKED_2_HEAD)?;
            Some(LaxSlicedPacket::from_ether_type(EtherType(u16::from_be_bytes(*head.first_chunk()?)), rest))
        }
        _ => None,
    }
}

fn addresses(net: Option<&LaxNetSlice<'_>>) -> Option<(IpAddr, IpAddr)> {
    match net? {
        LaxNetSlice::Ipv4(packet) => {
            let header = packet.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Ipv6(packet) => {
            let header = packet.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Arp(_) => None,
    }
}

#[cfg(test)]
mod tests;
