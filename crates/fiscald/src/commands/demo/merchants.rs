//! What comes before the first document: a contract with every merchant, signed, and the number that the tax service gave.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use ofd_fns::registration::ops::{self, NewContract, NewLine, RegisterKey};
use ofd_sim::live::PlannedRegister;
use ofd_store::Registry;

/// For how long each step can be seen when a person watches.
const STEP_LASTS: Duration = Duration::from_millis(700);

/// Draws the contracts up, signs them, writes the registration numbers down; each step for all registers.
///
/// # Errors
/// The store cannot be written, or says no.
pub(super) fn contract_all(url: &str, registers: &[PlannedRegister], is_watched: bool) -> Result<()> {
    let mut registry = Registry::open(url)?;
    for (index, register) in registers.iter().enumerate() {
        draw_up(&mut registry, &number(index), register).with_context(|| about(register))?;
    }
    let pause = || {
        if is_watched {
            std::thread::sleep(STEP_LASTS);
        }
    };
    pause();
    for (index, register) in registers.iter().enumerate() {
        ops::contract_sign(&mut registry, &number(index), Timestamp::now())
            .with_context(|| about(register))?;
    }
    pause();
    for register in registers {
        let key = RegisterKey::SerialOrFn(&register.kkt_serial);
        ops::rnm_typed(&mut registry, key, &register.rnm, false, Timestamp::now())
            .with_context(|| about(register))?;
    }
    pause();
    Ok(())
}

fn draw_up(registry: &mut Registry, number: &str, register: &PlannedRegister) -> Result<()> {
    let contract = NewContract {
        number: number.to_owned(),
        inn: register.user_inn,
        client_name: register.user_name.clone(),
        active: false,
    };
    ops::contract_add(registry, &contract, Timestamp::now())?;
    let line = NewLine {
        kkt_serial: register.kkt_serial.clone(),
        kkt_model: Some("Касса-Пример".to_owned()),
        fn_number: register.fn_number,
        fn_model: None,
        rnm: None,
        unchecked: false,
    };
    ops::line_add(registry, number, &line, Timestamp::now())?;
    Ok(())
}

/// Number of the contract with the owner of the register in this place.
fn number(index: usize) -> String {
    format!("Д-{:03}", index + 1)
}

fn about(register: &PlannedRegister) -> String {
    format!("the contract of the ККТ {}", register.kkt_serial)
}
