//! Verdicts of the format-logic control (ФЛК) and their codes.
//!
//! 420, 502, 503 and 507 are known of the tax service (spec, "How ФНС answers"). Those from 900 on are the simulator's
//! own, out of the range of real ones on purpose; 907 is an addition to the list of the spec.

use serde::{Deserialize, Serialize};

/// What the control says of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// Taken.
    Accepted,
    /// Soft quarantine: left when the flaw is removed.
    Soft,
    /// Hard quarantine: for ever.
    Hard,
}

/// One code.
struct Def {
    code: u16,
    hard: bool,
    text: &'static str,
    /// Place in the document.
    path: Option<&'static str>,
}

const fn hard(code: u16, text: &'static str, path: Option<&'static str>) -> Def {
    Def { code, hard: true, text, path }
}

const fn soft(code: u16, text: &'static str, path: Option<&'static str>) -> Def {
    Def { code, hard: false, text, path }
}

/// All codes; the place in the table is the bit in [`Codes`].
const TABLE: [Def; 14] = [
    hard(420, "отсутствует обязательный реквизит", None),
    hard(502, "дата и время документа позже текущих более чем на сутки", Some("dateTime")),
    hard(503, "дата и время документа раньше 01.09.2016", Some("dateTime")),
    hard(507, "сумма по видам оплаты не равна сумме расчёта", Some("totalSum")),
    soft(901, "карточка регистрации не сформирована", None),
    soft(902, "регистрационный номер ККТ неизвестен", Some("kktRegId")),
    soft(903, "ФН не относится к этой ККТ", Some("fiscalDriveNumber")),
    soft(904, "ИНН отличается от указанного при регистрации", Some("userInn")),
    soft(905, "ККТ снята с учёта", Some("kktRegId")),
    soft(906, "отчёт о регистрации не поступал", None),
    soft(907, "отчёт отличается от сведений, введённых пользователем", None),
    hard(910, "фискальный признак не подтверждён", Some("fiscalSign")),
    hard(911, "номер фискального документа не возрастает", Some("fiscalDocumentNumber")),
    hard(912, "документ с этим номером уже принят с другим содержанием", Some("fiscalDocumentNumber")),
];

/// A set of codes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Codes(u16);

/// A code as answers have it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CodeJson {
    code: u16,
    text: &'static str,
    path: Option<&'static str>,
}

impl Codes {
    /// No code.
    pub(super) const NONE: Self = Self(0);

    /// Adds a code of the table.
    ///
    /// # Panics
    /// In tests of this crate only: every caller names a constant of the table.
    pub(super) fn add(&mut self, code: u16) {
        let known = self.try_add(code);
        debug_assert!(known, "code {code} is not in the table");
    }

    /// Adds a code; false when there is no such code.
    pub(super) fn try_add(&mut self, code: u16) -> bool {
        let place = TABLE.iter().position(|def| def.code == code);
        self.0 |= place.map_or(0, |bit| 1 << bit);
        place.is_some()
    }

    /// The set of these codes; the first unknown one is the error.
    pub(super) fn from_numbers(numbers: &[u16]) -> Result<Self, u16> {
        let mut codes = Self::NONE;
        match numbers.iter().find(|&&number| !codes.try_add(number)) {
            Some(&unknown) => Err(unknown),
            None => Ok(codes),
        }
    }

    /// The verdict that these codes make.
    pub(super) fn verdict(self) -> Verdict {
        match (self.0, self.is_hard()) {
            (0, _) => Verdict::Accepted,
            (_, false) => Verdict::Soft,
            (_, true) => Verdict::Hard,
        }
    }

    /// Whether one of them is hard.
    pub(super) fn is_hard(self) -> bool {
        self.defs().any(|def| def.hard)
    }

    /// The codes of both sets.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The hard ones alone when there are any: a hard document needs no advice how to leave the soft quarantine.
    pub(super) fn effective(self) -> Self {
        let hard =
            TABLE.iter().enumerate().filter(|(_, def)| def.hard).fold(0, |mask, (bit, _)| mask | 1 << bit);
        if self.is_hard() { Self(self.0 & hard) } else { self }
    }

    /// The numbers, ascending.
    pub(super) fn numbers(self) -> Vec<u16> {
        self.defs().map(|def| def.code).collect()
    }

    /// With texts.
    pub(super) fn json(self) -> Vec<CodeJson> {
        self.defs().map(|def| CodeJson { code: def.code, text: def.text, path: def.path }).collect()
    }

    /// Text of the first code; empty without codes.
    pub(super) fn first_text(self) -> &'static str {
        self.defs().next().map_or("", |def| def.text)
    }

    fn defs(self) -> impl Iterator<Item = &'static Def> {
        TABLE.iter().enumerate().filter(move |(bit, _)| self.0 >> bit & 1 == 1).map(|(_, def)| def)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_code_makes_the_verdict() {
        let check = |numbers: &[u16], verdict, effective: &[u16]| {
            let codes = Codes::from_numbers(numbers).unwrap();
            assert_eq!((codes.verdict(), codes.effective().numbers()), (verdict, effective.to_vec()));
        };
        check(&[], Verdict::Accepted, &[]);
        check(&[901], Verdict::Soft, &[901]);
        check(&[904, 901], Verdict::Soft, &[901, 904]);
        check(&[901, 507], Verdict::Hard, &[507]);
        assert_eq!(Codes::from_numbers(&[901, 900]), Err(900));
    }
}
