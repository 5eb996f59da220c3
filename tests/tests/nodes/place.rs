//! A node of several: it is lost and comes back where it was.

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::haproxy::Node;
use pg_testing::free_port;

/// A node that can be lost and come back where it was.
pub(crate) struct Place {
    pub(crate) setup: Setup,
    pub(crate) node: Node,
    pub(crate) daemon: Option<Daemon>,
}

impl Place {
    /// A node that is not started yet, on ports of its own.
    pub(crate) fn new(setup: Setup) -> Self {
        let node = Node { registers: free_port(), admin: free_port() };
        let setup = setup
            .with("ingest.listen", &format!("127.0.0.1:{}", node.registers))
            .with("admin.listen", &format!("127.0.0.1:{}", node.admin));
        Self { setup, node, daemon: None }
    }

    pub(crate) fn start(&mut self) {
        self.daemon = Some(self.setup.start());
    }

    pub(crate) fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().unwrap()
    }

    /// As a power cut does for a process.
    pub(crate) fn kill(&mut self) {
        let daemon = self.daemon.take().unwrap();
        let log = daemon.log();
        assert!(!log.iter().any(|line| line.contains("panicked")), "{}", log.join("\n"));
        daemon.kill();
    }
}

/// Settings of a node behind a balancer of this machine.
pub(crate) fn behind_balancer() -> Setup {
    Setup::new().with("ingest.proxy_protocol", "required").with("ingest.proxy_from", "127.0.0.1")
}
