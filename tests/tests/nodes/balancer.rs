//! The shipped configuration of HAProxy, on real nodes.

use std::time::Duration;

use fiscald_tests::daemon::Setup;
use fiscald_tests::haproxy::{self, Haproxy};
use fiscald_tests::sockets::connect_from;
use fiscald_tests::wire::{Register, Storage};
use pg_testing::free_port;

use crate::place::{Place, behind_balancer};

#[test]
fn the_shipped_configuration_is_valid() {
    let file = haproxy::shipped();
    let checked = haproxy::run(&["-c", "-f", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && !said.contains("WARNING"), "{said}");
}

#[test]
fn nodes_learn_the_registers_address_and_a_red_node_gets_none() {
    let mut places = [
        Place::new(behind_balancer()),
        // More free space than any disk has: this one never takes a document.
        Place::new(behind_balancer().with("store.min_free_mib", "1000000000")),
    ];
    for place in &mut places {
        place.start();
    }
    let balancer = Haproxy::start(&places.each_ref().map(|place| place.node), free_port);
    balancer.wait_for(&[true, false]);
    let storage = Storage::new("9999078900000017");
    for fd_number in 1..=8 {
        let mut register = Register::over(connect_from([127, 0, 0, 9].into(), balancer.registers));
        let answer = register.exchange(&storage.send(fd_number, &storage.receipt(fd_number, 100)));
        assert_eq!(storage.check_answer(&answer, fd_number), 0);
    }
    let rows = places[0].setup.json(&["documents", "list", "--json"]);
    let peers: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["peer"].as_str().unwrap()).collect();
    assert_eq!(peers.len(), 8);
    assert!(peers.iter().all(|peer| peer.starts_with("127.0.0.9:")), "{peers:?}");
    let introduced =
        |place: &mut Place| place.daemon().metric("fiscald_proxy_connections_total", &["register"]);
    assert_eq!(introduced(&mut places[0]).to_string(), "8");
    assert_eq!(introduced(&mut places[1]).to_string(), "0");
    // Without the header nobody gets further, not even from here.
    let mut direct = Register::connect(places[0].daemon().registers);
    direct.write(&storage.send(9, &storage.receipt(9, 100)));
    assert!(direct.closed_silently());
    assert!(balancer.page("/metrics").contains("haproxy_server_status"));
}

#[test]
fn with_no_green_node_a_register_waits_instead_of_being_turned_away() {
    // More free space than any disk has: it never takes a document.
    let mut place = Place::new(behind_balancer().with("store.min_free_mib", "1000000000"));
    place.start();
    let balancer = Haproxy::start(&[place.node], free_port);
    balancer.wait_for(&[false]);
    let storage = Storage::new("9999078900000017");
    let mut register = Register::connect(balancer.registers);
    register.write(&storage.send(1, &storage.receipt(1, 100)));
    assert!(register.silent_for(Duration::from_secs(2)), "neither an answer nor an end");
    assert_eq!(place.daemon().metric("fiscald_proxy_connections_total", &["register"]).to_string(), "1");
}

#[test]
fn health_checks_leave_no_trace_among_faults() {
    let mut place = Place::new(behind_balancer());
    place.start();
    let balancer = Haproxy::start(&[place.node], free_port);
    balancer.wait_for(&[true]);
    let checks = || balancer.of_nodes("check_status");
    assert_eq!(checks(), ["L7OK"]);
    for outcome in ["no_header", "damaged", "cut_off", "late", "stranger"] {
        assert_eq!(place.daemon().metric("fiscald_proxy_connections_total", &[outcome]).to_string(), "0");
    }
    let warned = place.daemon().log().iter().any(|line| line.contains("connection refused"));
    assert!(!warned, "{}", place.daemon().log().join("\n"));
    // A node that goes away is noticed, and back again.
    place.kill();
    balancer.wait_for(&[false]);
    place.start();
    balancer.wait_for(&[true]);
}

#[test]
fn a_setup_without_a_balancer_needs_no_header() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new("9999078900000017");
    let answer = Register::connect(daemon.registers).exchange(&storage.send(1, &storage.receipt(1, 100)));
    assert_eq!(storage.check_answer(&answer, 1), 0);
}
