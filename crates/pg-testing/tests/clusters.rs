//! The harness itself: clusters work, fail as asked, and leave nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pg_testing::{Cluster, Stop, url_of};

const DEADLINE: Duration = Duration::from_secs(60);

type End = fn(&Cluster);

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

#[test]
fn a_cluster_works_as_an_unprivileged_user_and_is_gone_afterwards() {
    let cluster = Cluster::start();
    assert_eq!(cluster.psql("SELECT 1 + 1"), "2");
    assert_eq!(cluster.psql("SHOW fsync"), "on");
    assert_eq!(cluster.psql("SHOW listen_addresses"), "127.0.0.1");
    let (first, second) = (cluster.create_database(), cluster.create_database());
    assert_ne!(first, second);
    cluster.psql_in(&first, "CREATE TABLE t (n bigint); INSERT INTO t VALUES (7)");
    assert_eq!(cluster.psql_in(&first, "SELECT n FROM t"), "7");
    assert!(cluster.try_psql(&second, "SELECT n FROM t").unwrap_err().contains("does not exist"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.pid())).unwrap();
    assert!(!status.lines().any(|line| line.starts_with("Uid:\t0")), "{status}");
    let (folder, pid) = (cluster.folder().to_owned(), cluster.pid());
    drop(cluster);
    assert!(!folder.exists());
    assert!(!is_running(pid));
}

#[test]
fn a_panic_stops_the_cluster() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let ended = std::thread::spawn(move || {
        let cluster = Cluster::start();
        sender.send((cluster.folder().to_owned(), cluster.pid())).unwrap();
        panic!("as a failing test does");
    })
    .join();
    assert!(ended.is_err());
    let (folder, pid) = receiver.recv().unwrap();
    assert!(!folder.exists());
    assert!(!is_running(pid));
}

#[test]
fn what_was_committed_is_there_after_every_kind_of_end() {
    let cluster = Cluster::start();
    cluster.psql("CREATE TABLE t (n bigint)");
    let ends: [(&str, End); 3] = [
        ("fast", |cluster| cluster.stop(Stop::Fast)),
        ("immediate", |cluster| cluster.stop(Stop::Immediate)),
        ("kill", Cluster::kill),
    ];
    for (count, (name, end)) in (1..).zip(ends) {
        cluster.psql("INSERT INTO t VALUES (1)");
        let pid = cluster.pid();
        end(&cluster);
        assert!(!cluster.is_running() && !is_running(pid), "{name}");
        assert!(cluster.try_psql("postgres", "SELECT 1").is_err(), "{name}");
        cluster.start_again();
        assert_eq!(cluster.psql("SELECT count(*) FROM t"), count.to_string(), "{name}");
    }
    cluster.restart();
    assert!(cluster.is_running());
}

#[test]
fn a_paused_cluster_answers_nobody_until_it_is_resumed() {
    let cluster = Cluster::start();
    cluster.pause();
    let mut asking = cluster.psql_command("postgres", "SELECT 5").stdout(Stdio::piped()).spawn().unwrap();
    // Long enough for an answer of a server that works; a machine that is slower proves less and fails nothing.
    std::thread::sleep(Duration::from_millis(300));
    assert!(asking.try_wait().unwrap().is_none(), "nobody answers");
    cluster.resume();
    let output = asking.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"5\n");
    cluster.pause();
    let folder = cluster.folder().to_owned();
    drop(cluster);
    assert!(!folder.exists(), "a paused server is stopped too");
}

#[test]
fn a_password_is_asked_for() {
    let cluster = Cluster::builder().password("s3cret").without_sync().start();
    assert_eq!(cluster.psql("SHOW fsync"), "off");
    assert!(cluster.url("db").starts_with("postgres://postgres:s3cret@127.0.0.1:"));
    let over_tcp = |url: &str| {
        let output = Command::new("psql").args(["-XAtqw", url, "-c", "SELECT 1"]).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(over_tcp(&cluster.url("postgres")).0);
    let (accepted, said) = over_tcp(&cluster.url("postgres").replace(":s3cret", ""));
    assert!(!accepted && said.contains("no password"), "{said}");
    // And the standby knows it too.
    let standby = cluster.standby("b");
    standby.wait_for("SELECT status FROM pg_stat_wal_receiver", "streaming");
}

#[test]
fn a_synchronous_standby_takes_over() {
    let primary = Cluster::start();
    primary.psql("CREATE TABLE t (n bigint)");
    let standby = primary.standby("b");
    primary.set_synchronous(&["b"]);
    primary.psql("INSERT INTO t VALUES (1), (2)");
    assert!(standby.try_psql("postgres", "INSERT INTO t VALUES (3)").unwrap_err().contains("read-only"));
    let url = url_of(&[&primary, &standby], "postgres");
    assert!(url.ends_with("?target_session_attrs=read-write"));
    // A commit waits for a standby that stands still.
    standby.pause();
    let mut waiting = primary.psql_command("postgres", "INSERT INTO t VALUES (3)").spawn().unwrap();
    primary.wait_for("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1");
    assert!(waiting.try_wait().unwrap().is_none());
    standby.resume();
    assert!(waiting.wait().unwrap().success());
    primary.kill();
    standby.promote();
    assert_eq!(standby.psql("SELECT count(*) FROM t"), "3");
    standby.psql("INSERT INTO t VALUES (4)");
    // The lost one comes back as the other's standby, where it was.
    let port = primary.port();
    drop(primary);
    let third = standby.standby_at("a", Some(port));
    assert_eq!(third.port(), port);
    standby.set_synchronous(&["a"]);
    standby.psql("INSERT INTO t VALUES (5)");
    third.wait_for("SELECT count(*) FROM t", "5");
}

/// Which process ends without a chance to clean up, when this test is started as a child.
const CHILD: &str = "PG_TESTING_CHILD";

#[test]
fn a_killed_process_leaves_nothing_behind() {
    if std::env::var_os(CHILD).is_some() {
        let cluster = pg_testing::shared_without_sync();
        let standing = Cluster::start();
        standing.pause();
        println!("\ncluster {} {}", cluster.pid(), cluster.folder().display());
        println!("cluster {} {}", standing.pid(), standing.folder().display());
        println!("end");
        loop {
            std::thread::park();
        }
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_process_leaves_nothing_behind", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let clusters: Vec<(u32, PathBuf)> = lines
        .take_while(|line| line != "end")
        .filter_map(|line| {
            let (pid, folder) = line.strip_prefix("cluster ")?.split_once(' ')?;
            Some((pid.parse().unwrap(), Path::new(folder).to_owned()))
        })
        .collect();
    assert_eq!(clusters.len(), 2);
    assert!(clusters.iter().all(|(pid, folder)| is_running(*pid) && folder.exists()));
    child.kill().unwrap();
    child.wait().unwrap();
    for (pid, folder) in clusters {
        wait_until("the server is left behind", || !is_running(pid));
        wait_until("the folder is left behind", || !folder.exists());
    }
}
