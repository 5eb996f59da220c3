//! The operator's answer, decoded for people and scripts.

use std::fmt;
use std::time::Duration;

use ffd::{FormCode, tags};
use kkt_proto::ack::{AckFormat, Acknowledgement, OperatorCode};
use kkt_proto::container::{Container, ContainerKind};
use kkt_proto::header::Header;
use serde::Serialize;

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Answered {
    /// From the beginning of the connection to the last byte, milliseconds.
    pub(crate) milliseconds: f64,
    /// The session header.
    pub(crate) header: HeaderView,
    /// The container; absent in the answer to a probe.
    pub(crate) acknowledgement: Option<AckView>,
}

/// Session header of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HeaderView {
    /// Number of the ФН.
    pub(crate) fn_number: String,
    /// P-version, two bytes in hexadecimal.
    pub(crate) p_version: String,
    /// Bytes of the body.
    pub(crate) body_len: u16,
    /// Flags, hexadecimal.
    pub(crate) flags: String,
    /// Check code; its rightness was checked in the mode the flags name.
    pub(crate) crc: u16,
}

/// The acknowledgement, as far as it can be read without keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AckView {
    /// Document acknowledged, from the container header.
    pub(crate) fd_number: u32,
    /// The body is encrypted: the members below but ФПП are absent.
    pub(crate) encrypted: bool,
    /// The operator's code.
    pub(crate) code: Option<u8>,
    /// What the code means.
    pub(crate) meaning: Option<&'static str>,
    /// Tag that carried the code: 1068 or 1206.
    pub(crate) carried_in: Option<u16>,
    /// Moment of receipt at the operator, tag 1012, RFC 3339 UTC.
    pub(crate) received_at: Option<String>,
    /// The operator's INN, tag 1017.
    pub(crate) ofd_inn: Option<String>,
    /// ФПО, tag 1078, hexadecimal; empty when the operator does not sign.
    pub(crate) fpo: Option<String>,
    /// ФПП, trailer of the container, hexadecimal.
    pub(crate) fpp: String,
}

/// Reads an answer to the message with header `sent`.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(sent: &Header, header: Header, body: &[u8], took: Duration) -> Result<Answered, String> {
    header.check_crc(body).map_err(|error| error.to_string())?;
    if header.signature != sent.signature || header.fn_number != sent.fn_number {
        return Err(format!("it is for another register, ФН {}", header.fn_number));
    }
    let acknowledgement = if body.is_empty() { None } else { Some(read_container(sent, body)?) };
    Ok(Answered {
        milliseconds: took.as_secs_f64() * 1000.0,
        header: HeaderView {
            fn_number: header.fn_number.to_string(),
            p_version: hex::encode(header.p_version.0),
            body_len: header.body_len,
            flags: format!("0x{:04x}", header.flags.bits()),
            crc: header.crc,
        },
        acknowledgement,
    })
}

fn read_container(sent: &Header, body: &[u8]) -> Result<AckView, String> {
    let container = Container::decode(body).map_err(|error| error.to_string())?;
    if container.header.kind != ContainerKind::FROM_OFD
        || FormCode(container.header.form.into()) != FormCode::OPERATOR_ACK
    {
        return Err("the container is not an operator's acknowledgement".to_owned());
    }
    if container.header.fn_number != sent.fn_number {
        return Err(format!("the container is for another storage, {}", container.header.fn_number));
    }
    let mut view = AckView {
        fd_number: container.header.fd_number.get(),
        encrypted: !container.is_open(),
        code: None,
        meaning: None,
        carried_in: None,
        received_at: None,
        ofd_inn: None,
        fpo: None,
        fpp: hex::encode(container.sign),
    };
    if !view.encrypted {
        let ack = Acknowledgement::decode(container.data).map_err(|error| error.to_string())?;
        view.code = Some(ack.code.0);
        view.meaning = Some(meaning(ack.code));
        view.carried_in = Some(match ack.format {
            AckFormat::Message1068 => tags::MESSAGE_FOR_FN,
            AckFormat::Register1206 => tags::OPERATOR_MESSAGE,
        });
        let moment = jiff::Timestamp::from_second(i64::from(ack.datetime)).ok();
        view.received_at = moment.map(|moment| moment.to_string());
        view.ofd_inn = Some(ack.ofd_inn.to_string());
        view.fpo = Some(hex::encode(&ack.fpo));
    }
    Ok(view)
}

fn meaning(code: OperatorCode) -> &'static str {
    match code {
        OperatorCode::ACCEPTED => "accepted",
        OperatorCode::UNRECOGNISED => "content not recognised",
        OperatorCode::FORMAT_LOGIC => "error of format and logic control",
        _ => "unknown code",
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HeaderView { fn_number, p_version, body_len, flags, crc } = &self.header;
        writeln!(
            out,
            "  header   ФН {fn_number}, P-version {p_version}, flags {flags}, CRC {crc:04x}, {body_len} bytes"
        )?;
        writeln!(out, "  time     {:.1} ms", self.milliseconds)?;
        match &self.acknowledgement {
            None => writeln!(out, "  probe    answered"),
            Some(ack) => ack.fmt(out),
        }
    }
}

impl fmt::Display for AckView {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "  document {}", self.fd_number)?;
        if let (Some(code), Some(meaning), Some(tag)) = (self.code, self.meaning, self.carried_in) {
            writeln!(out, "  code     {code} ({meaning}), in {tag}")?;
        }
        if let (Some(moment), Some(inn)) = (&self.received_at, &self.ofd_inn) {
            writeln!(out, "  received {moment} by the operator with INN {inn}")?;
        }
        match self.fpo.as_deref() {
            None => writeln!(out, "  body     encrypted: code and time need the keys of the storage")?,
            Some("") => writeln!(out, "  ФПО      absent")?,
            Some(fpo) => writeln!(out, "  ФПО      {fpo}")?,
        }
        writeln!(out, "  ФПП      {}", self.fpp)
    }
}
