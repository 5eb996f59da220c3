//! Flags of a session message (S-protocol 1.1, flags table).

use std::fmt;

use crate::error::{Flaw, Malformed};

/// What the check code of a message covers (flags, bits 0-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CrcMode {
    /// 00: nothing; the field is ignored, because some senders fill it all the same.
    None,
    /// 01: the first 28 bytes of the header.
    Header,
    /// 10: the first 28 bytes of the header, then the body.
    HeaderAndBody,
}

impl CrcMode {
    fn bits(self) -> u16 {
        match self {
            Self::None => 0b00,
            Self::Header => 0b01,
            Self::HeaderAndBody => 0b10,
        }
    }
}

/// Flags of a message; forbidden values cannot be built, reserved bits are kept.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    const CRC_MODE: u16 = 0x0003;
    const CONTAINER: u16 = 0x0004;
    const CAPABILITY: u16 = 0x0030;
    const EXPECTS_ANSWER: u16 = 0x0010;
    const PRIORITY: u16 = 0x00C0;
    const RESERVED: u16 = 0xFF08;

    /// Flags from the number in the header. Errors: CRC mode 11, client capability 10 or 11 (flags
    /// table of S-protocol 1.1). Bits 3 and 8-15 should be zero, but a live register that sets them is
    /// served: see [`Flags::reserved_bits`].
    pub fn new(bits: u16) -> Result<Self, Malformed> {
        if bits & Self::CRC_MODE == Self::CRC_MODE {
            return Err(Malformed::number(Flaw::CrcMode, super::AT_FLAGS, bits));
        }
        if bits & Self::CAPABILITY > Self::EXPECTS_ANSWER {
            return Err(Malformed::number(Flaw::Capability, super::AT_FLAGS, bits));
        }
        Ok(Self(bits))
    }

    /// No container, answer expected: a probe.
    pub(super) fn probe(mode: CrcMode) -> Self {
        Self(Self::EXPECTS_ANSWER | mode.bits())
    }

    /// Container inside, answer expected: a document, and the operator's reply to it.
    pub(super) fn with_container(mode: CrcMode) -> Self {
        Self(Self::CONTAINER | Self::EXPECTS_ANSWER | mode.bits())
    }

    /// The number as it stands in the header.
    #[must_use]
    pub fn bits(self) -> u16 {
        self.0
    }

    /// What the check code covers.
    #[must_use]
    pub fn crc_mode(self) -> CrcMode {
        match self.0 & Self::CRC_MODE {
            0b01 => CrcMode::Header,
            0b10 => CrcMode::HeaderAndBody,
            _ => CrcMode::None, // 11 cannot be here: `new` refuses it
        }
    }

    /// Whether the body holds a container.
    #[must_use]
    pub fn has_container(self) -> bool {
        self.0 & Self::CONTAINER != 0
    }

    /// Whether the client waits for an answer to its container.
    #[must_use]
    pub fn expects_answer(self) -> bool {
        self.0 & Self::CAPABILITY == Self::EXPECTS_ANSWER
    }

    /// Priority 0..=3, 3 the highest. Nothing depends on it here.
    #[must_use]
    pub fn priority(self) -> u8 {
        u8::try_from((self.0 & Self::PRIORITY) >> 6).unwrap_or_default()
    }

    /// Bits 3 and 8-15, in their places; 0 from a register that keeps to the protocol.
    #[must_use]
    pub fn reserved_bits(self) -> u16 {
        self.0 & Self::RESERVED
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#06x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{CrcMode, Flags};

    #[test]
    fn every_value() {
        for bits in 0..=u16::MAX {
            let expected = match (bits & 3, (bits >> 4) & 3) {
                (3, _) => Err("crc_mode"),
                (_, 2 | 3) => Err("capability"),
                (0, capability) => Ok((CrcMode::None, capability == 1)),
                (1, capability) => Ok((CrcMode::Header, capability == 1)),
                (_, capability) => Ok((CrcMode::HeaderAndBody, capability == 1)),
            };
            let flags = Flags::new(bits);
            let seen = flags.clone().map(|flags| (flags.crc_mode(), flags.expects_answer()));
            assert_eq!(seen.map_err(|malformed| malformed.reason()), expected, "{bits:04x}");
            if let Ok(flags) = flags {
                assert_eq!(flags.bits(), bits);
                assert_eq!(flags.has_container(), (bits >> 2) & 1 == 1);
                assert_eq!(u16::from(flags.priority()), (bits >> 6) & 3);
                assert_eq!(flags.reserved_bits(), bits & 0b1111_1111_0000_1000);
            }
        }
    }

    #[test]
    fn values_in_use() {
        let modes = [CrcMode::None, CrcMode::Header, CrcMode::HeaderAndBody];
        assert_eq!(modes.map(|mode| Flags::with_container(mode).bits()), [0x0014, 0x0015, 0x0016]);
        assert_eq!(modes.map(|mode| Flags::probe(mode).bits()), [0x0010, 0x0011, 0x0012]);
        assert_eq!(Flags::default().bits(), 0);
        assert_eq!(format!("{:?}", Flags::with_container(CrcMode::None)), "Flags(0x0014)");
    }
}
