//! Genuine documents for the tests of this crate, cut out of `proto-fixtures/captures`.

use crate::document::document_len;

/// A capture and the document in it.
pub(crate) struct Capture {
    /// Name of the file without `.bin`.
    pub(crate) name: &'static str,
    /// The document: form, length, records.
    pub(crate) document: &'static [u8],
    /// What follows it: a message sign, two zeros, nothing.
    pub(crate) after: &'static [u8],
}

macro_rules! capture_file {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../proto-fixtures/captures/",
                $name,
                ".bin"
            )),
        )
    };
}

/// Files with a document in them, and how many bytes stand before it: session header 30, container header 32, the
/// header that the tax service keeps of old receipts 32.
const FILES: [((&str, &[u8]), usize); 8] = [
    (capture_file!("msg_reg11_ffd105_9999078900005488_fd1"), 62),
    (capture_file!("msg_reg11_ffd12_9999078902013267_fd1"), 62),
    (capture_file!("container_reg1_ffd10_9999078912345678_fd1"), 32),
    (capture_file!("container_ack7_taxcom_flk14_9999078902013267_fd1"), 32),
    (capture_file!("raw_receipt3_9999078900011918_fd132"), 0),
    (capture_file!("raw_receipt3_9280440300332772_fd10756"), 0),
    (capture_file!("raw_receipt3_hdr_8710000101557641_fd39752"), 32),
    (capture_file!("raw_receipt3_8710000100518313_fd55817"), 0),
];

/// All genuine documents.
pub(crate) fn all() -> Vec<Capture> {
    let cut = |((name, bytes), before): ((&'static str, &'static [u8]), usize)| {
        let rest = &bytes[before..];
        let (document, after) = rest.split_at(document_len(rest).unwrap());
        Capture { name, document, after }
    };
    FILES.into_iter().map(cut).collect()
}

/// The document of the capture whose name begins so.
pub(crate) fn document(name: &str) -> &'static [u8] {
    all().into_iter().find(|capture| capture.name.starts_with(name)).unwrap().document
}
