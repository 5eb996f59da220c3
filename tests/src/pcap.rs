//! Capture files written from their description alone: classic pcap, Ethernet, IPv4, TCP.

/// TCP flags.
pub const FIN: u8 = 0x01;
/// Opens a connection.
pub const SYN: u8 = 0x02;
/// Ends a connection at once.
pub const RST: u8 = 0x04;
/// Every segment but the first.
pub const ACK: u8 = 0x10;

/// Writes a capture of one till (10.0.0.5) and one operator (10.0.0.9).
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    microseconds: u32,
}

impl Writer {
    /// A file without frames; link type Ethernet, microseconds, little-endian.
    pub fn new() -> Self {
        let mut bytes = 0xA1B2_C3D4_u32.to_le_bytes().to_vec();
        for half in [2_u16, 4] {
            bytes.extend(half.to_le_bytes());
        }
        for word in [0_u32, 0, 65_535, 1] {
            bytes.extend(word.to_le_bytes());
        }
        Self { bytes, microseconds: 0 }
    }

    /// One frame, a millisecond after the one before. The lower of the two ports is the operator's.
    pub fn frame(&mut self, [from, to]: [u16; 2], sequence: u32, flags: u8, payload: &[u8]) -> &mut Self {
        let mut tcp = [from.to_be_bytes(), to.to_be_bytes()].concat();
        tcp.extend(sequence.to_be_bytes());
        // An acknowledged number of 0 would be older than anything; nobody here looks at it.
        tcp.extend(1_u32.to_be_bytes());
        tcp.extend([0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0]);
        tcp.extend(payload);
        let (till, operator) = ([10, 0, 0, 5], [10, 0, 0, 9]);
        let (source, destination) = if from > to { (till, operator) } else { (operator, till) };
        let mut packet = vec![0x45, 0];
        packet.extend(u16::try_from(20 + tcp.len()).unwrap().to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        packet.extend([source, destination].concat());
        packet.extend(tcp);
        let mut frame = vec![2; 12];
        frame.extend([8, 0]);
        frame.extend(packet);
        let length = u32::try_from(frame.len()).unwrap();
        self.microseconds += 1000;
        for word in [1_800_000_000, self.microseconds, length, length] {
            self.bytes.extend(word.to_le_bytes());
        }
        self.bytes.extend(frame);
        self
    }

    /// The whole file.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}
