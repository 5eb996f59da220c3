//! What an operator states about a register that no report has told about yet.

use jiff::Timestamp;

use super::kkts;
use crate::records::RegisterAdd;
use crate::registration::{Kkt, KktKey, RegistrationState};
use crate::sql::{self, Db};

/// Makes a register in `CONTRACTED` without a contract, or completes the one that is there.
///
/// What a contract or a report said stands, and only empty places are filled; what an operator stated before gives way to
/// his newest word.
pub(crate) fn put(db: Db<'_>, stated: &RegisterAdd, at: Timestamp, facts_version: i64) -> sql::Result<()> {
    let found = find(db, stated)?;
    let mut kkt = found.clone().unwrap_or_else(|| Kkt::new(RegistrationState::Contracted, at));
    let is_free = kkt.state == RegistrationState::Contracted && kkt.line_id.is_none();
    let fill = |place: &mut Option<String>, word: Option<&str>| {
        if let Some(word) = without_padding(word).filter(|_| is_free || place.is_none()) {
            *place = Some(word.to_owned());
        }
    };
    fill(&mut kkt.serial, stated.kkt_serial.as_deref());
    fill(&mut kkt.rnm, stated.rnm.as_deref());
    fill(&mut kkt.inn, stated.inn.as_deref());
    // A register that reported under another ФН gets a new one by its own report.
    if is_free || kkt.fn_number.is_none() {
        kkt.fn_number = stated.fn_number.or(kkt.fn_number);
    }
    if found.as_ref() != Some(&kkt) {
        kkt.updated_at = at;
        kkts::put(db, &kkt, || Ok(facts_version))?;
    }
    Ok(())
}

/// By its ФН; else by its serial number, which models may share: another user is another register.
fn find(db: Db<'_>, stated: &RegisterAdd) -> sql::Result<Option<Kkt>> {
    if let Some(fn_number) = &stated.fn_number
        && let Some(kkt) = kkts::find(db, KktKey::Fn(fn_number))?
    {
        return Ok(Some(kkt));
    }
    let Some(serial) = without_padding(stated.kkt_serial.as_deref()) else { return Ok(None) };
    let by_serial = kkts::find(db, KktKey::Serial(serial))?;
    Ok(by_serial.filter(|kkt| {
        let same_user = match (without_padding(stated.inn.as_deref()), &kkt.inn) {
            (Some(inn), Some(known)) => inn == known,
            _ => true,
        };
        same_user && kkt.state != RegistrationState::Deregistered
    }))
}

fn without_padding(word: Option<&str>) -> Option<&str> {
    word.map(str::trim).filter(|word| !word.is_empty())
}
