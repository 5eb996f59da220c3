use super::*;

fn linked() -> FnsConfig {
    FnsConfig {
        url: Some("https://fns.example:9443".to_owned()),
        ofd_id: Some("ofd1".to_owned()),
        ca: Some("ca.pem".into()),
        cert: Some("client.pem".into()),
        key: Some("client.key".into()),
        ..FnsConfig::default()
    }
}

#[track_caller]
fn check(start: FnsConfig, change: impl FnOnce(&mut FnsConfig), expected: &[&str]) {
    let mut config = start;
    change(&mut config);
    let problems = config.validate();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key).collect();
    assert_eq!(keys, expected, "{problems:?}");
    for problem in problems {
        assert!(!problem.what.is_empty() && !problem.fix.is_empty(), "{problem:?}");
    }
}

#[test]
fn the_link_needs_all_its_parts() {
    check(FnsConfig::default(), |_| {}, &[]);
    check(linked(), |_| {}, &[]);
    check(linked(), |c| c.ofd_id = None, &["fns.ofd_id"]);
    check(linked(), |c| c.ofd_id = Some("a/b".into()), &["fns.ofd_id"]);
    check(linked(), |c| c.ofd_id = Some("..".into()), &["fns.ofd_id"]);
    check(linked(), |c| c.ca = None, &["fns.ca"]);
    check(linked(), |c| c.cert = None, &["fns.cert"]);
    check(linked(), |c| c.key = None, &["fns.key"]);
    check(linked(), |c| c.server_name = Some("tax.example".into()), &[]);
    check(linked(), |c| c.server_name = Some("10.0.0.1".into()), &["fns.server_name"]);
    check(linked(), |c| c.server_name = Some(String::new()), &["fns.server_name"]);
    check(linked(), |c| c.url = None, &["fns.ofd_id", "fns.ca", "fns.cert", "fns.key"]);
}

#[test]
fn addresses() {
    let check = |url: &str, plain: bool, fine: bool| {
        let mut config = linked();
        config.url = Some(url.to_owned());
        if plain {
            (config.ca, config.cert, config.key) = (None, None, None);
        }
        assert_eq!(config.validate().is_empty(), fine, "{url} {:?}", config.validate());
    };
    check("https://fns.example", false, true);
    check("https://10.1.2.3:9443/", false, true);
    check("https://[2001:db8::1]", false, true);
    check("http://127.0.0.1:8080", true, true);
    check("http://[::1]:8080", true, true);
    check("http://localhost:8080", true, true);
    check("http://127.0.0.1:8080", false, false);
    check("http://10.0.0.1", true, false);
    check("http://fns.example", true, false);
    check("http://localhost.evil.example", true, false);
    check("https://user:secret@fns.example", false, false);
    check("https://fns.example/v1", false, false);
    check("https://fns.example?x", false, false);
    check("ftp://fns.example", false, false);
    check("fns.example", false, false);
    check("", false, false);
}

#[test]
fn a_password_in_the_address_is_not_repeated() {
    let config = FnsConfig { url: Some("https://user:secret@fns.example".to_owned()), ..linked() };
    for problem in config.validate() {
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
}

#[test]
fn limits_at_their_edges() {
    check(linked(), |c| c.batch_docs = 0, &["fns.batch_docs"]);
    check(linked(), |c| c.batch_docs = 10_000, &[]);
    check(linked(), |c| c.batch_docs = 10_001, &["fns.batch_docs"]);
    check(linked(), |c| c.batch_bytes = 1_023, &["fns.batch_bytes"]);
    check(linked(), |c| c.window_docs = 99, &["fns.window_docs"]);
    check(linked(), |c| c.window_docs = 100, &[]);
    check(linked(), |c| c.workers = 257, &["fns.workers"]);
    check(linked(), |c| c.linger_ms = 60_001, &["fns.linger_ms"]);
    check(linked(), |c| c.timeout_s = 60, &["fns.timeout_s"]);
    check(linked(), |c| c.timeout_s = 59, &[]);
    check(linked(), |c| c.retry_base_ms = 300_001, &["fns.retry_base_ms"]);
    check(linked(), |c| c.breaker_open_s = 601, &["fns.breaker_open_s"]);
    check(linked(), |c| c.probe_s = 0, &["fns.probe_s"]);
    check(linked(), |c| c.events_wait_s = 31, &["fns.events_wait_s"]);
    check(linked(), |c| c.status_after_s = 0, &["fns.status_after_s"]);
    check(linked(), |c| c.status_again_s = 0, &["fns.status_again_s"]);
    check(linked(), |c| c.status_retry_s = 0, &["fns.status_retry_s"]);
    check(linked(), |c| c.application_poll_s = 0, &["fns.application_poll_s"]);
    check(linked(), |c| c.application_poll_s = 2_592_001, &["fns.application_poll_s"]);
    check(linked(), |c| c.age_warn_s = 43_201, &["fns.age_warn_s"]);
    check(linked(), |c| c.age_critical_s = 43_199, &["fns.age_high_s"]);
}

#[test]
fn the_endpoint_has_what_was_configured() {
    assert_eq!(FnsConfig::default().endpoint(), None);
    let endpoint = linked().endpoint().unwrap();
    assert_eq!((endpoint.server_name.as_str(), endpoint.ofd_id.as_str()), ("fns.example", "ofd1"));
    assert!(endpoint.tls.is_some());
    let pinned = FnsConfig { server_name: Some("tax.example".into()), ..linked() };
    assert_eq!(pinned.endpoint().unwrap().server_name, "tax.example");
    let plain = FnsConfig {
        url: Some("http://[::1]:8080".to_owned()),
        ofd_id: Some("ofd1".to_owned()),
        ..FnsConfig::default()
    };
    let endpoint = plain.endpoint().unwrap();
    assert_eq!((endpoint.server_name.as_str(), endpoint.tls), ("::1", None));
}

#[test]
fn unknown_keys_are_refused() {
    assert!(serde_json::from_str::<FnsConfig>(r#"{"batch_docs": 5, "names": "legacy"}"#).is_ok());
    assert!(serde_json::from_str::<FnsConfig>(r#"{"batch_doc": 5}"#).is_err());
}
