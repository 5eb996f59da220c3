//! Texts of tasks: what happened and what is to be done, for the operator's staff, Russian.

use ffd::ids::{FnNumber, Rnm};
use ofd_store::{FnsCode, Kkt};

use super::compare::{self, Difference};
use crate::registration::ManualValues;
use crate::registration::card::CardFacts;
use crate::registration::report::{ReportFacts, ReportForm};

/// Most codes that a text names.
const MAX_NAMED_CODES: usize = 10;

pub(super) fn mismatch(facts: &ReportFacts, differing: &[Difference]) -> String {
    let report = match facts.form {
        ReportForm::Registration => "Отчёт о регистрации",
        ReportForm::Change => "Отчёт об изменении параметров",
    };
    format!(
        "{report} (ФН {}, ФД {}) принят и передаётся в ФНС, но расходится с нашими данными: {}. Уточните у клиента; \
         исправьте договор, либо клиент формирует отчёт заново.",
        facts.fn_number,
        facts.fd_number,
        differences(differing, "в отчёте")
    )
}

pub(super) fn card_differs(facts: &CardFacts, differing: &[Difference]) -> String {
    format!(
        "Карточка {}(РНМ {}) не сходится с ККТ: {}. ККТ не изменена. Сверьте карточку с договором и отчётом.",
        facts.number.as_ref().map(|number| format!("№ {number} ")).unwrap_or_default(),
        facts.rnm,
        differences(differing, "в карточке")
    )
}

pub(super) fn fn_changed(kkt: &Kkt, before: &FnNumber, facts: &ReportFacts) -> String {
    format!(
        "{}: отчёт пришёл с ФН {}, по нашим данным в ней был ФН {before}. Новый ФН записан. Проверьте, что замена \
         согласована с клиентом.",
        register(kkt),
        facts.fn_number
    )
}

pub(super) fn other_rnm_assigned(kkt: &Kkt, ours: &str, theirs: &Rnm) -> String {
    format!(
        "{}: ФНС присвоила РНМ {theirs}, у нас записан {ours}. РНМ не изменён, уточните у клиента.",
        register(kkt)
    )
}

pub(super) fn rnm_taken(kkt: &Kkt, by: &str) -> String {
    format!(
        "{}: этот РНМ был введён без подтверждения, а документ с ним пришёл от другой ККТ ({by}). У этой ККТ РНМ убран. \
         Уточните у клиента её РНМ.",
        register(kkt)
    )
}

pub(super) fn report_refused_afterwards(kkt: &Kkt, reasons: &[FnsCode]) -> String {
    format!(
        "{}: ФНС отказала по отчёту, хотя карточка этой ККТ уже есть: {}. Состояние ККТ не изменено. Разберитесь с клиентом \
         и налоговым органом.",
        register(kkt),
        codes(reasons)
    )
}

pub(super) fn report_overdue(kkt: &Kkt) -> String {
    format!(
        "{}: РНМ присвоен, отчёт о регистрации в срок не пришёл. Напомните клиенту: по закону — не позднее рабочего дня \
         после присвоения номера.",
        register(kkt)
    )
}

pub(super) fn manual_completion(kkt: &Kkt, manual: Option<&ManualValues>) -> String {
    format!(
        "{}: карточка регистрации из ФНС не пришла. Клиент завершает регистрацию в кабинете налогоплательщика{}, затем \
         карточка загружается у нас.",
        register(kkt),
        values(manual)
    )
}

pub(super) fn rereg_reminder(kkt: &Kkt, manual: Option<&ManualValues>) -> String {
    format!(
        "{}: после отчёта об изменении параметров новая карточка не пришла. Напомните клиенту завершить перерегистрацию в \
         кабинете налогоплательщика{}.",
        register(kkt),
        values(manual)
    )
}

pub(super) fn report_refused(kkt: &Kkt, reasons: &[FnsCode]) -> String {
    format!(
        "{}: ФНС отказала в регистрации по отчёту: {}. Клиент устраняет причину и формирует отчёт заново.",
        register(kkt),
        codes(reasons)
    )
}

pub(super) fn application_refused(kkt: &Kkt, reasons: &str) -> String {
    format!("{}: ФНС отказала по заявлению: {reasons}. Исправьте и подайте новое.", register(kkt))
}

/// Codes of the tax service with their texts.
pub(crate) fn codes(codes: &[FnsCode]) -> String {
    if codes.is_empty() {
        return "причина не указана".to_owned();
    }
    let named = codes.iter().take(MAX_NAMED_CODES).map(|code| {
        let text = if code.text.is_empty() { String::new() } else { format!(" {}", code.text) };
        let path = code.path.as_ref().map(|path| format!(" ({path})")).unwrap_or_default();
        format!("{}{text}{path}", code.code)
    });
    named.collect::<Vec<_>>().join("; ")
}

/// The register as people call it.
pub(crate) fn register(kkt: &Kkt) -> String {
    let known = [
        kkt.serial.as_ref().map(|serial| format!("зав. № {serial}")),
        kkt.rnm.as_ref().map(|rnm| format!("РНМ {rnm}")),
        kkt.fn_number.map(|number| format!("ФН {number}")),
    ];
    let known: Vec<String> = known.into_iter().flatten().collect();
    if known.is_empty() { format!("ККТ {}", kkt.id) } else { format!("ККТ {}", known.join(", ")) }
}

fn values(manual: Option<&ManualValues>) -> String {
    let Some(ManualValues { date_time, fd, fiscal_sign }) = manual else { return String::new() };
    format!(" (дата и время {date_time}, номер ФД {fd}, фискальный признак {fiscal_sign})")
}

fn differences(differing: &[Difference], side: &str) -> String {
    let word = |difference: &Difference| {
        let name = match difference.field {
            compare::FN => "ФН",
            compare::KKT_SERIAL => "заводской номер ККТ",
            compare::INN => "ИНН",
            compare::RNM => "РНМ",
            _ => return "ФН другой, а причина «замена ФН» не указана".to_owned(),
        };
        let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "не указан".to_owned());
        match (&difference.ours, difference.field) {
            (None, compare::RNM) if difference.theirs.is_some() => {
                format!("{name} {side} {} уже принадлежит другой ККТ", show(&difference.theirs))
            }
            _ => format!("{name} {side} {}, у нас {}", show(&difference.theirs), show(&difference.ours)),
        }
    };
    differing.iter().map(word).collect::<Vec<_>>().join("; ")
}
