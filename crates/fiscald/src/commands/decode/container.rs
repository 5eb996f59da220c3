//! Containers: the 32-byte header, the document or its ciphertext, the sign behind it; and what of them `rawData` keeps.

use ffd::check::Claimed;
use ffd::dict::FormCode;
use ffd::ids::{FdNumber, FnNumber};
use kkt_proto::container::{CONTAINER_HEADER_LEN, Container, ContainerKind, TRAILER_LEN};
use kkt_proto::crc;

use super::document::{SIGN_LEN, document, document_and_sign};
use super::frame::{Frame, Nature};
use super::model::{Content, Field, Part, PartKind, Remark, Span, unread};
use super::session::agreement;
use super::words::byte_count;

/// Bytes of a container header that `rawData` keeps: all but length and checksum.
const RAW_HEADER_LEN: usize = 28;
/// How `rawData` with a header begins: a mark, then the length of the header, big-endian.
pub(super) const RAW_MARK: [u8; 4] = [0xFF, 0xFF, 0x00, 0x1C];

/// A container: header, document or ciphertext, trailer.
pub(super) fn container<'a>(span: Span<'a>, carrier: Option<FnNumber>, parts: &mut Vec<Part<'a>>) {
    let frame = Frame::of(span.bytes);
    let mut rest = span;
    parts.push(head(rest.take(CONTAINER_HEADER_LEN), &frame, carrier));

    let data = rest.take(frame.data_len());
    if !data.bytes.is_empty() {
        match frame.nature() {
            Nature::Open => {
                document(data, frame.decoded.ok().and_then(|container| claimed(&container)), parts);
            }
            Nature::Encrypted => parts.push(encrypted(data)),
            Nature::NotOpen => parts.push(unread(
                "Содержимое контейнера",
                data,
                Remark::note("не похоже на открытый документ: зашифровано или повреждено"),
            )),
            Nature::Unclear => parts.push(unread(
                "Начало документа",
                data,
                Remark::note("слишком мало, чтобы понять, открыт документ или зашифрован"),
            )),
        }
    }
    let sign = rest.take(TRAILER_LEN);
    if !sign.bytes.is_empty() {
        parts.push(trailer(sign, frame.kind));
    }
    if !rest.bytes.is_empty() {
        let extra = byte_count(rest.bytes.len());
        parts.push(unread("Лишние байты", rest, Remark::damage(format!("после контейнера ещё {extra}"))));
    }
}

fn head<'a>(mut head: Span<'a>, frame: &Frame<'a>, carrier: Option<FnNumber>) -> Part<'a> {
    let (offset, bytes) = (head.offset, frame.bytes);
    let mut fields = vec![
        head.field::<2>("длина контейнера", |_| frame.length_text()),
        head.field::<2>("контрольная сумма", |found| match frame.missing() {
            0 => {
                let before = bytes.get(..2).unwrap_or_default();
                let after = bytes.get(4..).unwrap_or_default();
                agreement(u16::from_le_bytes(found), crc::ccitt_false(&[before, after]))
            }
            _ => format!("{:#06x}, не проверить: контейнер не весь", u16::from_le_bytes(found)),
        }),
        head.field::<1>("тип контейнера", |[byte]| {
            format!("{byte:02X}, {}", kind_text(frame.kind))
        }),
    ];
    fields.extend(container_header_fields(&mut head));
    fields.retain(|field| !field.bytes.is_empty());
    let mut remarks: Vec<Remark> = frame.fault().map(Remark::damage).into_iter().collect();
    let claimed_fn = bytes.get(9..).and_then(|bytes| bytes.first_chunk::<8>()).map(FnNumber::from_bcd);
    if let (Some(carrier), Some(Ok(found))) = (carrier, claimed_fn)
        && carrier != found
    {
        remarks.push(Remark::damage(format!("номер ФН не тот, что в заголовке сообщения ({carrier})")));
    }
    let title = format!("Заголовок контейнера, {}", byte_count(CONTAINER_HEADER_LEN));
    Part { kind: PartKind::Other, title, offset, content: Content::Fields(fields), remarks }
}

/// Who the container says made the document; an operator's acknowledgement claims nothing of the kind.
fn claimed(container: &Container<'_>) -> Option<Claimed> {
    let header = &container.header;
    (header.kind == ContainerKind::FROM_FN).then(|| Claimed {
        fn_number: header.fn_number,
        fd_number: header.fd_number,
        form: FormCode(u16::from(header.form)),
    })
}

fn kind_text(kind: ContainerKind) -> &'static str {
    match kind {
        ContainerKind::FROM_FN => "от ФН оператору",
        ContainerKind::FROM_OFD => "от оператора ФН",
        _ => "неизвестный",
    }
}

/// The fields from the form code on: common to the container header and to `rawData`.
fn container_header_fields<'a>(head: &mut Span<'a>) -> Vec<Field<'a>> {
    vec![
        head.field::<1>("код формы документа", |[form]| form_text(u16::from(form))),
        head.field::<1>("версия формата контейнера", |[version]| version.to_string()),
        head.field::<2>("служебные данные 1", |_| "назначение неизвестно".to_owned()),
        head.field::<8>("номер ФН (BCD)", |bytes| match FnNumber::from_bcd(&bytes) {
            Ok(number) => number.as_str().to_owned(),
            Err(error) => format!("не номер ({})", error.text_ru()),
        }),
        head.field::<3>("номер ФД", |bytes| match FdNumber::from_be_bytes(bytes) {
            Ok(number) => number.get().to_string(),
            Err(error) => format!("не номер ({})", error.text_ru()),
        }),
        head.field::<8>("служебные данные 2а", |_| "вектор инициализации".to_owned()),
        head.field::<2>("служебные данные 2б", |_| "назначение неизвестно".to_owned()),
        head.field::<2>("длина открытых данных", |bytes| {
            byte_count(u16::from_be_bytes(bytes).into())
        }),
    ]
}

fn form_text(form: u16) -> String {
    format!("{form}, {}", FormCode(form).name_ru())
}

fn encrypted(data: Span<'_>) -> Part<'_> {
    let field = Field {
        offset: data.offset,
        bytes: data.bytes,
        name: "шифртекст",
        value: byte_count(data.bytes.len()),
    };
    Part {
        kind: PartKind::Ciphertext,
        title: "Зашифрованный документ".to_owned(),
        offset: data.offset,
        content: Content::Fields(vec![field]),
        remarks: vec![Remark::note(
            "содержимое зашифровано: его открывают только ключи оператора (ПКЗ) и этого ФН",
        )],
    }
}

/// The 10 bytes after the document.
pub(super) fn trailer<'a>(mut rest: Span<'a>, kind: ContainerKind) -> Part<'a> {
    let (title, offset) = (sign_title(kind), rest.offset);
    let part_kind = match rest.bytes.first_chunk::<SIGN_LEN>() {
        Some(sign) if kind != ContainerKind::FROM_OFD => PartKind::MessageSign(*sign),
        _ => PartKind::Other,
    };
    let mut fields = sign_fields(&mut rest, kind);
    fields.push(rest.field::<2>("завершающие нули", |bytes| zeros_text(bytes).to_owned()));
    fields.retain(|field| !field.bytes.is_empty());
    Part { kind: part_kind, title, offset, content: Content::Fields(fields), remarks: Vec::new() }
}

fn zeros_text(bytes: [u8; 2]) -> &'static str {
    if bytes == [0, 0] { "два нулевых байта" } else { "обычно здесь нули" }
}

fn sign_title(kind: ContainerKind) -> String {
    match kind {
        ContainerKind::FROM_OFD => "ФПП, фискальный признак подтверждения".to_owned(),
        _ => "ФПС, фискальный признак сообщения".to_owned(),
    }
}

fn sign_fields<'a>(rest: &mut Span<'a>, kind: ContainerKind) -> Vec<Field<'a>> {
    let whole = rest.bytes.first_chunk::<SIGN_LEN>().copied();
    vec![
        rest.field::<1>("тип признака", |[byte]| format!("{byte:02X}, {}", sign_kind_text(byte))),
        rest.field::<1>("длина признака", |[length]| length.to_string()),
        rest.field::<6>("значение", |_| match whole {
            Some(sign) if kind != ContainerKind::FROM_OFD => {
                format!("messageFiscalSign {}", u64::from_be_bytes(sign))
            }
            _ => String::new(),
        }),
    ]
}

/// Whose sign it is, by its first byte. The stand-in profile keeps the generation of the key in the low nibble.
fn sign_kind_text(byte: u8) -> String {
    match byte {
        0x81 => "ФПС сертифицированного ФН".to_owned(),
        0x82 => "ФПП сертифицированной ПКЗ".to_owned(),
        0x00 => "признака нет".to_owned(),
        _ if byte & 0xF0 == 0xD0 => format!("ФПС профиля soft-gost-1, поколение ключа {}", byte & 0x0F),
        _ if byte & 0xF0 == 0xE0 => format!("ФПП профиля soft-gost-1, поколение ключа {}", byte & 0x0F),
        _ => "неизвестен".to_owned(),
    }
}

/// `FF FF`, length 28, the container header without its first four bytes, document, ФПС.
pub(super) fn raw_data<'a>(span: Span<'a>, parts: &mut Vec<Part<'a>>) {
    let mut rest = span;
    let mut head = rest.take(RAW_MARK.len() + RAW_HEADER_LEN);
    let (offset, from_fn) = (head.offset, head.bytes.get(4).copied());
    let mut fields = vec![
        head.field::<2>("метка rawData", |_| "заголовок контейнера есть".to_owned()),
        head.field::<2>("длина заголовка", |bytes| {
            byte_count(u16::from_be_bytes(bytes).into())
        }),
        head.field::<1>("тип контейнера", |[byte]| {
            format!("{byte:02X}, {}", kind_text(ContainerKind(byte)))
        }),
    ];
    let header = head.bytes;
    fields.extend(container_header_fields(&mut head));
    fields.retain(|field| !field.bytes.is_empty());
    let title = format!("Заголовок rawData, {}", byte_count(RAW_MARK.len() + RAW_HEADER_LEN));
    let remarks = match from_fn {
        Some(byte) if ContainerKind(byte) == ContainerKind::FROM_FN => Vec::new(),
        _ => vec![Remark::damage("тип контейнера должен быть A5")],
    };
    parts.push(Part { kind: PartKind::Other, title, offset, content: Content::Fields(fields), remarks });
    document_and_sign(rest, raw_claim(header), parts);
}

/// What the kept header claims; `header` begins with the form code.
fn raw_claim(header: &[u8]) -> Option<Claimed> {
    let fn_number = FnNumber::from_bcd(header.get(4..)?.first_chunk::<8>()?).ok()?;
    let fd_number = FdNumber::from_be_bytes(*header.get(12..)?.first_chunk::<3>()?).ok()?;
    Some(Claimed { fn_number, fd_number, form: FormCode(u16::from(*header.first()?)) })
}
