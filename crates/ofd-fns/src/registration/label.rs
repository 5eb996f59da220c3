//! The label that the client of the operator sees: one sentence derived from state and dimensions, first match wins
//! (tax-service notes B2).

use ofd_store::RegistrationState as State;

use super::dimensions::{ContractStanding, Dimensions, Liveness};
use super::settings::DAY_S;

/// The label, Russian. Whoever is registered and heard of is «Подключена», a pending change of parameters included.
pub fn label(state: State, dimensions: &Dimensions) -> String {
    let fixed = match (state, dimensions.contract, dimensions.liveness) {
        (State::Deregistered, ..) => "Снята с учёта",
        (_, ContractStanding::Stopped, _) => "Обслуживание приостановлено",
        (_, ContractStanding::Draft, _) | (State::ContractDraft, ..) => "Заключите договор",
        (State::Contracted | State::ApplicationSent | State::ApplicationRefused, ..) => {
            "Ожидает регистрации в ФНС"
        }
        (State::RnmAssigned, ..) => "Присвоен РНМ, ожидаем отчёт о регистрации",
        (State::ReportReceived | State::ReportForwarded, ..) => "Отчёт получен, ожидаем карточку",
        (State::AwaitingManualCompletion, ..) => "Завершите регистрацию вручную",
        (State::ReportRefused, ..) => "Отказ ФНС",
        (State::FnClosed, ..) => "ФН закрыт",
        (
            State::Linked | State::ReregReportReceived | State::ReregForwarded,
            _,
            Liveness::SilentFor { period_s },
        ) => {
            return format!("Нет данных более {}", period(period_s));
        }
        (State::Linked | State::ReregReportReceived | State::ReregForwarded, ..) => "Подключена",
    };
    fixed.to_owned()
}

/// A period in the genitive case, in the largest unit that fits it whole: `30 дней`, `1 часа`.
fn period(seconds: u64) -> String {
    const UNITS: [(u64, &str, &str); 4] =
        [(DAY_S, "дня", "дней"), (3_600, "часа", "часов"), (60, "минуты", "минут"), (1, "секунды", "секунд")];
    let fits = UNITS.into_iter().find(|(unit, ..)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, one, many) = fits.unwrap_or((1, "секунды", "секунд"));
    let count = seconds / unit;
    let singular = count % 10 == 1 && count % 100 != 11;
    format!("{count} {}", if singular { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registration::dimensions::{FnCondition, FnsCondition};

    fn plain() -> Dimensions {
        Dimensions {
            contract: ContractStanding::Active,
            liveness: Liveness::Online,
            fn_condition: FnCondition::Ok,
            fns: FnsCondition::Ok,
        }
    }

    #[track_caller]
    fn check(state: State, contract: ContractStanding, liveness: Liveness, expected: &str) {
        assert_eq!(label(state, &Dimensions { contract, liveness, ..plain() }), expected, "{state:?}");
    }

    const SILENT: Liveness = Liveness::SilentFor { period_s: 30 * DAY_S };

    #[test]
    fn every_state_under_a_contract_in_force() {
        let check = |state: State, expected: &str| {
            for contract in [ContractStanding::None, ContractStanding::Active, ContractStanding::Grace] {
                check(state, contract, Liveness::Online, expected);
            }
        };
        check(State::ContractDraft, "Заключите договор");
        check(State::Contracted, "Ожидает регистрации в ФНС");
        check(State::ApplicationSent, "Ожидает регистрации в ФНС");
        check(State::ApplicationRefused, "Ожидает регистрации в ФНС");
        check(State::RnmAssigned, "Присвоен РНМ, ожидаем отчёт о регистрации");
        check(State::ReportReceived, "Отчёт получен, ожидаем карточку");
        check(State::ReportForwarded, "Отчёт получен, ожидаем карточку");
        check(State::AwaitingManualCompletion, "Завершите регистрацию вручную");
        check(State::ReportRefused, "Отказ ФНС");
        check(State::Linked, "Подключена");
        check(State::ReregReportReceived, "Подключена");
        check(State::ReregForwarded, "Подключена");
        check(State::FnClosed, "ФН закрыт");
        check(State::Deregistered, "Снята с учёта");
    }

    #[test]
    fn the_first_match_wins() {
        for state in State::ALL {
            let stopped = if state == State::Deregistered {
                "Снята с учёта"
            } else {
                "Обслуживание приостановлено"
            };
            check(state, ContractStanding::Stopped, SILENT, stopped);
            let draft = if state == State::Deregistered {
                "Снята с учёта"
            } else {
                "Заключите договор"
            };
            check(state, ContractStanding::Draft, SILENT, draft);
        }
        for state in [State::Linked, State::ReregReportReceived, State::ReregForwarded] {
            check(state, ContractStanding::Active, SILENT, "Нет данных более 30 дней");
            check(state, ContractStanding::Active, Liveness::Silent48h, "Подключена");
            check(state, ContractStanding::Active, Liveness::Never, "Подключена");
        }
        check(State::FnClosed, ContractStanding::Active, SILENT, "ФН закрыт");
        check(State::ReportForwarded, ContractStanding::Active, SILENT, "Отчёт получен, ожидаем карточку");
    }

    #[test]
    fn periods_in_words() {
        let check = |seconds: u64, expected: &str| assert_eq!(period(seconds), expected);
        check(30 * DAY_S, "30 дней");
        check(DAY_S, "1 дня");
        check(11 * DAY_S, "11 дней");
        check(21 * DAY_S, "21 дня");
        check(7_200, "2 часов");
        check(60, "1 минуты");
        check(5, "5 секунд");
        check(0, "0 секунд");
    }
}
