//! Who speaks which protocol: the byte strings a session header opens with. Compared byte by byte, never
//! as numbers.

use ffd::dict::FfdVersion;

use crate::error::Flaw;

/// Which service the sender speaks to: first four bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 4]);

impl Signature {
    /// Reception of fiscal documents.
    pub const OFD: Self = Self([0x2A, 0x08, 0x41, 0x0A]);
    /// Marking codes (ОИСМ), a service of its own port; see [`Service`].
    pub const OISM: Self = Self([0xDD, 0x80, 0xCA, 0xA1]);

    /// Whether the signature is one of the two services.
    #[must_use]
    pub fn is_known(self) -> bool {
        self == Self::OFD || self == Self::OISM
    }
}

/// What a port serves: which signatures it reads, and from whom it takes data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Service {
    /// Reception of fiscal documents. Probes of the marking service are answered here too, its data is not taken.
    #[default]
    Documents,
    /// The operator's marking point: probes of both its versions, data of [`SVersion::OISM`] to be relayed.
    Marking,
}

impl Service {
    /// Whether messages with this signature are read at all.
    #[must_use]
    pub fn reads(self, signature: Signature) -> bool {
        match self {
            Self::Documents => signature.is_known(),
            Self::Marking => signature == Signature::OISM,
        }
    }

    /// Why a message with a body is not taken, if it is not. Signature and version are ones this service reads.
    pub(super) fn refuses_data(self, signature: Signature, version: SVersion) -> Option<Flaw> {
        match self {
            Self::Documents => (signature == Signature::OISM).then_some(Flaw::MarkingService),
            Self::Marking => (version == SVersion::OISM_TEST).then_some(Flaw::MarkingTest),
        }
    }
}

/// S-protocol version, a byte string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SVersion(pub [u8; 2]);

impl SVersion {
    /// Session protocol 1.1, service [`Signature::OFD`].
    pub const V1_1: Self = Self([0x81, 0xA2]);
    /// Marking codes, relayed to the marking system, service [`Signature::OISM`].
    pub const OISM: Self = Self([0x82, 0xA2]);
    /// Test of the operator's own part of the marking point, service [`Signature::OISM`].
    pub const OISM_TEST: Self = Self([0x82, 0xFB]);

    /// Whether the version goes with the signature.
    #[must_use]
    pub fn is_known(self, signature: Signature) -> bool {
        match signature {
            Signature::OFD => self == Self::V1_1,
            Signature::OISM => self == Self::OISM || self == Self::OISM_TEST,
            _ => false,
        }
    }
}

/// P-protocol version, a byte string. A hint at the FFD version and no more: real registers send one
/// code for several, so the version of a document is taken from its tag 1209.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PVersion(pub [u8; 2]);

impl PVersion {
    /// FFD 1.0, first old code; also the code of the marking service.
    pub const FFD_1_0_OLD_1: Self = Self([0x00, 0x01]);
    /// FFD 1.0, second old code.
    pub const FFD_1_0_OLD_2: Self = Self([0x00, 0x02]);
    /// FFD 1.0, the recommended code.
    pub const FFD_1_0: Self = Self([0x01, 0x00]);
    /// FFD 1.05.
    pub const FFD_1_05: Self = Self([0x01, 0x05]);
    /// FFD 1.1.
    pub const FFD_1_1: Self = Self([0x01, 0x10]);
    /// FFD 1.2.
    pub const FFD_1_2: Self = Self([0x01, 0x20]);

    /// The FFD version the code stands for; `None` outside the table.
    #[must_use]
    pub fn ffd_version(self) -> Option<FfdVersion> {
        match self {
            Self::FFD_1_0_OLD_1 | Self::FFD_1_0_OLD_2 | Self::FFD_1_0 => Some(FfdVersion::V1_0),
            Self::FFD_1_05 => Some(FfdVersion::V1_05),
            Self::FFD_1_1 => Some(FfdVersion::V1_1),
            Self::FFD_1_2 => Some(FfdVersion::V1_2),
            _ => None,
        }
    }

    /// The code a register of this FFD version sends.
    #[must_use]
    pub fn for_ffd(version: FfdVersion) -> Self {
        match version {
            FfdVersion::V1_0 => Self::FFD_1_0,
            FfdVersion::V1_05 => Self::FFD_1_05,
            FfdVersion::V1_1 => Self::FFD_1_1,
            FfdVersion::V1_2 => Self::FFD_1_2,
        }
    }

    /// Whether the code is in the table.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.ffd_version().is_some()
    }
}

#[cfg(test)]
mod tests {
    use ffd::dict::FfdVersion::{V1_0, V1_1, V1_2, V1_05};

    use super::{PVersion, SVersion, Signature};

    #[test]
    fn p_versions() {
        let table = [
            ([0, 1], V1_0),
            ([0, 2], V1_0),
            ([1, 0], V1_0),
            ([1, 5], V1_05),
            ([1, 0x10], V1_1),
            ([1, 0x20], V1_2),
        ];
        for code in 0..=u16::MAX {
            let bytes = code.to_be_bytes();
            let expected = table.iter().find(|(known, _)| *known == bytes).map(|(_, version)| *version);
            assert_eq!(PVersion(bytes).ffd_version(), expected, "{bytes:02x?}");
            assert_eq!(PVersion(bytes).is_known(), expected.is_some(), "{bytes:02x?}");
        }
        for version in [V1_0, V1_05, V1_1, V1_2] {
            assert_eq!(PVersion::for_ffd(version).ffd_version(), Some(version));
        }
    }

    #[test]
    fn s_versions_go_with_signatures() {
        let unknown = Signature(*b"GET ");
        assert!(Signature::OFD.is_known() && Signature::OISM.is_known() && !unknown.is_known());
        for code in 0..=u16::MAX {
            let version = SVersion(code.to_be_bytes());
            assert_eq!(version.is_known(Signature::OFD), code == 0x81A2, "{code:04x}");
            assert_eq!(version.is_known(Signature::OISM), code == 0x82A2 || code == 0x82FB, "{code:04x}");
            assert!(!version.is_known(unknown));
        }
    }
}
