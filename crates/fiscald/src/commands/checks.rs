//! `fiscald checks`: the rules of the format and logic control.

use std::process::ExitCode;

use anyhow::Result;
use ffd::check::{RuleDef, Severities, Weight, rules};
use ffd::dict::FfdVersion;
use serde_json::json;

use super::output::Output;
use super::settings;
use crate::cli::ChecksCommand;

/// Lists the rules. With a configuration that cannot be used the list is still printed (the configuration's own faults
/// point here), without the weights in force, and then the command fails as any other would.
///
/// # Errors
/// [`crate::config::BadConfig`], after the list.
pub(crate) fn run(command: &ChecksCommand, out: &mut Output) -> Result<ExitCode> {
    let ChecksCommand::List(args) = command;
    let settings = settings(&args.config);
    let in_force = match &settings {
        Ok(settings) => Some(settings.severities()?),
        Err(_) => None,
    };
    if args.json {
        out.json(&rules().iter().map(|rule| as_json(rule, in_force.as_ref())).collect::<Vec<_>>())?;
    } else {
        let heading = ["RULE", "DEFAULT", "IN FORCE", "CHECK", "DEMANDS"];
        out.table(&heading, &[], rules().iter().map(|rule| cells(rule, in_force.as_ref())).collect())?;
    }
    settings?;
    Ok(ExitCode::SUCCESS)
}

fn cells(rule: &RuleDef, in_force: Option<&Severities>) -> Vec<String> {
    let default = Weight::from(rule.severity);
    let mark = |weight: Weight| {
        if weight == default { name(weight).to_owned() } else { format!("{} *", name(weight)) }
    };
    vec![
        rule.name.to_owned(),
        name(default).to_owned(),
        in_force.map_or_else(|| "?".to_owned(), |severities| mark(weight(rule, severities))),
        rule.check.to_owned(),
        rule.about_ru.to_owned(),
    ]
}

fn as_json(rule: &RuleDef, in_force: Option<&Severities>) -> serde_json::Value {
    json!({
        "rule": rule.name,
        "default": name(rule.severity.into()),
        "in_force": in_force.map(|severities| name(weight(rule, severities))),
        "check": rule.check,
        "about": rule.about_ru,
    })
}

/// In every version but FFD 1.0, where nothing but identity is hard.
fn weight(rule: &RuleDef, severities: &Severities) -> Weight {
    severities.weight(rule.name, FfdVersion::V1_2)
}

fn name(weight: Weight) -> &'static str {
    match weight {
        Weight::Hard => "hard",
        Weight::Soft => "soft",
        Weight::Off => "off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_weight_is_marked() {
        let mut severities = Severities::default();
        severities.set("sum.items", Weight::Off).unwrap();
        let row = |rule: &str| cells(ffd::check::rule(rule).unwrap(), Some(&severities));
        assert_eq!(row("sum.items")[..3], ["sum.items", "hard", "off *"]);
        assert_eq!(row("sum.payments")[..3], ["sum.payments", "hard", "hard"]);
        assert_eq!(cells(ffd::check::rule("time.order").unwrap(), None)[1..3], ["soft", "?"]);
    }

    #[test]
    fn json_names_what_is_in_force() {
        let mut severities = Severities::default();
        severities.set("time.order", Weight::Hard).unwrap();
        let json = as_json(ffd::check::rule("time.order").unwrap(), Some(&severities));
        assert_eq!((&json["default"], &json["in_force"]), (&"soft".into(), &"hard".into()));
        assert!(as_json(ffd::check::rule("time.order").unwrap(), None)["in_force"].is_null());
    }
}
