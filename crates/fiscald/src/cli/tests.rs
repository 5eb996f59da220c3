use clap::CommandFactory;

use super::*;

/// Parses a line and says whether it is right usage.
fn check(line: &str, good: bool) -> Option<Cli> {
    let parsed = Cli::try_parse_from(std::iter::once("fiscald").chain(line.split_whitespace()));
    assert_eq!(parsed.is_ok(), good, "{line}: {parsed:?}");
    parsed.ok()
}

#[test]
fn the_description_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_help_with_an_example() {
    fn visit(command: &clap::Command, path: &str) {
        for inner in command.get_subcommands() {
            let path = format!("{path} {}", inner.get_name());
            assert!(inner.get_about().is_some(), "{path} has no help");
            if inner.has_subcommands() {
                visit(inner, &path);
            } else {
                let after = inner.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(after.contains("Example"), "{path} has no example");
                assert!(after.contains(path.trim_start()), "the example of {path} does not use it");
            }
        }
    }
    visit(&Cli::command(), "fiscald");
}

#[test]
fn usage() {
    for line in [
        "serve",
        "serve --config f.toml --only ingest",
        "serve --only ingest,fns,web",
        "demo --registers 3 --data d",
        "detach --before 2026-01 --to old.db",
        "decode",
        "decode - --as fns",
        "decode f.bin --input hex",
        "check-config",
        "check-config --config f --offline",
        "export --fn 9999078900000017 --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00+03:00 --as raw --out f",
        "registers list --json",
        "registers show 9999078900000017",
        "registers add --fn 9999078900000017",
        "registers add --kkt-serial 0128003270",
        "registers list --state LINKED --contract 17-КЗ --inn 7702203276",
        "registers list --state linked --json",
        "registers show 0000000001036105 --json",
        "registers import f.csv --contract 17-КЗ",
        "registers import - --contract 17-КЗ --dry-run --skip-bad --json",
        "registers rnm 0128003270 0000000001036105 --unchecked",
        "registers apply 0128003270 --file f.json",
        "registers apply 0128003270 --kkt-model A --mode internet,excise --tax-office 7702 --json",
        "registers apply 0128003270 --kind reregistration --reason 1,4",
        "registers applications --open",
        "contracts add 17-КЗ --inn 7702203276 --name Ромашка --active --json",
        "contracts sign 17-КЗ",
        "contracts stop 17-КЗ --json",
        "contracts resume 17-КЗ",
        "contracts line 17-КЗ --kkt-serial 0128003270 --fn 9999078900000017 --rnm 0000000001036105",
        "contracts close-line 0128003270",
        "contracts list --inn 7702203276",
        "contracts show 17-КЗ --json",
        "cards upload card.xml --signature card.sig",
        "cards upload card.pdf --confirm --rnm 0000000001036105 --kkt-serial 1 --fn 9999078900000017 --inn 7702203276",
        "cards list --rnm 0000000001036105",
        "cards show 3 --save f --json",
        "tasks list --kind mismatch --all",
        "tasks close 3 --note done",
        "outbox summary --json",
        "outbox list --state in_flight --fn 9999078900000017 --limit 5",
        "outbox show 9999078900000017 3",
        "outbox requeue 9999078900000017 3",
        "outbox requeue --all-dead",
        "outbox supersede 9999078900000017 3",
        "documents list --form 3 --limit 10",
        "documents list --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00+03:00 --verdict valid --conflicts",
        "documents list --findings",
        "documents list --rule sum.items --code 14",
        "documents list --severity soft",
        "documents show 9999078900000017 3 --json",
        "documents gaps",
        "quarantine list",
        "quarantine list --reason unknown_fn_held --held",
        "quarantine show 9999078900000017",
        "quarantine show 9999078900000017 3 --json",
        "quarantine release 9999078900000017",
        "checks list --json",
        "clock show",
        "clock confirm --yes --config f",
        "verify",
        "verify --from-seq 5 --json",
        "verify --full --json",
        "backup f --config f",
        "reindex",
        "keys generate --purpose msg --out f",
        "keys check a b --test",
    ] {
        check(line, true);
    }
    for line in [
        "",
        "serve --only kitchen",
        "demo --registers 0",
        "demo --registers 2001",
        "decode --as xml",
        "export --from yesterday",
        "export --fn 12x",
        "registers add",
        "registers add --inn 7802781104",
        "registers list --state READY",
        "registers show 12345678901234567",
        "registers import f.csv",
        "registers rnm 0128003270 12345",
        "registers apply 0128003270 --file f.json --kkt-model A",
        "registers apply 0128003270 --mode flying",
        "contracts add 17-КЗ --inn 770220327 --name Ромашка",
        "contracts add 17-КЗ --inn 7702203276",
        "contracts line 17-КЗ --kkt-serial 1",
        "cards upload card.pdf --confirm --rnm 0000000001036105",
        "cards upload card.pdf --rnm 0000000001036105",
        "cards show card",
        "tasks list --kind chores",
        "outbox list --state waiting",
        "outbox requeue",
        "outbox requeue 9999078900000017",
        "outbox requeue 9999078900000017 3 --all-dead",
        "outbox supersede 9999078900000017",
        "documents show 9999078900000017 0",
        "documents list --limit 0",
        "documents list --rule sum.item",
        "documents list --findings --rule sum.items",
        "documents list --severity medium",
        "documents list --verdict good",
        "verify --from-seq 0",
        "verify --from-seq 5 --full",
        "backup",
        "checks",
        "keys generate --purpose doc --out f",
        "keys generate --purpose msg --generation 16 --out f",
        "keys check",
    ] {
        check(line, false);
    }
}

#[test]
fn parts_are_a_list() {
    let cli = check("serve --only ingest,web", true).unwrap();
    assert!(
        matches!(cli.command, Command::Serve(ServeArgs { only, .. }) if only == [Part::Ingest, Part::Web])
    );
}

/// The help of every command: what a stranger reads first, so a change of it is made on purpose.
#[test]
fn help_on_paper() {
    fn visit(command: &mut clap::Command, path: &str, out: &mut String) {
        *out += &format!("==== {path} --help\n{}\n", command.render_long_help());
        let names: Vec<String> = command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
        for name in names.iter().filter(|name| *name != "help") {
            let inner = command.find_subcommand_mut(name).unwrap();
            visit(inner, &format!("{path} {name}"), out);
        }
    }
    let mut out = String::new();
    let mut command = Cli::command();
    command.build();
    visit(&mut command, "fiscald", &mut out);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
        insta::assert_snapshot!("help", lines.join("\n"));
    });
}
