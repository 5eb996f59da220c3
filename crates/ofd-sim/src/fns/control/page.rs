//! The taxpayer's cabinet, as far as a registration needs it: the registers that wait, and the three values of the
//! report with the button «Завершить регистрацию» (December 2016). Endpoint 6 compares the same way.

use std::fmt::{self, Write as _};

use axum::http::{HeaderValue, StatusCode, header};
use jiff::civil::DateTime;

use crate::fns::http::{Answer, form_values, with_type};
use crate::fns::shared::Shared;
use crate::fns::wire::TypedReport;
use crate::fns::world::CompletionError;

/// Registers listed on the page.
const LISTED: usize = 200;

/// What became of the typed values.
pub(super) struct Notice {
    is_good: bool,
    text: String,
}

/// The page.
pub(super) fn show(shared: &Shared, notice: Option<&Notice>) -> Answer {
    let status = if notice.is_none_or(|notice| notice.is_good) {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let mut answer = with_type(status, "text/html; charset=utf-8", html(shared, notice));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    answer
}

/// The button was pressed.
pub(super) fn submit(shared: &Shared, body: &[u8]) -> Answer {
    let values = form_values(&String::from_utf8_lossy(body));
    let value = |name: &str| {
        let found = values.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let bad = |text: &str| Notice { is_good: false, text: text.to_owned() };
    let rnm: String = value("rnm").chars().filter(|character| !character.is_whitespace()).collect();
    let typed = match typed(&value) {
        Ok(typed) => typed,
        Err(text) => return show(shared, Some(&bad(text))),
    };
    let notice = match shared.with(|world, now| world.complete(&rnm, typed, now)) {
        Ok(()) => Notice {
            is_good: true,
            text: format!("Регистрация ККТ {rnm} завершена, карточка сформирована."),
        },
        Err(CompletionError::UnknownRnm) => bad("Такой регистрационный номер не присваивался."),
        Err(CompletionError::AlreadyCompleted) => bad("Регистрация этой ККТ уже завершена."),
        Err(CompletionError::Mismatch(name)) => {
            bad(&format!("Сведения не совпадают с отчётом о регистрации: {}.", label(name)))
        }
    };
    show(shared, Some(&notice))
}

/// The form's values as endpoint 6 has them; else what is wrong with them.
fn typed(value: &impl Fn(&str) -> String) -> Result<TypedReport, &'static str> {
    let moment = DateTime::strptime("%d.%m.%Y %H:%M", value("date_time"))
        .map_err(|_| "Дата и время указываются в виде дд.мм.гггг чч:мм.")?;
    Ok(TypedReport {
        user_inn: value("inn"),
        report_kind: value("kind").parse().map_err(|_| "Укажите вид отчёта.")?,
        date_time: moment.strftime("%Y-%m-%dT%H:%M").to_string(),
        fd_number: value("fd").parse().map_err(|_| "Номер фискального документа состоит из цифр.")?,
        fiscal_sign: value("sign"),
    })
}

fn label(name: &str) -> &'static str {
    match name {
        "userInn" => "ИНН пользователя",
        "reportKind" => "вид отчёта",
        "dateTime" => "дата и время",
        "fdNumber" => "номер фискального документа",
        _ => "фискальный признак",
    }
}

fn html(shared: &Shared, notice: Option<&Notice>) -> String {
    let mut page = String::from(HEAD);
    if let Some(notice) = notice {
        let class = if notice.is_good { "good" } else { "bad" };
        let _ = writeln!(page, "<p class=\"{class}\" role=\"status\">{}</p>", Escaped(&notice.text));
    }
    page.push_str(FORM);
    page.push_str("<h2>Контрольно-кассовая техника</h2>\n");
    let (rows, total) = shared.with(|world, _| {
        let kkts = world.kkts();
        let mut rows = String::new();
        for kkt in kkts.iter().take(LISTED) {
            let _ = writeln!(
                rows,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                Escaped(&grouped(&kkt.rnm)),
                Escaped(&kkt.device.serial),
                Escaped(kkt.card_storage().map(|number| number.to_string()).as_deref().unwrap_or("")),
                Escaped(&kkt.user.inn),
                state(kkt.state())
            );
        }
        (rows, kkts.len())
    });
    if total == 0 {
        page.push_str("<p>Пока нет ни одной.</p>\n");
    } else {
        page.push_str(
            "<table><tr><th>РНМ</th><th>Заводской номер</th><th>ФН</th><th>ИНН</th><th>Состояние</th></tr>\n",
        );
        page.push_str(&rows);
        page.push_str("</table>\n");
        if total > LISTED {
            let _ = writeln!(page, "<p>Показаны первые {LISTED} из {total}.</p>");
        }
    }
    page.push_str("</main></body></html>\n");
    page
}

/// A registration number in groups of four, as the real cabinet shows it.
fn grouped(rnm: &str) -> String {
    let mut grouped = String::new();
    for (place, character) in rnm.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            grouped.push(' ');
        }
        grouped.push(character);
    }
    grouped
}

fn state(state: &str) -> &'static str {
    match state {
        "issued" => "Присвоен регистрационный номер ККТ",
        "reportReceived" => "Отчёт о регистрации получен, завершите регистрацию",
        "registered" => "Зарегистрирована",
        "refused" => "В регистрации отказано",
        _ => "Снята с учёта",
    }
}

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="ru"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Кабинет налогоплательщика (имитация)</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; color: #1b1f24; background: #f5f6f8; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
form { background: #fff; border: 1px solid #d5d9df; border-radius: 8px; padding: 1rem 1.25rem; display: grid; gap: .75rem; max-width: 30rem; }
label { display: grid; gap: .2rem; }
input, select, button { font: inherit; padding: .45rem .6rem; border: 1px solid #9aa3ae; border-radius: 6px; }
button { background: #1558b0; border-color: #1558b0; color: #fff; cursor: pointer; }
table { border-collapse: collapse; background: #fff; width: 100%; }
th, td { border: 1px solid #d5d9df; padding: .35rem .6rem; text-align: left; }
.good { background: #e3f4e5; padding: .6rem 1rem; border-radius: 6px; }
.bad { background: #fbe6e4; padding: .6rem 1rem; border-radius: 6px; }
</style></head><body><main>
<h1>Кабинет налогоплательщика</h1>
<p>Это имитация для испытаний, а не сервис ФНС.</p>
"#;

const FORM: &str = r#"<h2>Отчёт о регистрации</h2>
<form method="post" action="/cabinet">
<label>Регистрационный номер ККТ <input name="rnm" required inputmode="numeric" autocomplete="off"></label>
<label>ИНН пользователя <input name="inn" required inputmode="numeric" autocomplete="off"></label>
<label>Отчёт <select name="kind"><option value="1">о регистрации</option><option value="11">об изменении параметров регистрации</option></select></label>
<label>Дата и время <input name="date_time" required placeholder="дд.мм.гггг чч:мм" autocomplete="off"></label>
<label>Номер фискального документа <input name="fd" required inputmode="numeric" autocomplete="off"></label>
<label>Фискальный признак <input name="sign" required inputmode="numeric" maxlength="10" autocomplete="off"></label>
<button type="submit">Завершить регистрацию</button>
</form>
"#;

/// A text inside HTML.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}
