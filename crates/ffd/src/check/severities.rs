//! What the findings of each rule weigh: the table's weight, or what an operator set instead.
//!
//! An operator can only choose between code 14, a warning and nothing; a document is stored and acknowledged in any
//! case. Identity stays hard whatever is set: a document that cannot be told apart from another must never pass.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rules::{self, RuleDef};
use super::{IDENTITY, Severity};
use crate::dict::FfdVersion;

/// What the findings of a rule weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// The rule is not applied.
    Off,
    /// Only a warning.
    Soft,
    /// Code 14.
    Hard,
}

impl From<Severity> for Weight {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Hard => Self::Hard,
            Severity::Soft => Self::Soft,
        }
    }
}

/// A rule whose weight cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnknownRule {
    /// There is no such rule.
    #[error("there is no rule {rule:?}")]
    NotThere {
        /// The name given.
        rule: String,
    },
    /// A rule of identity: it is hard in every version and stays so.
    #[error("rule {rule} is one of identity, its weight is fixed")]
    Fixed {
        /// The name given.
        rule: String,
    },
}

/// The weights in force. The default is the table of [`rules::rules()`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Severities {
    /// In the order of the table.
    weights: [Weight; rules::COUNT],
}

impl Default for Severities {
    fn default() -> Self {
        let mut weights = [Weight::Soft; rules::COUNT];
        for (weight, rule) in weights.iter_mut().zip(rules::rules()) {
            *weight = rule.severity.into();
        }
        Self { weights }
    }
}

impl Severities {
    /// Gives a rule another weight.
    ///
    /// # Errors
    /// [`UnknownRule`] for a name that is not in the table, and for every rule of identity.
    pub fn set(&mut self, rule: &str, weight: Weight) -> Result<(), UnknownRule> {
        if rules::rule(rule).is_some_and(is_fixed) {
            return Err(UnknownRule::Fixed { rule: rule.to_owned() });
        }
        let place = rules::position(rule).and_then(|place| self.weights.get_mut(place));
        *place.ok_or_else(|| UnknownRule::NotThere { rule: rule.to_owned() })? = weight;
        Ok(())
    }

    /// What the findings of a rule weigh in a document of this version. ФФД 1.0 was transitional: none of its findings
    /// is more than a warning, save those of identity. A name that is not in the table has no weight.
    pub fn weight(&self, rule: &str, version: FfdVersion) -> Weight {
        let Some(def) = rules::rule(rule) else { return Weight::Off };
        let weight = rules::position(rule).and_then(|place| self.weights.get(place)).copied();
        match weight.unwrap_or(Weight::Off) {
            Weight::Hard if version == FfdVersion::V1_0 && !is_fixed(def) => Weight::Soft,
            weight => weight,
        }
    }
}

fn is_fixed(rule: &RuleDef) -> bool {
    rule.name.starts_with(IDENTITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_table_and_1_0_only_warns() {
        let severities = Severities::default();
        for rule in rules::rules() {
            for version in FfdVersion::ALL {
                let expected = match version {
                    FfdVersion::V1_0 if !rule.name.starts_with("identity.") => Weight::Soft,
                    _ => rule.severity.into(),
                };
                assert_eq!(severities.weight(rule.name, version), expected, "{} {version}", rule.name);
            }
        }
        assert_eq!(severities.weight("no.such", FfdVersion::V1_2), Weight::Off);
    }

    #[test]
    fn a_weight_can_be_set_but_not_of_identity() {
        let mut severities = Severities::default();
        severities.set("time.order", Weight::Hard).unwrap();
        severities.set("sum.items", Weight::Off).unwrap();
        assert_eq!(severities.weight("time.order", FfdVersion::V1_2), Weight::Hard);
        assert_eq!(severities.weight("time.order", FfdVersion::V1_0), Weight::Soft);
        assert_eq!(severities.weight("sum.items", FfdVersion::V1_05), Weight::Off);
        assert_eq!(
            severities.set("identity.fd", Weight::Soft),
            Err(UnknownRule::Fixed { rule: "identity.fd".to_owned() })
        );
        assert_eq!(severities.weight("identity.fd", FfdVersion::V1_0), Weight::Hard);
        assert_eq!(
            severities.set("sum.item", Weight::Off),
            Err(UnknownRule::NotThere { rule: "sum.item".to_owned() })
        );
    }
}
