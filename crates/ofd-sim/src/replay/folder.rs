//! A folder of messages: every file with bytes in it, sorted by name, each on a connection of its own.
//!
//! Files are what `send` takes: session messages, containers, `rawData`, documents, in binary, hexadecimal or
//! base64. Files of other kinds (a README, expected results) are told by their extension.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::messages::{CapturedFlow, CapturedMessage, Exchange};
use crate::send::Message;

/// Extensions of files that hold bytes of the protocol.
const EXTENSIONS: [&str; 4] = ["bin", "hex", "b64", "base64"];
/// There are no moments in a folder; one behind the other in steps of this length keeps the order.
const STEP: Duration = Duration::from_millis(1);

/// The messages of a folder.
#[derive(Debug, Default)]
pub(crate) struct FolderRecording {
    /// One flow for each file.
    pub(crate) flows: Vec<CapturedFlow>,
    /// Files that cannot be sent, with the reason.
    pub(crate) left_out: Vec<String>,
}

/// Reads the folder; its folders are not entered.
///
/// # Errors
/// The folder or a file in it cannot be read. A file that is no message is left out instead.
pub(crate) fn read_folder(folder: &Path) -> anyhow::Result<FolderRecording> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("reading the folder {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(|| format!("reading the folder {}", folder.display()))?;
    files.retain(|path| has_known_extension(path) && path.is_file());
    files.sort();
    let mut found = FolderRecording::default();
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let mut at = Duration::ZERO;
    for path in files {
        let content = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        match Message::from_file(content) {
            Ok(message) => {
                let message =
                    CapturedMessage { at, header: *message.header(), bytes: message.bytes().to_vec() };
                found.flows.push(CapturedFlow {
                    register: nowhere,
                    operator: nowhere,
                    began: at,
                    exchanges: vec![Exchange { message, answer: None }],
                });
                at += STEP;
            }
            Err(reason) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                found.left_out.push(format!("{name}: {reason}"));
            }
        }
    }
    Ok(found)
}

fn has_known_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_by_name_and_what_is_no_message_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures/captures");
        let copy = |from: &str, to: &str| {
            fs::copy(captures.join(from), folder.path().join(to)).unwrap();
        };
        copy("msg_reg11_ffd12_9999078902013267_fd1.bin", "2.bin");
        copy("container_reg1_ffd10_9999078912345678_fd1.bin", "1.BIN");
        copy("container_ack7_taxcom_flk14_9999078902013267_fd1.bin", "3.bin");
        copy("msg_reg11_ffd12_9999078902013267_fd1.json", "4.json");
        fs::create_dir(folder.path().join("5.bin")).unwrap();
        let found = read_folder(folder.path()).unwrap();
        let numbers: Vec<String> = found
            .flows
            .iter()
            .map(|flow| flow.exchanges.first().unwrap().message.header.fn_number.to_string())
            .collect();
        assert_eq!(numbers, ["999907891234567", "9999078902013267"]);
        assert!(found.left_out.iter().all(|text| text.starts_with("3.bin: ")), "{:?}", found.left_out);
        assert_eq!(found.left_out.len(), 1);
        assert!(read_folder(&folder.path().join("absent")).is_err());
    }
}
