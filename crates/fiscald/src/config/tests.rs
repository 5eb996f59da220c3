use ffd::check::Weight;

use super::*;

const MINIMAL: &str = "[operator]\ninn = \"7700000009\"\n";

fn environment_of(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parsed(text: &str, pairs: &[(&str, &str)]) -> Result<Settings, BadConfig> {
    parse(text, "test", environment_of(pairs)).map(|loaded| loaded.settings)
}

/// One fault: the key it is reported under, and a part of what is said.
fn check_bad(text: &str, key: &str, part: &str) {
    let bad = parsed(text, &[]).expect_err(text);
    let found = bad.problems.iter().find(|problem| problem.key == key);
    let found = found.unwrap_or_else(|| panic!("{text}\nhas no problem with {key}: {bad}"));
    assert!(found.to_string().contains(part), "{text}\n{found}\nlacks {part:?}");
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let settings = parsed("", &[]).unwrap();
    assert_eq!(settings.ingest.listen.to_string(), "127.0.0.1:7777");
    assert_eq!(settings.ingest.message_timeout_s, 30);
    assert_eq!(settings.store.url, "sqlite:data/fiscald.db");
    assert_eq!(settings.signs.mode, pkz::SignMode::Required);
    assert_eq!(settings.signs.profile, SignProfile::SoftGost1);
    assert!(!settings.signs.test);
    assert_eq!(settings.registration.unknown_fn, ofd_ingest::UnknownFn::Hold);
    assert_eq!(settings.registration.grace_s, 259_200);
    assert_eq!(settings.fns.batch_docs, 100);
    assert!(!settings.fns.forward_unknown);
    assert_eq!(settings.web.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.admin.listen.to_string(), "127.0.0.1:9464");
    assert_eq!(settings.log.format, LogFormat::Text);
    assert!(settings.operator.inn.is_none());
}

#[test]
fn every_section_of_the_description_is_known() {
    for section in SECTIONS {
        let loaded = parse(&format!("[{section}]\n"), "test", HashMap::new());
        assert!(loaded.is_ok(), "{section}: {loaded:?}");
    }
}

#[test]
fn the_environment_overrides_the_file() {
    let settings = parsed(
        "[ingest]\nlisten = \"127.0.0.1:1\"\nmax_connections = 5\n",
        &[
            ("FISCALD__INGEST__LISTEN", "0.0.0.0:7000"),
            ("FISCALD__SIGNS__TEST", "true"),
            ("FISCALD__STORE__BATCH_MAX_DOCUMENTS", "64"),
            ("FISCALD__REGISTRATION__UNKNOWN_FN", "accept"),
            // A number would lose its zero.
            ("FISCALD__OPERATOR__INN", "0123456789"),
            ("FISCALD__OPERATOR__NAME", "true"),
        ],
    )
    .unwrap();
    assert_eq!(settings.ingest.listen.to_string(), "0.0.0.0:7000");
    assert_eq!(settings.ingest.max_connections, 5);
    assert!(settings.signs.test);
    assert_eq!(settings.store.batch_max_documents, 64);
    assert_eq!(settings.registration.unknown_fn, ofd_ingest::UnknownFn::Accept);
    assert_eq!(settings.operator.inn.as_deref(), Some("0123456789"));
    assert_eq!(settings.operator.name.as_deref(), Some("true"));
}

#[test]
fn a_bad_environment_value_names_key_and_place() {
    let bad = parsed("", &[("FISCALD__INGEST__MAX_CONNECTIONS", "many")]).unwrap_err();
    let text = bad.to_string();
    assert!(text.contains("ingest.max_connections") && text.contains("environment"), "{text}");
    let bad = parsed("", &[("FISCALD__INGST__LISTEN", "x")]).unwrap_err();
    assert!(bad.to_string().contains("ingst: unknown section"), "{bad}");
}

#[test]
fn only_our_variables_are_taken() {
    let all =
        [("FISCALD__LOG__FORMAT", "json"), ("FISCALD_LOG", "x"), ("PATH", "y"), ("FISCALD__LOG__FILTER", "")];
    let all = all.into_iter().map(|(name, value)| (name.into(), value.into()));
    assert_eq!(environment(all).unwrap(), environment_of(&[("FISCALD__LOG__FORMAT", "json")]));
}

#[test]
fn overrides_are_named_without_their_values() {
    let loaded = parse(MINIMAL, "test", environment_of(&[("FISCALD__OPERATOR__NAME", "secret")])).unwrap();
    assert_eq!(loaded.overrides, ["FISCALD__OPERATOR__NAME"]);
}

#[test]
fn unknown_keys_are_named_with_their_path_and_the_known_ones() {
    check_bad("[ingest]\nlissten = \"127.0.0.1:1\"\n", "ingest.lissten", "[ingest] knows listen");
    check_bad("[store]\npath = \"x\"\n", "store.path", "url");
    check_bad("[sign]\nmode = \"off\"\n", "sign", "the sections are operator, ingest");
    check_bad("[signs]\nkey = \"x\"\n", "signs.key", "keys_msg");
    check_bad("ingest = 5\n", "ingest", "write [ingest] on a line");
}

#[test]
fn every_bad_value_is_reported_under_its_key() {
    for (text, key, part) in [
        ("[operator]\ninn = \"12345\"\n", "operator.inn", "10 (or 12) digits"),
        ("[operator]\ninn = \"7700000001\"\n", "operator.inn", "check digits"),
        ("[operator]\nsite = \"ofd.example\"\n", "operator.site", "https://"),
        ("[ingest]\nlisten = \"localhost\"\n", "ingest.listen", "ADDRESS:PORT"),
        ("[ingest]\nlisten = 7777\n", "ingest.listen", "ADDRESS:PORT"),
        ("[ingest]\nmax_connections = 0\n", "ingest.max_connections", "at least 1"),
        ("[ingest]\nmax_connections = -1\n", "ingest.max_connections", ""),
        ("[ingest]\nmessage_timeout_s = 1.5\n", "ingest.message_timeout_s", "whole number"),
        ("[ingest]\nidle_timeout_s = 0\n", "ingest.idle_timeout_s", ""),
        ("[ingest]\nmax_body_bytes = 70000\n", "ingest.max_body_bytes", ""),
        ("[ingest]\nproxy_protocol = \"on\"\n", "ingest.proxy_protocol", "\"off\" or \"required\""),
        ("[ingest]\nproxy_protocol = \"required\"\n", "ingest.proxy_from", "networks of the balancers"),
        ("[ingest]\nproxy_from = [\"balancer\"]\n", "ingest.proxy_from", "no network"),
        ("[sister]\nproxy_protocol = \"required\"\n", "sister.proxy_from", "networks of the balancers"),
        ("[store]\nurl = \"postgres://u:secret@h/db\"\n", "store", "store.ca"),
        ("[store]\nurl = \"postgres://u@h\"\n", "store", "names no database"),
        ("[store]\nca = \"ca.pem\"\n", "store", "store.ca is for"),
        ("[store]\nurl = \"fiscald.db\"\n", "store.url", "sqlite:PATH"),
        ("[store]\nbatch_max_documents = 0\n", "store", "batch_max_documents"),
        ("[store]\nqueue_max_documents = 10\n", "store.queue_max_documents", "batch"),
        ("[signs]\nmode = \"sometimes\"\n", "signs.mode", "\"required\", \"log-only\" or \"off\""),
        ("[signs]\nmode = \"off\"\n", "signs.mode", "i_understand_unsigned"),
        ("[signs]\nprofile = \"hsm\"\n", "signs.profile", "soft-gost-1"),
        ("[signs]\nprofile = \"none\"\n", "signs.profile", "off"),
        ("[signs]\nprofile = \"best\"\n", "signs.profile", "\"hsm\""),
        ("[signs]\nkeys_msg = \"m\"\n", "signs.keys_opr", "both"),
        ("[signs]\nkeys_opr = \"m\"\n", "signs.keys_msg", "both"),
        ("[signs]\ntest = \"perhaps\"\n", "signs.test", ""),
        (
            "[registration]\nunknown_fn = \"ask\"\n",
            "registration.unknown_fn",
            "\"hold\", \"accept\" or \"reject\"",
        ),
        ("[registration]\nt_card_s = 0\n", "registration.t_card_s", "outside"),
        ("[registration]\nt_rnm_s = 0\n", "registration.t_rnm_s", "outside"),
        ("[registration]\ntick_ms = 5\n", "registration.tick_ms", "outside"),
        ("[registration]\nsilent_s = 999999999999\n", "registration.silent_s", "outside"),
        ("[checks]\n\"sum.items\" = \"medium\"\n", "checks.sum.items", "\"hard\", \"soft\" or \"off\""),
        ("[checks]\n\"sum.item\" = \"soft\"\n", "checks.sum.item", "did you mean \"sum.items\"?"),
        ("[checks]\nsum.item = \"soft\"\n", "checks.sum.item", "did you mean \"sum.items\"?"),
        ("[checks]\n\"weather\" = \"soft\"\n", "checks.weather", "`fiscald checks list`"),
        ("[checks]\nsum = {}\n", "checks.sum", "\"soft\""),
        ("[checks]\n\"identity.fn\" = \"off\"\n", "checks.identity.fn", "always hard"),
        ("[fns]\nurl = \"http://fns.example\"\n", "fns.url", "https://"),
        ("[fns]\nurl = \"https://fns.example\"\n", "fns.cert", "client certificate"),
        ("[fns]\ncert = \"c\"\n", "fns.cert", "without fns.url"),
        ("[fns]\nurl = \"http://10.0.0.1:8080\"\n", "fns.url", "gateway on this machine"),
        ("[fns]\nurl = \"https://u:secret@fns.example\"\n", "fns.url", "password"),
        ("[fns]\nurl = \"tax service\"\n", "fns.url", "is no address"),
        ("[fns]\ntimeout_s = 60\n", "fns.timeout_s", "fns.lease_s = 60"),
        ("[fns]\nwindow_docs = 5\n", "fns.window_docs", "outside"),
        ("[fns]\nbatch_docs = 0\n", "fns.batch_docs", "outside"),
        ("[fns]\nage_warn_s = 50000\n", "fns.age_warn_s", "outside"),
        ("[fns]\nretry_base_ms = 0\n", "fns.retry_base_ms", "outside"),
        ("[fns]\nnames = \"old\"\n", "fns.names", "\"modern\" or \"legacy\""),
        ("[sister]\nupstream = \"a:1\"\n", "sister.upstream", "sister.listen"),
        ("[sister]\nlisten = \"127.0.0.1:1\"\nupstream = \"nowhere\"\n", "sister.upstream", "HOST:PORT"),
        (
            "[sister]\nlisten = \"127.0.0.1:1\"\nanswer_timeout_s = 60\n",
            "sister.shutdown_grace_s",
            "answer_timeout_s",
        ),
        ("[web]\nlisten = \"here\"\n", "web.listen", "ADDRESS:PORT"),
        ("[admin]\nlisten = \"\"\n", "admin.listen", "ADDRESS:PORT"),
        ("[admin]\nlisten = \"127.0.0.1:7777\"\n", "admin.listen", "ingest.listen too"),
        ("[web]\nlisten = \"127.0.0.1:9464\"\n", "admin.listen", "web.listen too"),
        ("[mail]\nrelay = \"mail.example:25\"\n", "mail.from", "missing"),
        ("[mail]\nfrom = \"nobody\"\n", "mail.from", "NAME@HOST"),
        ("[mail]\nuser = \"u\"\n", "mail.user", "both or none"),
        ("[log]\nformat = \"xml\"\n", "log.format", "\"text\" or \"json\""),
        ("[log]\nfilter = \"loud\"\n", "log.filter", "level"),
        ("[log\n", "", "TOML"),
    ] {
        check_bad(text, key, part);
    }
}

#[test]
fn good_values_at_the_edges() {
    for text in [
        MINIMAL,
        // Only a test may make an INN up.
        "[operator]\ninn = \"7700000001\"\n[signs]\ntest = true\n",
        "[signs]\nmode = \"off\"\ni_understand_unsigned = true\nprofile = \"none\"\n",
        "[signs]\nmode = \"log-only\"\n",
        "[checks]\n\"sum.items\" = \"soft\"\nvalue.taxation-registered = \"hard\"\n",
        "[registration]\ngrace_s = 0\n",
        "[ingest]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n",
        "[sister]\nlisten = \"127.0.0.1:7001\"\nupstream = \"crpt.example:7000\"\n",
        "[fns]\nurl = \"https://f\"\nofd_id = \"1\"\nca = \"a\"\ncert = \"b\"\nkey = \"c\"\n",
        "[fns]\nurl = \"http://127.0.0.1:8080\"\nofd_id = \"1\"\n",
        "[fns]\ntimeout_s = 59\nnames = \"legacy\"\n",
        "[registration]\ntick_ms = 10\nt_card_s = 1\n",
        "[mail]\nrelay = \"mail.example:25\"\nfrom = \"ofd@ofd.example\"\n",
    ] {
        let result = parsed(text, &[]);
        assert!(result.is_ok(), "{text}\n{result:?}");
    }
}

#[test]
fn the_weights_of_rules_are_the_operators() {
    let version = ffd::dict::FfdVersion::V1_2;
    for (text, pairs) in [
        ("[checks]\n\"sum.items\" = \"off\"\n\"time.order\" = \"hard\"\n", &[][..]),
        ("[checks]\nsum.items = \"off\"\ntime.order = \"hard\"\n", &[]),
        ("[checks]\nsum.items = \"off\"\n", &[("FISCALD__CHECKS__TIME.ORDER", "hard")]),
        // The environment overrides the file, however the name is written there.
        (
            "[checks]\n\"sum.items\" = \"hard\"\ntime.order = \"hard\"\n",
            &[("FISCALD__CHECKS__SUM.ITEMS", "off")],
        ),
    ] {
        let severities = parsed(text, pairs).unwrap().severities().unwrap();
        assert_eq!(severities.weight("sum.items", version), Weight::Off, "{text}");
        assert_eq!(severities.weight("time.order", version), Weight::Hard, "{text}");
        assert_eq!(severities.weight("sum.payments", version), Weight::Hard, "{text}");
    }
}

#[test]
fn all_faults_are_reported_at_once() {
    let bad = parsed("[ingest]\nx = 1\n[store]\ny = 2\n[log]\nformat = \"xml\"\n", &[]).unwrap_err();
    let keys: Vec<&str> = bad.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["ingest.x", "log.format", "store.y"]);
}

#[test]
fn a_store_address_is_never_repeated() {
    let bad = parsed("[store]\nurl = \"postgres://u:secret@h/db\"\n", &[]).unwrap_err();
    assert!(!bad.to_string().contains("secret"), "{bad}");
}

#[test]
fn sections_without_their_part_are_named_once() {
    let unbuilt = |text| parse(text, "test", HashMap::new()).unwrap().unbuilt;
    assert!(unbuilt(MINIMAL).is_empty());
    assert_eq!(unbuilt("[web]\n[fns]\n[ingest]\n[mail]\n"), ["web", "mail"]);
}

#[test]
fn a_value_of_the_file_has_the_type_of_its_key() {
    let number = "write a whole number, without quotes";
    let switch = "write true or false, without quotes";
    let text = "write it in quotes";
    for (section, key, value, part) in [
        ("ingest", "max_connections", "true", number),
        ("ingest", "max_connections", "\"5\"", number),
        ("ingest", "max_connections", "[5]", number),
        ("ingest", "max_connections", "2026-11-22", number),
        ("ingest", "max_connections", "5.0", number),
        ("ingest", "max_connections", "inf", number),
        ("operator", "inn", "nan", text),
        ("store", "min_free_mib", "false", number),
        ("store", "queue_max_documents", "\"8192\"", number),
        ("fns", "batch_docs", "true", number),
        ("registration", "grace_s", "\"1\"", number),
        ("signs", "test", "\"yes\"", switch),
        ("signs", "test", "\"true\"", switch),
        ("signs", "test", "1", switch),
        ("signs", "i_understand_unsigned", "1", switch),
        ("ingest", "proxy_protocol", "0", "\"off\" or \"required\""),
        ("ingest", "proxy_protocol", "true", "\"off\" or \"required\""),
        ("ingest", "proxy_from", "5", "a list of networks"),
        ("operator", "inn", "7700000009", text),
        ("operator", "name", "true", text),
        ("operator", "name", "[\"a\"]", text),
        ("operator", "name", "{ a = \"b\" }", text),
        ("store", "url", "5", text),
        ("signs", "keys_msg", "5", text),
        ("mail", "password_file", "true", text),
        ("log", "filter", "1", text),
        ("signs", "mode", "1", "\"log-only\""),
        ("signs", "mode", "{ required = 1 }", "\"log-only\""),
        ("log", "format", "true", "\"json\""),
        ("ingest", "listen", "7777", "ADDRESS:PORT"),
        ("checks", "\"sum.items\"", "true", "\"soft\""),
    ] {
        let bad = parsed(&format!("[{section}]\n{key} = {value}\n"), &[]).expect_err(value);
        let said: Vec<String> = bad.problems.iter().map(ToString::to_string).collect();
        let path = format!("{section}.{}: ", key.replace('"', ""));
        assert!(
            matches!(&said[..], [one] if one.starts_with(&path) && one.contains(part)),
            "{value}: {said:?}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_looked_at_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (none, there) = (folder.path().join("none.toml"), folder.path().join("there.toml"));
    std::fs::write(&there, "").unwrap();
    assert_eq!(first_there(&[&none]), Ok(None));
    assert_eq!(first_there(&[&none, &there]), Ok(Some(there.clone())));
    // A file in place of the folder fails like a folder that is closed to us, for root too.
    let hidden = there.join("fiscald.toml");
    let bad = first_there(&[&none, &hidden, &there]).unwrap_err();
    assert_eq!(bad.source, hidden.display().to_string());
    assert!(bad.to_string().contains("cannot be looked at: Not a directory"), "{bad}");
}

#[test]
fn a_missing_file_says_so() {
    let bad = load(Some(Path::new("/nonexistent/fiscald.toml"))).unwrap_err();
    assert!(bad.to_string().contains("cannot be read"), "{bad}");
}

#[test]
fn the_shipped_file_loads_and_changes_nothing() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/fiscald.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let shipped = parse(&text, "config/fiscald.toml", HashMap::new()).unwrap();
    let mut expected = Settings::default();
    // What an installation needs to differ from a first try in a working folder.
    expected.operator.inn = shipped.settings.operator.inn.clone();
    expected.store.url = "sqlite:/var/lib/fiscald/fiscald.db".to_owned();
    expected.signs.keys_msg = Some("/etc/fiscald/keys/msg.keys".into());
    expected.signs.keys_opr = Some("/etc/fiscald/keys/opr.keys".into());
    assert_eq!(format!("{:?}", shipped.settings), format!("{expected:?}"));

    // A commented key is as good as a key: the file with every key switched on must load too.
    let with_all: String =
        text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
    // Some of them are for a server.
    let with_all = with_all.replace("sqlite:/var/lib/fiscald/fiscald.db", "postgres://fiscald@db1/fiscald");
    let all = parse(&with_all, "config/fiscald.toml with every key", HashMap::new());
    assert!(all.is_ok(), "{}", all.unwrap_err());
}

#[test]
fn the_shipped_file_names_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/fiscald.toml");
    let text = std::fs::read_to_string(path).unwrap();
    for section in SECTIONS.iter().filter(|section| **section != "checks") {
        // The refusal of an unknown key lists all known ones.
        let bad = parsed(&format!("[{section}]\nno_such_key = 1\n"), &[]).unwrap_err();
        let problem = bad.problems.first().unwrap();
        let keys = problem.fix.split(" knows ").nth(1).unwrap().replace(" or ", ", ");
        let begin = text.find(&format!("\n[{section}]\n")).unwrap_or_else(|| panic!("no [{section}]"));
        let body = &text[begin + 2..];
        let body = &body[..body.find("\n[").unwrap_or(body.len())];
        for key in keys.split(", ") {
            let there = body.lines().any(|line| {
                line.strip_prefix("#: ")
                    .unwrap_or(line)
                    .split('=')
                    .next()
                    .is_some_and(|name| name.trim() == key)
            });
            assert!(there, "config/fiscald.toml lacks [{section}] {key}");
        }
    }
}
