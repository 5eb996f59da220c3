//! Session messages: the 30-byte header and the body behind it (S-protocol 1.1).

use std::fmt::Write;

use ffd::ids::FnNumber;
use kkt_proto::crc;
use kkt_proto::header::{CrcMode, Flags, HEADER_LEN, Header, PVersion, SVersion, Signature};

use super::container::container;
use super::model::{Content, Field, Part, PartKind, Remark, Span, le_u16, unread};
use super::words::{byte_count, malformed_text, of_bytes};

/// One message after another, as they lie in a stream.
pub(super) fn session<'a>(bytes: &'a [u8], parts: &mut Vec<Part<'a>>) -> &'static str {
    let mut rest = Span { bytes, offset: 0 };
    let mut count = 0_usize;
    while !rest.bytes.is_empty() {
        let known = rest.bytes.first_chunk::<4>().is_some_and(|start| Signature(*start).is_known());
        if count > 0 && !known {
            parts.push(unread("Лишние байты", rest, Remark::damage("после сообщения нет начала следующего")));
            break;
        }
        message(&mut rest, parts);
        count += 1;
    }
    match (count, bytes.len()) {
        (1, HEADER_LEN) => "заголовок сообщения",
        (1, _) => "сообщение",
        _ => "несколько сообщений подряд",
    }
}

fn message<'a>(rest: &mut Span<'a>, parts: &mut Vec<Part<'a>>) {
    let head = rest.take(HEADER_LEN);
    let alone = rest.bytes.is_empty() && head.offset == 0;
    let size = le_u16(head.bytes, 24).unwrap_or_default();
    let body = rest.take(usize::from(size));
    let mut part = Part {
        kind: PartKind::Other,
        title: format!("Заголовок сообщения (S-протокол), {}", byte_count(HEADER_LEN)),
        offset: head.offset,
        content: Content::Fields(message_fields(head, body.bytes)),
        remarks: Vec::new(),
    };
    let header = head.bytes.first_chunk::<HEADER_LEN>().map(Header::decode);
    match &header {
        None => part.remarks.push(Remark::damage(format!(
            "заголовок оборван: здесь {}",
            of_bytes(head.bytes.len(), HEADER_LEN)
        ))),
        Some(Err(error)) => {
            part.remarks.push(Remark::damage(format!("заголовок не принят: {}", malformed_text(error))))
        }
        Some(Ok(header)) => {
            let whole = body.bytes.len() == usize::from(size);
            if whole && header.check_crc(body.bytes).is_err() {
                part.remarks.push(Remark::damage("проверочный код не сходится"));
            }
            if header.flags.reserved_bits() != 0 {
                let bits = header.flags.reserved_bits();
                part.remarks.push(Remark::note(format!("заняты резервные биты флагов: {bits:#06x}")));
            }
        }
    }
    match (body.bytes.len(), usize::from(size)) {
        (0, 0) => part.remarks.push(Remark::note("сообщение без тела: проба связи")),
        (0, size) if alone => {
            part.remarks
                .push(Remark::note(format!("только заголовок: тела ({}) здесь нет", byte_count(size))));
        }
        (found, size) if found < size => {
            part.remarks.push(Remark::damage(format!("тело оборвано: здесь {}", of_bytes(found, size))));
        }
        _ => {}
    }
    parts.push(part);
    if !body.bytes.is_empty() {
        let carrier = header.and_then(Result::ok).map(|header| header.fn_number);
        container(body, carrier, parts);
    }
}

fn message_fields<'a>(mut head: Span<'a>, body: &[u8]) -> Vec<Field<'a>> {
    let covered = head.bytes;
    let signature = head.bytes.first_chunk::<4>().map_or(Signature([0; 4]), |bytes| Signature(*bytes));
    let flags = le_u16(head.bytes, 26).map(Flags::new).and_then(Result::ok);
    let all = vec![
        head.field::<4>("сигнатура", |_| signature_text(signature).to_owned()),
        head.field::<2>("версия S-протокола", |bytes| {
            s_version_text(SVersion(bytes)).to_owned()
        }),
        head.field::<2>("версия P-протокола", |bytes| match PVersion(bytes).ffd_version() {
            Some(version) => format!("ФФД {}", version.as_str()),
            None => "нет в таблице".to_owned(),
        }),
        head.field::<16>("номер ФН", |bytes| digits(&bytes)),
        head.field::<2>("размер тела", |bytes| byte_count(u16::from_le_bytes(bytes).into())),
        head.field::<2>("флаги", |bytes| flags_text(u16::from_le_bytes(bytes), flags)),
        head.field::<2>("проверочный код", |bytes| {
            check_code_text(u16::from_le_bytes(bytes), flags.map(Flags::crc_mode), covered, body)
        }),
    ];
    all.into_iter().filter(|field| !field.bytes.is_empty()).collect()
}

fn signature_text(signature: Signature) -> &'static str {
    match signature {
        Signature::OFD => "приём документов (ОФД)",
        Signature::OISM => "коды маркировки (ОИСМ)",
        _ => "неизвестная",
    }
}

fn s_version_text(version: SVersion) -> &'static str {
    match version {
        SVersion::V1_1 => "1.1",
        SVersion::OISM => "ОИСМ",
        SVersion::OISM_TEST => "ОИСМ, проверка точки приёма",
        _ => "неизвестная",
    }
}

fn digits(bytes: &[u8]) -> String {
    match FnNumber::from_padded(bytes) {
        Ok(number) => number.as_str().to_owned(),
        Err(error) => format!("не номер ({})", error.text_ru()),
    }
}

fn flags_text(bits: u16, flags: Option<Flags>) -> String {
    let Some(flags) = flags else { return format!("{bits:#06x}, запрещённое сочетание") };
    let mut text = format!("{bits:#06x}, ");
    text.push_str(if flags.has_container() {
        "контейнер есть"
    } else {
        "контейнера нет"
    });
    text.push_str(if flags.expects_answer() {
        ", ответ ожидается"
    } else {
        ", ответ не ожидается"
    });
    text.push_str(match flags.crc_mode() {
        CrcMode::None => ", без проверочного кода",
        CrcMode::Header => ", проверочный код заголовка",
        CrcMode::HeaderAndBody => ", проверочный код заголовка и тела",
    });
    if flags.priority() != 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, ", приоритет {}", flags.priority());
    }
    text
}

fn check_code_text(found: u16, mode: Option<CrcMode>, header: &[u8], body: &[u8]) -> String {
    let covered = header.get(..HEADER_LEN - 2).unwrap_or_default();
    let computed = match mode {
        Some(CrcMode::Header) => crc::ccitt_false(&[covered]),
        Some(CrcMode::HeaderAndBody) => crc::ccitt_false(&[covered, body]),
        Some(CrcMode::None) => return format!("{found:#06x}, не вычисляется"),
        None => return format!("{found:#06x}"),
    };
    agreement(found, computed)
}

pub(super) fn agreement(found: u16, computed: u16) -> String {
    if found == computed {
        format!("{found:#06x}, сходится")
    } else {
        format!("{found:#06x}, НЕ СХОДИТСЯ: должно быть {computed:#06x}")
    }
}
