//! Documents of many registers in random order, each made from its ФН and its number alone.

use ffd::{FdNumber, FnNumber};
use jiff::Timestamp;
use ofd_store::{Derived, Forward, NewDocument, SignRecord};

/// A stored document that is sent again is one of so many.
const REPEAT_OF: u64 = 100;
/// About the average of a register's messages, and what an acknowledgement takes.
const CONTAINER_BYTES: usize = 640;
const ACKNOWLEDGEMENT_BYTES: usize = 150;

/// Registers and how far each has come.
pub(crate) struct Stream {
    random: Random,
    next: Vec<u32>,
    sent: u64,
}

/// What is sent next.
pub(crate) struct Sent {
    pub(crate) document: NewDocument,
    /// It was sent before: its acknowledgement must come back.
    pub(crate) again: bool,
}

/// A small generator, the same numbers in every run.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

impl Stream {
    pub(crate) fn new(registers: usize) -> Self {
        Self { random: Random::new(7), next: vec![0; registers], sent: 0 }
    }

    /// The number of documents that each register has sent about.
    pub(crate) fn next(&mut self) -> Sent {
        let registers = u64::try_from(self.next.len()).unwrap();
        let register = usize::try_from(self.random.below(registers)).unwrap();
        self.sent += 1;
        let last = self.next[register];
        if last > 0 && self.sent.is_multiple_of(REPEAT_OF) {
            let fd = 1 + u32::try_from(self.random.below(last.into())).unwrap();
            return Sent { document: document(register, fd), again: true };
        }
        self.next[register] = last + 1;
        Sent { document: document(register, last + 1), again: false }
    }
}

/// ФН of a register, of those in production: their numbers are spread like real ones.
pub(crate) fn fn_number(register: usize) -> FnNumber {
    let number = u64::try_from(register).unwrap();
    let spread = number.wrapping_mul(2_654_435_761) % 10_000_000_000;
    format!("870000{spread:010}").parse().unwrap()
}

fn document(register: usize, fd: u32) -> NewDocument {
    let number = u64::try_from(register).unwrap();
    let mut identity = [0_u8; 32];
    let [first, second, ..] = identity.as_chunks_mut::<8>().0 else { unreachable!() };
    *first = (number << 32 | u64::from(fd)).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
    *second = number.wrapping_mul(0xC2B2_AE3D_27D4_EB4F).wrapping_add(fd.into()).to_le_bytes();
    NewDocument {
        fn_number: fn_number(register),
        fd_number: FdNumber::new(fd).unwrap(),
        form: 3,
        received_at: Timestamp::from_microsecond(1_795_262_400_000_000 + i64::from(fd)).unwrap(),
        peer: Some("192.0.2.7:40000".to_owned()),
        container: filled(CONTAINER_BYTES, &identity),
        opened: None,
        acknowledgement: acknowledgement(&identity),
        identity,
        code: 0,
        sign: SignRecord { verdict: "valid", scheme: Some("soft-gost-1"), generation: Some(1) },
        forward: Forward::Yes,
        flk_mark: false,
        sign_mark: false,
        fn_changed_mark: false,
        after_deregistration_mark: false,
        findings: Vec::new(),
        task: None,
        register: None,
        derived: Derived {
            ffd_version: Some(2),
            local_time: Some(1_795_262_400),
            rnm: Some("0000000001024546".to_owned()),
            user_inn: Some("7704358518".to_owned()),
            kkt_serial: Some("00106900000000".to_owned()),
            shift: Some(fd / 100),
            receipt_number: Some(fd % 100),
            operation: Some(1),
            total_kopecks: Some(13_940),
            fiscal_sign: Some(3_000_000_000),
        },
    }
}

fn acknowledgement(identity: &[u8; 32]) -> Vec<u8> {
    filled(ACKNOWLEDGEMENT_BYTES, identity)
}

fn filled(length: usize, with: &[u8; 32]) -> Vec<u8> {
    with.iter().copied().cycle().take(length).collect()
}
