//! Containers: the 32-byte header, the document or its ciphertext, the sign behind it; and what of them `rawData` keeps.

use ffd::check::Claimed;
use ffd::dict::FormCode;
use ffd::ids::{FdNumber, FnNumber};
use kkt_proto::container::{CONTAINER_HEADER_LEN, Container, ContainerKind, TRAILER_LEN};
use kkt_proto::crc;

use super::document::{DOCUMENT_HEAD_LEN, SIGN_LEN, document, document_and_sign};
use super::model::{Content, Field, Part, Remark, Span, le_u16};
use super::session::agreement;

/// Bytes of a container header that `rawData` keeps: all but length and checksum.
const RAW_HEADER_LEN: usize = 28;
/// How `rawData` with a header begins: a mark, then the length of the header, big-endian.
pub(super) const RAW_MARK: [u8; 4] = [0xFF, 0xFF, 0x00, 0x1C];

/// A container: header, document or ciphertext, trailer.
pub(super) fn container<'a>(span: Span<'a>, carrier: Option<FnNumber>, parts: &mut Vec<Part<'a>>) {
    let mut rest = span;
    let decoded = Container::decode(span.bytes);
    let mut head = rest.take(CONTAINER_HEADER_LEN);
    let kind = ContainerKind(span.bytes.get(4).copied().unwrap_or_default());
    let (offset, title) = (head.offset, format!("Заголовок контейнера, {CONTAINER_HEADER_LEN} байта"));
    let mut remarks = Vec::new();
    let mut fields = vec![
        head.field::<2>("длина контейнера", |bytes| {
            length_text(u16::from_le_bytes(bytes), span.bytes.len())
        }),
        head.field::<2>("контрольная сумма", |bytes| {
            let before = span.bytes.get(..2).unwrap_or_default();
            let after = span.bytes.get(4..).unwrap_or_default();
            agreement(u16::from_le_bytes(bytes), crc::ccitt_false(&[before, after]))
        }),
        head.field::<1>("тип контейнера", |[byte]| format!("{byte:02X}, {}", kind_text(kind))),
    ];
    fields.extend(container_header_fields(&mut head));
    if let Err(error) = &decoded {
        remarks.push(Remark::damage(format!("контейнер не принят: {error}")));
    }
    let claimed_fn = span.bytes.get(9..).and_then(|bytes| bytes.first_chunk::<8>()).map(FnNumber::from_bcd);
    if let (Some(carrier), Some(Ok(found))) = (carrier, claimed_fn)
        && carrier != found
    {
        remarks.push(Remark::damage(format!("номер ФН не тот, что в заголовке сообщения ({carrier})")));
    }
    fields.retain(|field| !field.bytes.is_empty());
    parts.push(Part { title, offset, content: Content::Fields(fields), remarks });

    let data = rest.take(rest.bytes.len().saturating_sub(TRAILER_LEN));
    let open = match &decoded {
        Ok(container) => container.is_open(),
        // The frame is damaged, so only the document's own head can tell.
        Err(_) => looks_like_document(data.bytes),
    };
    let claimed = decoded.ok().and_then(|container| claimed(&container));
    match (data.bytes.is_empty(), open) {
        (true, _) => {}
        (false, true) => document(data, claimed, parts),
        (false, false) => parts.push(encrypted(data)),
    }
    if !rest.bytes.is_empty() {
        parts.push(trailer(rest, kind));
    }
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

fn looks_like_document(data: &[u8]) -> bool {
    let form_known = le_u16(data, 0).is_some_and(|form| FormCode(form).is_known());
    form_known && le_u16(data, 2).is_some_and(|length| usize::from(length) + DOCUMENT_HEAD_LEN == data.len())
}

fn length_text(found: u16, actual: usize) -> String {
    if usize::from(found) == actual {
        format!("{found} байт")
    } else {
        format!("{found} байт, НЕВЕРНА: здесь {actual}")
    }
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
            Err(error) => format!("не номер ({error})"),
        }),
        head.field::<3>("номер ФД", |bytes| match FdNumber::from_be_bytes(bytes) {
            Ok(number) => number.get().to_string(),
            Err(error) => format!("не номер ({error})"),
        }),
        head.field::<8>("служебные данные 2а", |_| "вектор инициализации".to_owned()),
        head.field::<2>("служебные данные 2б", |_| "назначение неизвестно".to_owned()),
        head.field::<2>("длина открытых данных", |bytes| {
            format!("{} байт", u16::from_be_bytes(bytes))
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
        value: format!("{} байт", data.bytes.len()),
    };
    Part {
        title: "Зашифрованный документ".to_owned(),
        offset: data.offset,
        content: Content::Fields(vec![field]),
        remarks: vec![Remark::note("содержимое зашифровано, его открывает только ключ оператора (ПКЗ)")],
    }
}

/// The 10 bytes after the document.
pub(super) fn trailer<'a>(mut rest: Span<'a>, kind: ContainerKind) -> Part<'a> {
    let (title, offset) = (sign_title(kind), rest.offset);
    let mut fields = sign_fields(&mut rest, kind);
    fields.push(rest.field::<2>("завершающие нули", |bytes| zeros_text(bytes).to_owned()));
    fields.retain(|field| !field.bytes.is_empty());
    Part { title, offset, content: Content::Fields(fields), remarks: Vec::new() }
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
            format!("{} байт", u16::from_be_bytes(bytes))
        }),
        head.field::<1>("тип контейнера", |[byte]| {
            format!("{byte:02X}, {}", kind_text(ContainerKind(byte)))
        }),
    ];
    let header = head.bytes;
    fields.extend(container_header_fields(&mut head));
    fields.retain(|field| !field.bytes.is_empty());
    let title = format!("Заголовок rawData, {} байта", RAW_MARK.len() + RAW_HEADER_LEN);
    let remarks = match from_fn {
        Some(byte) if ContainerKind(byte) == ContainerKind::FROM_FN => Vec::new(),
        _ => vec![Remark::damage("тип контейнера должен быть A5")],
    };
    parts.push(Part { title, offset, content: Content::Fields(fields), remarks });
    document_and_sign(rest, raw_claim(header), parts);
}

/// What the kept header claims; `header` begins with the form code.
fn raw_claim(header: &[u8]) -> Option<Claimed> {
    let fn_number = FnNumber::from_bcd(header.get(4..)?.first_chunk::<8>()?).ok()?;
    let fd_number = FdNumber::from_be_bytes(*header.get(12..)?.first_chunk::<3>()?).ok()?;
    Some(Claimed { fn_number, fd_number, form: FormCode(u16::from(*header.first()?)) })
}
