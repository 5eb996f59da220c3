//! One register with everything that is said about it, as tables and JSON show it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use jiff::Timestamp;
use ofd_fns::RegistrationConfig;
use ofd_fns::registration::{RegisterView, view};
use ofd_store::{Kkt, RegistryReader, StoreError};
use serde_json::{Value, json};

/// Reads registers for people. Names of clients are kept, since many registers share one.
pub(in super::super) struct Viewer<'a> {
    reader: &'a RegistryReader,
    periods: RegistrationConfig,
    now: Timestamp,
    clients: HashMap<String, Option<String>>,
}

/// A register as it is shown.
#[derive(Debug)]
pub(in super::super) struct View {
    pub(in super::super) register: RegisterView,
    /// Name of the client.
    pub(super) client: Option<String>,
}

impl<'a> Viewer<'a> {
    pub(in super::super) fn new(reader: &'a RegistryReader, periods: RegistrationConfig) -> Self {
        Self { reader, periods, now: Timestamp::now(), clients: HashMap::new() }
    }

    /// Everything about one register: some ten look-ups by index.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(in super::super) fn view(&mut self, kkt: Kkt) -> Result<View, StoreError> {
        let register = view::view(self.reader, kkt, &self.periods, self.now)?;
        let inn = inn(&register).map(str::to_owned);
        let client = inn.map(|inn| self.client(inn)).transpose()?.flatten();
        Ok(View { register, client })
    }

    fn client(&mut self, inn: String) -> Result<Option<String>, StoreError> {
        match self.clients.entry(inn) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(place) => {
                let client = self.reader.client(place.key())?;
                Ok(place.insert(client.map(|client| client.name)).clone())
            }
        }
    }
}

/// ИНН of the user: by the register's documents, else by the contract.
pub(super) fn inn(register: &RegisterView) -> Option<&str> {
    let by_contract = || register.contract.as_ref().map(|contract| contract.inn.as_str());
    register.kkt.inn.as_deref().or_else(by_contract)
}

/// When the state's timer runs out. A command leaves the period to the daemon, which sets it when it next looks: until
/// then there is nothing to tell.
pub(super) fn due(kkt: &Kkt) -> Option<Timestamp> {
    kkt.due_at.filter(|due| *due > kkt.state_since)
}

impl View {
    /// The members that scripts rely on, and the rest of the row.
    pub(in super::super) fn as_json(&self) -> Value {
        let RegisterView { kkt, dimensions, contract, manual, .. } = &self.register;
        let moment = |at: Option<Timestamp>| at.map(|at| at.to_string());
        json!({
            "rnm": kkt.rnm,
            "fn": kkt.fn_number.map(|number| number.to_string()),
            "kkt_serial": kkt.serial,
            "inn": inn(&self.register),
            "state": kkt.state.name(),
            "label": self.register.label,
            "contract": dimensions.contract.name(),
            "liveness": dimensions.liveness.name(),
            "fn_state": dimensions.fn_condition.name(),
            "fns": dimensions.fns.name(),
            "manual": manual.as_ref().map(|manual| json!({
                "date_time": manual.date_time,
                "fd": manual.fd.get(),
                "fiscal_sign": manual.fiscal_sign,
            })),
            "id": kkt.id,
            "state_since": kkt.state_since.to_string(),
            "due_at": moment(due(kkt)),
            "rnm_confirmed": kkt.rnm_confirmed,
            "kkt_model": kkt.model,
            "fn_model": kkt.fn_model,
            "contract_number": contract.as_ref().map(|contract| &contract.number),
            "client": self.client,
            "mismatch": kkt.mismatch,
            "report_seq": kkt.report_seq,
            "card": kkt.card_id,
            "deregistered_at": kkt.deregistered_at.map(|at| ffd::value::LocalTime::new(at).to_string()),
            "last_seen": moment(self.register.last_seen),
            "created_at": kkt.created_at.to_string(),
            "updated_at": kkt.updated_at.to_string(),
        })
    }
}
