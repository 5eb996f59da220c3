//! Copies of a cluster that follow it.

use crate::builder::{base_settings, start_on_free_port, write_settings};
use crate::cluster::Cluster;
use crate::folder;
use crate::programs::{Programs, run};
use crate::server::watch;

impl Cluster {
    /// A hot standby of this cluster under a name, on a free port. It holds a replication slot here, so nothing it still
    /// needs goes away. It follows asynchronously until [`Cluster::set_synchronous`] names it.
    pub fn standby(&self, name: &str) -> Self {
        self.standby_at(name, None)
    }

    /// As [`Cluster::standby`], on a given port: where clients already look for it.
    pub fn standby_at(&self, name: &str, port: Option<u16>) -> Self {
        let programs = Programs::find();
        let folder = folder::private(self.folder().parent());
        let watcher = watch(folder.path());
        let data = folder.path().join("data");
        let slot = format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{name}'");
        if self.psql(&slot) == "0" {
            self.psql(&format!("SELECT pg_create_physical_replication_slot('{name}')"));
        }
        let mut copy = programs.command("pg_basebackup", folder.path());
        let socket = self.folder().join("socket");
        // The standby follows over TCP, as it would from another machine; only the copy comes through the socket.
        copy.arg("-D").arg(&data).args(["-c", "fast", "-X", "stream", "-S", name, "--no-sync", "-d"]);
        copy.arg(format!("host={} port={} user=postgres", socket.display(), self.port()));
        run(copy).unwrap_or_else(|reason| panic!("pg_basebackup failed: {reason}"));
        folder::make(&folder.path().join("socket"));
        crate::builder::write(&data.join("standby.signal"), "");
        let own = self.settings_of_standby(name, &data, &base_settings(folder.path()));
        let (server, port) = start_on_free_port(folder.path(), port, |port| {
            write_settings(&data, &format!("{own}port = {port}\n"));
        });
        Self::new(folder, watcher, server, port, self.access().clone())
    }

    /// The primary's settings, whom to follow, and then what is the standby's own.
    fn settings_of_standby(&self, name: &str, data: &std::path::Path, own: &str) -> String {
        let primary = std::fs::read_to_string(data.join("ours.conf")).unwrap();
        let password = self
            .access()
            .password
            .as_ref()
            .map_or_else(String::new, |password| format!(" password={password}"));
        format!(
            "{primary}{own}primary_slot_name = '{name}'\nprimary_conninfo = 'host=127.0.0.1 port={} user=postgres application_name={name}{password}'\n",
            self.port()
        )
    }

    /// A commit waits from now on until the first of these standbys that is there has it on its disk; nobody when the
    /// list is empty. Waits until the setting is in force and the first standby counts as synchronous.
    ///
    /// It is a setting of this cluster alone: a standby that is promoted acknowledges alone until told otherwise.
    pub fn set_synchronous(&self, names: &[&str]) {
        let value = if names.is_empty() { String::new() } else { format!("FIRST 1 ({})", names.join(", ")) };
        self.set("synchronous_standby_names", &value);
        self.wait_for("SHOW synchronous_standby_names", &value);
        if !names.is_empty() {
            self.wait_for("SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'", "t");
        }
    }

    /// Makes a standby the new primary and waits until it takes writes.
    pub fn promote(&self) {
        self.psql("SELECT pg_promote(true, 60)");
        self.wait_for("SELECT pg_is_in_recovery()", "f");
    }
}
