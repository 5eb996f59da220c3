//! The rules of the control as data: their names, what they weigh unless an operator decides otherwise, what they are
//! about, and which check of the order they carry out.
//!
//! Names are stable: settings, statistics and stored findings refer to them. The last column is the number of the check
//! in the list of the operator's checks (FFD order, "Checks an OFD makes").

use serde::Serialize;

use super::Severity;

/// One rule of the control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RuleDef {
    /// Stable name, `group.name`.
    pub name: &'static str,
    /// Weight of its findings unless settings say otherwise, see [`super::Severities`].
    pub severity: Severity,
    /// What the rule demands, for people, in Russian.
    pub about_ru: &'static str,
    /// Number of the check in the operator's list of checks: `8`, `21c`.
    pub check: &'static str,
}

/// All rules, sorted by name; those of identity included.
pub fn rules() -> &'static [RuleDef] {
    RULES
}

/// The rule of this name.
pub fn rule(name: &str) -> Option<&'static RuleDef> {
    position(name).and_then(|place| RULES.get(place))
}

/// Place of the rule in [`rules()`].
pub(super) fn position(name: &str) -> Option<usize> {
    RULES.binary_search_by(|rule| rule.name.cmp(name)).ok()
}

/// How many rules there are.
pub(super) const COUNT: usize = RULES.len();

const fn hard(name: &'static str, check: &'static str, about_ru: &'static str) -> RuleDef {
    RuleDef { name, severity: Severity::Hard, about_ru, check }
}

const fn soft(name: &'static str, check: &'static str, about_ru: &'static str) -> RuleDef {
    RuleDef { name, severity: Severity::Soft, about_ru, check }
}

#[rustfmt::skip]
const RULES: &[RuleDef] = &[
    soft("closing.unacknowledged", "21e", "отчёт о закрытии ФН приходит после всех его документов: в номерах ФД до него нет пропусков"),
    soft("correction.base", "21", "чек коррекции несёт основание для коррекции (1174)"),
    soft("correction.order", "21", "в чеке коррекции по предписанию указан номер предписания (1179)"),
    soft("correction.type", "21", "тип коррекции (1173) указан и равен 0 или 1"),
    soft("counters.block", "19", "в каждом блоке счётчиков итог (1201) равен сумме его частей"),
    soft("counters.decrease", "19", "итоги ФН (1157) не убывают"),
    soft("counters.documents", "19", "число ФД за смену (1111) равно числу пришедших документов смены"),
    soft("counters.receipts", "19", "число чеков за смену (1118) равно числу пришедших чеков смены"),
    soft("counters.shift", "19", "итоги смены (1194) равны сумме её чеков"),
    hard("identity.fd", "9", "номер ФД (1040) есть и равен номеру в контейнере"),
    hard("identity.fn", "9", "номер ФН (1041) есть и равен номеру в контейнере"),
    hard("identity.form", "9", "форма документа та же, что в контейнере"),
    hard("identity.rnm", "9", "регистрационный номер ККТ (1037) указан"),
    hard("identity.sign", "9", "фискальный признак документа (1077) указан"),
    hard("identity.time", "9", "дата и время (1012) указаны"),
    soft("inn.digits", "7", "контрольные цифры ИНН верны (1018, 1017, 1203, 1226, 1228)"),
    hard("inn.format", "6", "ИНН (1018, 1226, 1016, 1017) — 10 или 12 цифр, первые две не 00"),
    soft("inn.person", "6", "ИНН кассира и покупателя (1203, 1228) — 10 или 12 цифр"),
    soft("item.cost", "13", "стоимость предмета расчёта (1043) равна цене (1079), умноженной на количество (1023), с точностью до копейки"),
    soft("item.measure", "18", "в ФФД 1.2 у каждого предмета расчёта есть мера количества (2108)"),
    soft("item.vat", "14", "при ставке «без НДС» сумма НДС предмета расчёта (1200) отсутствует, равна нулю или стоимости"),
    soft("notification.zone", "22", "в уведомлении о реализации указаны часовая зона (1011) и номер чека (2040)"),
    soft("numbering.document", "19", "номера ФД (1040) идут подряд"),
    soft("numbering.receipt", "19", "номера чеков в смене (1042) идут подряд"),
    soft("numbering.shift", "19", "номера смен (1038) идут подряд"),
    soft("numbering.shift-closed", "19", "чеки пробиваются в открытой смене"),
    soft("numbering.shift-length", "19", "смена длится не более 24 часов"),
    soft("receipt.agent", "21c", "агентские признаки чека входят в признаки агента из регистрации; без них нет и реквизитов агента"),
    soft("receipt.credit", "21c", "оплата кредита (1214 = 7) — единственный предмет расчёта в чеке"),
    soft("receipt.excise", "21c", "подакцизный товар продаёт касса, у которой этот признак зарегистрирован"),
    soft("receipt.offline-items", "21c", "в чеке автономной кассы не более 10 предметов расчёта с кодом товара (1162) или ИНН поставщика (1226)"),
    soft("registration.operator", "20", "ИНН ОФД (1017) — наш"),
    soft("registration.place", "17", "адрес и место расчётов (1009, 1187) те же, что в отчёте о регистрации"),
    soft("registration.user", "20", "пользователь (1018) и регистрационный номер ККТ (1037) те же, что в отчёте о регистрации"),
    soft("report.automat", "21a", "у кассы в автомате (1001) указан номер автомата (1036)"),
    soft("report.first", "21b", "отчёт о регистрации и отчёт о замене ФН — первые документы накопителя (1040 = 1)"),
    soft("report.offline", "21a", "автономная касса (1002) не шифрует (1056) и не называет ОФД (1017)"),
    soft("report.online", "21a", "касса с передачей данных называет ИНН и наименование ОФД (1017, 1046)"),
    soft("rnm.checksum", "8", "контрольное число регистрационного номера ККТ (1037) верно"),
    soft("structure.conditional", "1", "есть реквизиты, обязательные при условии, которое выполнено"),
    hard("structure.length", "2", "длина каждого реквизита, кроме составных, допустима"),
    hard("structure.mandatory", "1", "есть все обязательные реквизиты"),
    hard("structure.repeat", "2", "реквизиты не повторяются, кроме тех, которым это разрешено"),
    soft("structure.size", "2", "размер документа не больше допустимого для его формы"),
    hard("structure.type", "2", "значение каждого реквизита читается по его типу"),
    soft("structure.undeclared", "2", "нет реквизитов, которых не знает форма документа"),
    soft("structure.version", "10", "версия ФФД (1209) известна"),
    hard("sum.items", "11", "сумма предметов расчёта (1043) равна сумме расчёта (1020) в целых рублях"),
    hard("sum.payments", "12", "сумма видов оплаты (1031, 1081, 1215, 1216, 1217) равна сумме расчёта (1020)"),
    soft("time.ahead", "5", "дата и время (1012) не позже самого восточного часового пояса России"),
    hard("time.earliest", "3", "дата и время (1012) не раньше 2016-09-01"),
    hard("time.future", "4", "дата и время (1012) не более чем на сутки впереди времени приёма"),
    soft("time.order", "19", "дата и время (1012) не раньше, чем в предыдущем документе"),
    hard("value.operation", "10", "признак расчёта (1054) — от 1 до 4"),
    hard("value.taxation", "10", "применяемая система налогообложения (1055) — ровно одна из известных"),
    soft("value.taxation-registered", "10", "применяемая система налогообложения (1055) зарегистрирована (1062)"),
    soft("value.unknown", "2", "значение реквизита входит в его список; 1011 и 2040, тип которых не опубликован, читаются"),
    soft("vat.absent", "15", "в чеке есть итог НДС (1102–1107), если его предметы облагаются"),
    soft("vat.rates", "16", "суммы по ставкам 5, 7, 22 % и их расчётным ставкам стоят в блоке 1115, а не в 1102–1107"),
    soft("vat.totals", "15", "итоги НДС чека равны суммам по его предметам расчёта"),
    soft("version.tags", "21d", "1101 и 1068 — только в ФФД 1.0 и 1.05, 1205 и 1206 — начиная с 1.1"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_complete() {
        assert!(rules().is_sorted_by(|one, other| one.name < other.name));
        for def in rules() {
            assert_eq!(rule(def.name), Some(def));
            assert!(
                !def.about_ru.is_empty() && !def.check.is_empty() && def.name.contains('.'),
                "{}",
                def.name
            );
        }
        assert_eq!(rule("identity"), None);
        assert_eq!(rule(""), None);
    }
}
