//! Applications that people hand in through us.

use jiff::Timestamp;
use ofd_store::{
    Application, ApplicationFilter, ApplicationState, Kkt, RegistrationState as State, Registry,
    RegistryReader,
};
use uuid::{NoContext, Uuid};

use super::registers::{RegisterKey, register_of};
use super::{BY_DAEMON, OpsError, done};
use crate::client::wire::{
    ApplicationJson, ApplicationKind, ClosingReport, DeviceJson, Modes, OfdJson, PlaceJson, Signer, UserJson,
};
use crate::registration::application::{closing_report, is_decided, kind_name, validate};
use crate::registration::commit::{Draft, settle};
use crate::registration::machine::{Event, step};

/// Most applications of one register that are looked through.
const MAX_LOOKED_AT: usize = 1_000;

/// An application with everything filled in that we know: client, ККТ, ФН, registration number, models of the contract line.
///
/// # Errors
/// [`OpsError::NotFound`].
pub fn application_draft(
    registry: &RegistryReader,
    key: RegisterKey<'_>,
    kind: ApplicationKind,
    operator_inn: &str,
    operator_name: Option<&str>,
) -> Result<ApplicationJson, OpsError> {
    let kkt = register_of(registry, key)?;
    let inn = kkt.inn.clone().unwrap_or_default();
    let name = registry.client(&inn)?.map(|client| client.name).unwrap_or_default();
    let knd = match kind {
        ApplicationKind::Registration | ApplicationKind::Reregistration => "1110061",
        ApplicationKind::Deregistration => "1110062",
    };
    Ok(ApplicationJson {
        knd: knd.to_owned(),
        kind,
        user: UserJson { inn, kpp: None, name },
        kkt: DeviceJson {
            model: kkt.model.clone().unwrap_or_default(),
            serial: kkt.serial.clone().unwrap_or_default(),
        },
        fn_storage: DeviceJson {
            model: kkt.fn_model.clone().unwrap_or_default(),
            serial: kkt.fn_number.map(|number| number.to_string()).unwrap_or_default(),
        },
        place: PlaceJson::default(),
        ofd: OfdJson { inn: operator_inn.to_owned(), name: operator_name.map(str::to_owned) },
        modes: Modes::default(),
        tax_office: String::new(),
        signer: Signer::default(),
        rnm: if kind == ApplicationKind::Registration { None } else { kkt.rnm },
        reasons: Vec::new(),
        reason: None,
        closing_report: None,
        xml_base64: None,
        signature_base64: None,
    })
}

/// Stores an application, to be sent by the daemon. That of an end gets the values of the report of closing from the journal
/// when it has none.
///
/// # Errors
/// [`OpsError::NotFound`]; [`OpsError::Refused`] when a field is missing (all are named), it is about another register than `key`, one is under way
/// already, or the state has no use for it.
pub fn application_submit(
    registry: &mut Registry,
    key: RegisterKey<'_>,
    application: &ApplicationJson,
    now: Timestamp,
) -> Result<Application, OpsError> {
    let mut application = application.clone();
    if application.kind == ApplicationKind::Deregistration && application.closing_report.is_none() {
        application.closing_report = stored_closing(registry, key)?;
    }
    let application = &application;
    let faults = validate(application);
    if !faults.is_empty() {
        let named: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(OpsError::Refused(format!("the application is not complete: {}", named.join("; "))));
    }
    let request = serde_json::to_string(application)
        .map_err(|error| OpsError::Refused(format!("the application cannot be written: {error}")))?;
    let case_id = case_id(now);
    let (mut row, ids) = done(settle::<_, OpsError>(registry, |registry| {
        let kkt = register_of(registry, key)?;
        is_about(application, &kkt)?;
        none_open(registry, &kkt)?;
        let mut draft = Draft::default();
        if application.kind == ApplicationKind::Registration {
            let step = step(Some(&kkt), Event::Applied, &BY_DAEMON, now)
                .map_err(|rejected| OpsError::Refused(rejected.to_string()))?;
            draft.put(vec![step], None, now);
        } else {
            is_registered(&kkt)?;
        }
        let row = Application {
            id: 0,
            version: 0,
            case_id: case_id.clone(),
            kkt_id: kkt.id,
            kind: kind_name(application.kind).to_owned(),
            state: ApplicationState::New,
            application_id: None,
            request: request.clone(),
            rnm: None,
            refusal: None,
            attempts: 0,
            next_at: Some(now),
            last_error: None,
            created_at: now,
            updated_at: now,
        };
        draft.change.applications.push(row.clone());
        Ok((draft, row))
    })?)?;
    row.id = ids.applications.first().copied().unwrap_or_default();
    Ok(row)
}

/// Values of the report by which the ФН in a register was closed, if that came.
fn stored_closing(
    registry: &RegistryReader,
    key: RegisterKey<'_>,
) -> Result<Option<ClosingReport>, OpsError> {
    let Some(fn_number) = register_of(registry, key)?.fn_number else { return Ok(None) };
    Ok(registry.fn_documents(&fn_number)?.closing.as_ref().and_then(closing_report))
}

/// The key under which it is sent as often as it takes.
fn case_id(now: Timestamp) -> String {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanoseconds)).to_string()
}

/// Compares what an application names with the register it is handed in for.
fn is_about(application: &ApplicationJson, kkt: &Kkt) -> Result<(), OpsError> {
    let fn_number = kkt.fn_number.map(|number| number.to_string());
    let rnm = application.rnm.as_deref();
    let named = [
        ("kkt.serial", Some(application.kkt.serial.as_str()), &kkt.serial),
        ("user.inn", Some(application.user.inn.as_str()), &kkt.inn),
        ("fn.serial", Some(application.fn_storage.serial.as_str()), &fn_number),
        ("rnm", rnm, &kkt.rnm),
    ];
    let changes_fn = application.kind == ApplicationKind::Reregistration;
    for (path, theirs, ours) in named {
        let (Some(theirs), Some(ours)) = (theirs.map(str::trim), ours) else { continue };
        // A re-registration may be about the ФН that is to come.
        if theirs != ours && !(changes_fn && path == "fn.serial") {
            return Err(OpsError::Refused(format!(
                "{path}: the application says {theirs}, the register has {ours}"
            )));
        }
    }
    Ok(())
}

fn none_open(registry: &RegistryReader, kkt: &Kkt) -> Result<(), OpsError> {
    let filter = ApplicationFilter { kkt_id: Some(kkt.id), ..ApplicationFilter::default() };
    let open = registry.applications(&filter, MAX_LOOKED_AT)?.into_iter().find(|row| !is_decided(row));
    match open {
        None => Ok(()),
        Some(row) => Err(OpsError::Refused(format!(
            "application {} for this register is under way ({}): wait for its answer",
            row.id,
            row.state.name()
        ))),
    }
}

/// Changes and ends are for registers that the tax service has.
fn is_registered(kkt: &Kkt) -> Result<(), OpsError> {
    match kkt.state {
        State::Linked | State::ReregReportReceived | State::ReregForwarded | State::FnClosed => Ok(()),
        state => {
            Err(OpsError::Refused(format!("the register is in state {}: it is not registered", state.name())))
        }
    }
}
