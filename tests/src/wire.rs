//! A register written from the protocol alone: bytes, check codes and signs made here, nothing shared with the daemon.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use streebog::Streebog256;

/// Flags of a message that carries a container and expects an answer, without a check code.
pub const FLAGS_PLAIN: u16 = 0x0014;
/// The same with a check code over the header.
pub const FLAGS_HEADER_CRC: u16 = 0x0015;
/// The same with a check code over header and body.
pub const FLAGS_FULL_CRC: u16 = 0x0016;

/// CRC-16/CCITT-FALSE, bit by bit.
pub fn crc(bytes: &[u8]) -> u16 {
    let mut value = 0xFFFFu16;
    for byte in bytes {
        value ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            value = if value & 0x8000 == 0 { value << 1 } else { (value << 1) ^ 0x1021 };
        }
    }
    value
}

/// A session message: 30 bytes of header and the body, with the check code the flags ask for.
pub fn message(fn_number: &str, p_version: [u8; 2], flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x2A, 0x08, 0x41, 0x0A, 0x81, 0xA2];
    bytes.extend(p_version);
    bytes.extend(format!("{fn_number:<16}").into_bytes());
    bytes.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    let code = match flags & 3 {
        0 => 0,
        1 => crc(&bytes),
        _ => crc(&[bytes.as_slice(), body].concat()),
    };
    bytes.extend(code.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// A container from an ФН: header, data, sign, two zeros, with its check code.
pub fn container(kind: u8, form: u8, fn_number: &str, fd_number: u32, data: &[u8], sign: [u8; 8]) -> Vec<u8> {
    let length = u16::try_from(32 + data.len() + 10).unwrap();
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend([0, 0, kind, form, 1, 0x10, 0x09]);
    bytes.extend(bcd(fn_number));
    bytes.extend(&fd_number.to_be_bytes()[1..]);
    bytes.extend([1, 2, 3, 4, 5]);
    bytes.extend(&fd_number.to_be_bytes()[1..]);
    bytes.extend([0, 2]);
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes.extend(sign);
    bytes.extend([0, 0]);
    seal(&mut bytes);
    bytes
}

/// Puts the right check code into a container.
pub fn seal(container: &mut [u8]) {
    let code = crc(&[&container[..2], &container[4..]].concat());
    container[2..4].copy_from_slice(&code.to_le_bytes());
}

/// Packed BCD, high digit first, filled with F.
pub fn bcd(fn_number: &str) -> [u8; 8] {
    let padded = format!("{fn_number:F<16}");
    let mut bytes = [0; 8];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&padded[index * 2..index * 2 + 2], 16).unwrap();
    }
    bytes
}

/// One TLV record.
pub fn tlv(tag: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = tag.to_le_bytes().to_vec();
    bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
    bytes.extend(value);
    bytes
}

/// Number as a VLN: least significant byte first, without high zeros (zero is one byte).
pub fn vln(number: u64) -> Vec<u8> {
    let bytes = number.to_le_bytes();
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    bytes[..length].to_vec()
}

/// Text in code page 866: ASCII and Russian letters.
pub fn cp866(text: &str) -> Vec<u8> {
    let byte = |letter: char| match letter {
        '\0'..='\x7F' => letter as u32,
        'А'..='п' => letter as u32 - 'А' as u32 + 0x80,
        'р'..='я' => letter as u32 - 'р' as u32 + 0xE0,
        other => panic!("{other} is not for these tests"),
    };
    text.chars().map(|letter| u8::try_from(byte(letter)).unwrap()).collect()
}

/// INN of the user in every document.
pub const USER_INN: &str = "7707083893";
/// Serial number of the register that the registration number (РНМ) of every document belongs to.
pub const KKT_SERIAL: &str = "00106900000019";

/// Registration number (РНМ) of a register of [`USER_INN`]: ten digits, then six of the check code over them, the INN and
/// the serial number.
pub fn rnm(ordinal: u32, kkt_serial: &str) -> String {
    let ordinal = format!("{ordinal:010}");
    let code = crc(format!("{ordinal}{USER_INN:0>12}{kkt_serial:0>20}").as_bytes());
    format!("{ordinal}{code:06}")
}

/// A fiscal storage of the published test keys, generation 1, as the open sign profile describes it.
#[derive(Clone)]
pub struct Storage {
    /// Number of the ФН, without padding.
    pub fn_number: String,
    /// Registration number (РНМ) in its documents.
    pub rnm: String,
    message_master: [u8; 32],
    document_master: [u8; 32],
}

impl Storage {
    /// A storage of the published masters.
    pub fn new(fn_number: &str) -> Self {
        let master = |text: &str| -> [u8; 32] {
            let vectors =
                std::fs::read_to_string(crate::fixtures().join("vectors/crypto-vectors.json")).unwrap();
            let vectors: serde_json::Value = serde_json::from_str(&vectors).unwrap();
            let hex = vectors["keystore"][0]["masters"][text].as_str().unwrap().to_owned();
            let mut key = [0; 32];
            for (index, byte) in key.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).unwrap();
            }
            key
        };
        Self {
            fn_number: fn_number.to_owned(),
            rnm: rnm(1, KKT_SERIAL),
            message_master: master("msg"),
            document_master: master("doc"),
        }
    }

    /// The same storage in a register with another registration number.
    #[must_use]
    pub fn of_rnm(mut self, rnm: &str) -> Self {
        rnm.clone_into(&mut self.rnm);
        self
    }

    /// A document of one form: the tags every form needs, then those given, signed with ФПД.
    pub fn document(&self, form: u16, fd_number: u32, extra: &[u8]) -> Vec<u8> {
        let mut children = tlv(1041, format!("{:<16}", self.fn_number).as_bytes());
        children.extend(tlv(1037, format!("{:<20}", self.rnm).as_bytes()));
        children.extend(tlv(1018, format!("{USER_INN:<12}").as_bytes()));
        children.extend(tlv(1040, &fd_number.to_le_bytes()));
        children.extend(tlv(1012, &1_735_722_000u32.to_le_bytes()));
        children.extend(extra);
        let mut input = b"OFD1.FPD".to_vec();
        input.extend(bcd(&self.fn_number));
        input.extend(form.to_le_bytes());
        input.extend(&children);
        let mac = hmac(&self.key(&self.document_master, "OFD1-FPD"), &input);
        children.extend(tlv(1077, &[&[0xC1, 4], &mac[..4]].concat()));
        let mut document = form.to_le_bytes().to_vec();
        document.extend(u16::try_from(children.len()).unwrap().to_le_bytes());
        document.extend(children);
        document
    }

    /// A receipt of ФФД 1.05 about one thing for `total` kopecks. Its number in its shift is that of the document, its
    /// shift the first.
    pub fn receipt(&self, fd_number: u32, total: u16) -> Vec<u8> {
        self.receipt_of(fd_number, fd_number, total.into(), total.into())
    }

    /// The same with a number of its own in the shift; the thing may cost something else than is paid.
    pub fn receipt_of(&self, fd_number: u32, receipt_number: u32, price: u64, total: u64) -> Vec<u8> {
        let records = self.receipt_records(2, receipt_number, price, total);
        self.document(3, fd_number, &records)
    }

    /// What a receipt of a version (tag 1209: 2 or 3) says beside what every document says.
    pub fn receipt_records(&self, version: u8, receipt_number: u32, price: u64, total: u64) -> Vec<u8> {
        let mut thing = tlv(1030, &cp866("Хлеб"));
        thing.extend(tlv(1079, &vln(price)));
        thing.extend(tlv(1023, &[0, 1]));
        thing.extend(tlv(1043, &vln(price)));
        thing.extend(tlv(1199, &[6]));
        thing.extend(tlv(1212, &[1]));
        thing.extend(tlv(1214, &[4]));
        let mut records = tlv(1209, &[version]);
        records.extend(tlv(1021, &cp866("Кассир")));
        records.extend(tlv(1038, &1u32.to_le_bytes()));
        records.extend(tlv(1042, &receipt_number.to_le_bytes()));
        records.extend(tlv(1054, &[1]));
        records.extend(tlv(1055, &[1]));
        records.extend(tlv(1059, &thing));
        records.extend(tlv(1020, &vln(total)));
        records.extend(tlv(1031, &vln(total)));
        for nothing in [1081, 1215, 1216, 1217] {
            records.extend(tlv(nothing, &vln(0)));
        }
        records.extend(tlv(1105, &vln(price)));
        records
    }

    /// A registration report of ФФД 1.05 with the serial of the register.
    pub fn registration(&self, fd_number: u32, kkt_serial: &str) -> Vec<u8> {
        self.document(1, fd_number, &Self::registration_records(kkt_serial))
    }

    /// A report on changed parameters of ФФД 1.05; reason 1 is a new ФН, 3 a change of what the user typed.
    pub fn registration_change(&self, fd_number: u32, kkt_serial: &str, reason: u8) -> Vec<u8> {
        let mut records = Self::registration_records(kkt_serial);
        records.extend(tlv(1101, &[reason]));
        self.document(11, fd_number, &records)
    }

    /// The report on the closing of the storage (form 6) of ФФД 1.05, after its first shift.
    pub fn closing(&self, fd_number: u32) -> Vec<u8> {
        let mut records = tlv(1209, &[2]);
        records.extend(tlv(1048, &cp866("Пекарня")));
        records.extend(tlv(1009, &cp866("Москва")));
        records.extend(tlv(1187, &cp866("Зал")));
        records.extend(tlv(1021, &cp866("Кассир")));
        records.extend(tlv(1038, &1u32.to_le_bytes()));
        self.document(6, fd_number, &records)
    }

    fn registration_records(kkt_serial: &str) -> Vec<u8> {
        let mut records = tlv(1209, &[2]);
        records.extend(tlv(1048, &cp866("Пекарня")));
        records.extend(tlv(1009, &cp866("Москва")));
        records.extend(tlv(1187, &cp866("Зал")));
        records.extend(tlv(1021, &cp866("Кассир")));
        records.extend(tlv(1013, kkt_serial.as_bytes()));
        records.extend(tlv(1062, &[1]));
        for no in [1001, 1002, 1056, 1108, 1109, 1110, 1221] {
            records.extend(tlv(no, &[0]));
        }
        records.extend(tlv(1060, b"www.nalog.ru"));
        records.extend(tlv(1117, b"shop@example.ru"));
        records.extend(tlv(1017, b"7704211201  "));
        records.extend(tlv(1046, &cp866("Оператор")));
        records.extend(tlv(1188, b"001"));
        records.extend(tlv(1189, &[2]));
        records
    }

    /// The report on the opening of the first shift, of ФФД 1.05.
    pub fn shift_open(&self, fd_number: u32) -> Vec<u8> {
        let mut records = tlv(1209, &[2]);
        records.extend(tlv(1021, &cp866("Кассир")));
        records.extend(tlv(1038, &1u32.to_le_bytes()));
        records.extend(tlv(1188, b"001"));
        records.extend(tlv(1189, &[2]));
        self.document(2, fd_number, &records)
    }

    /// The report on the closing of the first shift, of ФФД 1.05, with so many receipts in it.
    pub fn shift_close(&self, fd_number: u32, receipts: u32) -> Vec<u8> {
        let mut records = tlv(1209, &[2]);
        records.extend(tlv(1021, &cp866("Кассир")));
        records.extend(tlv(1038, &1u32.to_le_bytes()));
        records.extend(tlv(1118, &receipts.to_le_bytes()));
        records.extend(tlv(1111, &(receipts + 2).to_le_bytes()));
        records.extend(tlv(1097, &0u32.to_le_bytes()));
        self.document(5, fd_number, &records)
    }

    /// The container of a document, open, with its ФПС.
    pub fn wrap(&self, fd_number: u32, document: &[u8]) -> Vec<u8> {
        container(0xA5, document[0], &self.fn_number, fd_number, document, self.message_sign(document))
    }

    /// The session message of a document.
    pub fn send(&self, fd_number: u32, document: &[u8]) -> Vec<u8> {
        message(&self.fn_number, [1, 5], FLAGS_PLAIN, &self.wrap(fd_number, document))
    }

    /// ФПС of a document.
    pub fn message_sign(&self, document: &[u8]) -> [u8; 8] {
        self.sign(0xD1, "OFD1-FPS", "OFD1.FPS", document)
    }

    fn sign(&self, kind: u8, label: &str, prefix: &str, document: &[u8]) -> [u8; 8] {
        let mut input = prefix.as_bytes().to_vec();
        input.extend(bcd(&self.fn_number));
        input.extend(document);
        let mac = hmac(&self.key(&self.message_master, label), &input);
        let mut sign = [kind, 6, 0, 0, 0, 0, 0, 0];
        sign[2..].copy_from_slice(&mac[..6]);
        sign
    }

    fn key(&self, master: &[u8; 32], label: &str) -> [u8; 32] {
        let mut input = vec![1];
        input.extend(label.as_bytes());
        input.push(0);
        input.extend(bcd(&self.fn_number));
        input.extend([1, 1, 0]);
        hmac(master, &input)
    }

    /// Checks an answer as a fiscal storage does and returns the operator's code.
    pub fn check_answer(&self, answer: &Answer, fd_number: u32) -> u8 {
        let body = &answer.body;
        assert_eq!(usize::from(u16::from_le_bytes([body[0], body[1]])), body.len(), "container length");
        assert_eq!(
            u16::from_le_bytes([body[2], body[3]]),
            crc(&[&body[..2], &body[4..]].concat()),
            "container CRC"
        );
        assert_eq!(body[4..9], [0x5A, 7, 1, 0x10, 0x09]);
        assert_eq!(body[9..17], bcd(&self.fn_number));
        assert_eq!(body[17..20], fd_number.to_be_bytes()[1..]);
        let open_length = usize::from(u16::from_be_bytes([body[30], body[31]]));
        assert_eq!(body.len(), 32 + open_length + 10);
        let document = &body[32..32 + open_length];
        let sign = &body[32 + open_length..32 + open_length + 8];
        assert_eq!(sign, self.sign(0xE1, "OFD1-FPP", "OFD1.FPP", document), "ФПП");
        assert_eq!(body[body.len() - 2..], [0, 0]);
        assert_eq!(document[..2], [7, 0]);
        let fields = records(&document[4..]);
        let field = |tag: u16| fields.iter().find(|(found, _)| *found == tag).map(|(_, value)| value.clone());
        assert_eq!(field(1041).unwrap(), format!("{:<16}", self.fn_number).into_bytes());
        assert_eq!(field(1040).unwrap(), fd_number.to_le_bytes());
        assert_eq!(field(1017).unwrap().len(), 12);
        assert_eq!(field(1012).unwrap().len(), 4);
        assert_eq!(field(1078).unwrap().len(), 8);
        match (field(1068), field(1206)) {
            (Some(message), None) => {
                let inner = records(&message);
                assert_eq!(inner.len(), 1);
                assert_eq!(inner[0].0, 1022);
                inner[0].1[0]
            }
            (None, Some(bits)) => {
                if bits == [0x02] {
                    14
                } else {
                    panic!("bits {bits:?}")
                }
            }
            (None, None) => 0,
            both => panic!("both 1068 and 1206: {both:?}"),
        }
    }
}

/// Records of a TLV sequence.
pub fn records(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        found.push((u16::from_le_bytes([bytes[0], bytes[1]]), bytes[4..4 + length].to_vec()));
        bytes = &bytes[4 + length..];
    }
    found
}

fn hmac(key: &[u8], input: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Streebog256>::new_from_slice(key).unwrap();
    mac.update(input);
    mac.finalize().into_bytes().into()
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What came back on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The 30 bytes of the session header.
    pub header: Vec<u8>,
    /// The container, or nothing for a probe.
    pub body: Vec<u8>,
}

/// One TCP connection of a register.
pub struct Register {
    stream: TcpStream,
}

impl Register {
    /// Connects, with a time-out for reads that fails the test rather than hangs it.
    pub fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream }
    }

    /// Speaks over a connection that was made elsewhere.
    pub fn over(stream: TcpStream) -> Self {
        Self { stream }
    }

    /// The connection, for what a register does not do.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Connects to a daemon that may not be there; reads wait as long as told.
    pub fn try_connect(to: SocketAddr, read_timeout: Duration) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&to, read_timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(read_timeout))?;
        Ok(Self { stream })
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Writes and does not mind a connection that the other side has closed.
    pub fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Half-closes our side.
    pub fn finish(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Reads one whole answer.
    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    /// Reads one whole answer; an error when the connection ends first.
    pub fn try_answer(&mut self) -> std::io::Result<Answer> {
        let mut header = vec![0; 30];
        self.stream.read_exact(&mut header)?;
        let mut body = vec![0; usize::from(u16::from_le_bytes([header[24], header[25]]))];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { header, body })
    }

    /// Sends one message and reads its answer.
    pub fn exchange(&mut self, message: &[u8]) -> Answer {
        self.write(message);
        self.answer()
    }

    /// True when the other side has closed and sent nothing before.
    pub fn closed_silently(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// True when nothing comes for this long and the connection is still open.
    pub fn silent_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let result = self.stream.read(&mut [0]);
        self.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        result.is_err_and(|error| {
            matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        })
    }
}
