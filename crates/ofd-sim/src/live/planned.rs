//! What is known of the registers of a run before they live: the data of their contracts.

use ffd::ids::{FnNumber, Inn, Rnm};

use super::options::LiveOptions;
use crate::life::Life;

/// A register as its owner would write it into the contract with the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRegister {
    /// Number of its first ФН, tag 1041.
    pub fn_number: FnNumber,
    /// Its serial number, tag 1013.
    pub kkt_serial: String,
    /// Its registration number, tag 1037; it carries the right check value.
    pub rnm: Rnm,
    /// INN of its owner, tag 1018.
    pub user_inn: Inn,
    /// Name of its owner, tag 1048.
    pub user_name: String,
}

impl LiveOptions {
    /// The registers of this run in their order. Those that cannot live at all (numbers past twelve digits) are left
    /// out; the run itself reports them.
    #[must_use]
    pub fn planned(&self) -> Vec<PlannedRegister> {
        let lives = (0..self.registers).filter_map(|index| Life::new(self.life(index), &self.keys).ok());
        lives.map(|life| planned(&life)).collect()
    }
}

fn planned(life: &Life) -> PlannedRegister {
    let shop = life.kkt().shop();
    PlannedRegister {
        fn_number: life.kkt().storage().number(),
        kkt_serial: shop.kkt_serial.clone(),
        rnm: shop.rnm,
        user_inn: shop.user_inn,
        user_name: shop.user_name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use ffd::Document;
    use ffd::ids::RnmCheck;
    use ffd::tags;

    use super::*;
    use crate::life::Act;

    #[test]
    fn what_is_planned_is_what_the_report_says() {
        let to = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        for (seed, registers) in [(1, 7), (9, 3)] {
            let mut options = LiveOptions::new(to, registers, 2, 77_000, 1_772_352_000);
            options.seed = seed;
            let planned = options.planned();
            assert_eq!(planned.len(), usize::try_from(registers).unwrap());
            for (index, plan) in (0..).zip(planned) {
                let mut life = Life::new(options.life(index), &options.keys).unwrap();
                life.perform(Act::Register, &options.keys).unwrap();
                let front = life.kkt().storage().front().unwrap();
                let report = Document::decode(&front.document).unwrap();
                let text = |tag| report.text(tag).unwrap().trim().to_owned();
                assert_eq!(text(tags::FN_NUMBER), plan.fn_number.as_str());
                assert_eq!(text(tags::KKT_SERIAL), plan.kkt_serial);
                assert_eq!(text(tags::RNM), plan.rnm.as_str());
                assert_eq!(text(tags::USER_INN), plan.user_inn.as_str());
                assert_eq!(plan.rnm.verify(plan.user_inn.as_str(), &plan.kkt_serial), RnmCheck::Ok);
            }
        }
    }

    #[test]
    fn registers_past_the_range_are_left_out() {
        let to = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let options = LiveOptions::new(to, 3, 1, 999_999_999_998, 0);
        assert_eq!(options.planned().len(), 2);
    }
}
