//! Russian wording shared by all layers: counted bytes, and what `kkt-proto` finds wrong.

use ffd::text::plural;
use kkt_proto::error::{Flaw, Malformed, Seen};

/// «1 байт», «2 байта», «5 байт».
pub(super) fn byte_count(count: usize) -> String {
    format!("{count} {}", plural(count, ["байт", "байта", "байт"]))
}

/// «3 из 8 байт», «0 из 1 байта».
pub(super) fn of_bytes(found: usize, whole: usize) -> String {
    format!("{found} из {whole} {}", plural(whole, ["байта", "байт", "байт"]))
}

/// What is wrong, where, and what should be there. Offsets count from the structure the flaw belongs to.
pub(super) fn malformed_text(error: &Malformed) -> String {
    let hex = matches!(error.flaw, Flaw::HeaderCrc | Flaw::MessageCrc | Flaw::ContainerCrc);
    let found = match &error.value {
        Seen::Number(number) if hex => format!("{number:#06x}"),
        Seen::Number(number) => number.to_string(),
        Seen::Bytes(bytes) => ::hex::encode(bytes),
    };
    let mut text = format!("{} (смещение {}: {found}", flaw_text(error.flaw), error.offset);
    match (error.flaw, error.expected) {
        (_, None) => {}
        (Flaw::AckField, Some(tag)) => text += &format!(", тег {tag}"),
        (_, Some(number)) if hex => text += &format!(", должно быть {number:#06x}"),
        (_, Some(number)) => text += &format!(", должно быть {number}"),
    }
    text + ")"
}

fn flaw_text(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Signature => "неизвестная сигнатура",
        Flaw::SVersion => "неизвестная версия S-протокола",
        Flaw::PVersion => "неизвестная версия P-протокола",
        Flaw::FnNumber => "номер ФН состоит не из цифр с пробелами в конце",
        Flaw::CrcMode => "запрещённый способ вычисления проверочного кода",
        Flaw::Capability => "запрещённое значение возможностей клиента",
        Flaw::BodySize => "тело длиннее допустимого",
        Flaw::EmptyContainer => "объявлен контейнер, а тела нет",
        Flaw::BodyWithoutContainer => "тело не является контейнером",
        Flaw::MarkingService => "документ для ОИСМ",
        Flaw::HeaderCrc => "проверочный код заголовка не сходится",
        Flaw::MessageCrc => "проверочный код сообщения не сходится",
        Flaw::ContainerLength => "длина контейнера не сходится",
        Flaw::ContainerCrc => "контрольная сумма контейнера не сходится",
        Flaw::ContainerKind => "неверный тип контейнера",
        Flaw::ContainerVersion => "неизвестная версия формата контейнера",
        Flaw::ContainerFn => "номер ФН записан не в BCD",
        Flaw::ContainerFd => "номер ФД вне допустимых",
        Flaw::ForeignContainer => "контейнер другого ФН",
        Flaw::AckLength => "длина документа 7 не сходится",
        Flaw::AckForm => "это не документ 7",
        Flaw::AckField => "неверное поле документа 7",
        Flaw::AckMissing => "нет обязательного поля документа 7, тег",
        // The enum grows with the protocol; its label is better than silence.
        other => other.reason(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_in_russian() {
        for (count, expected) in [
            (0, "0 байт"),
            (1, "1 байт"),
            (3, "3 байта"),
            (11, "11 байт"),
            (21, "21 байт"),
            (552, "552 байта"),
        ] {
            assert_eq!(byte_count(count), expected);
        }
        assert_eq!(of_bytes(0, 1), "0 из 1 байта");
        assert_eq!(of_bytes(2, 6), "2 из 6 байт");
        assert_eq!(of_bytes(70, 295), "70 из 295 байт");
        assert_eq!(of_bytes(3, 21), "3 из 21 байта");
    }
}
