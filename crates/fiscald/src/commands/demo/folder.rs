//! The folder of a demonstration and what is written into it.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use ofd_sim::fns::FnsSim;

use crate::config::Settings;
use crate::quoting::toml_text;

/// What the demonstration makes in its folder.
const STORE: &str = "fiscald.db";
pub(super) const CONFIGURATION: &str = "fiscald.toml";
const LOG: &str = "fiscald.log";
const CERTIFICATES: &str = "fns";

/// Our number at the simulated tax service.
pub(super) const OFD_ID: &str = "ofd1";

/// A folder that holds nothing of a demonstration yet.
pub(super) fn make(given: Option<PathBuf>) -> Result<PathBuf> {
    let folder = given.unwrap_or_else(|| {
        let time = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
        PathBuf::from("data").join(format!("demo-{time}"))
    });
    // All of them before anything is made: a refused folder stays as it was.
    for name in [STORE, CONFIGURATION, LOG, CERTIFICATES] {
        match std::fs::symlink_metadata(folder.join(name)) {
            Ok(_) => return Err(taken(&folder, name)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot look into {}", folder.display()));
            }
        }
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    std::path::absolute(&folder).with_context(|| format!("cannot find the folder {}", folder.display()))
}

/// The log, which was not there before.
pub(super) fn new_log(folder: &Path) -> Result<File> {
    new_file(folder, LOG)
}

/// A file that was not there before: the demonstration overwrites nothing, however the folder changes meanwhile.
fn new_file(folder: &Path, name: &str) -> Result<File> {
    File::create_new(folder.join(name)).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => taken(folder, name),
        _ => anyhow!(error).context(format!("cannot make {name} in {}", folder.display())),
    })
}

fn taken(folder: &Path, name: &str) -> anyhow::Error {
    anyhow!(
        "{} holds {name} already, and the demonstration never overwrites anything; name another folder with --data",
        folder.display()
    )
}

/// Where the simulated tax service puts the certificates of both ends.
pub(super) fn certificates(folder: &Path) -> PathBuf {
    folder.join(CERTIFICATES)
}

/// Ports chosen by the system, the published test keys, registers served by their contracts, everything forwarded to `tax`.
pub(super) fn settings(folder: &Path, tax: &FnsSim) -> Result<Settings> {
    let mut settings = local(folder);
    let files = tax.certificates().context("the simulated tax service has no certificates")?;
    settings.fns.url = Some(tax.url());
    settings.fns.ofd_id = Some(OFD_ID.to_owned());
    settings.fns.ca = Some(files.ca.clone());
    settings.fns.cert = Some(files.client.clone());
    settings.fns.key = Some(files.client_key.clone());
    // Everything is on this machine: no reason to wait for more of a batch, or for the next look at the journal.
    settings.fns.linger_ms = 50;
    settings.registration.tick_ms = 100;
    Ok(settings)
}

fn local(folder: &Path) -> Settings {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut settings = Settings::default();
    settings.operator.inn = Some(ofd_sim::kkt::OperatorCard::default().inn.as_str().to_owned());
    settings.ingest.listen = any_port;
    settings.admin.listen = any_port;
    settings.store.url = format!("sqlite:{}", folder.join(STORE).display());
    // A day of the demonstration is small, and shall be seen on a small machine too.
    settings.store.min_free_mib = 16;
    settings.signs.test = true;
    settings
}

/// Writes the settings as a file, so that the other commands work on the data of the demonstration.
pub(super) fn write_configuration(folder: &Path, settings: &Settings) -> Result<()> {
    let mut file = new_file(folder, CONFIGURATION)?;
    file.write_all(configuration(settings).as_bytes())
        .with_context(|| format!("cannot write {CONFIGURATION} in {}", folder.display()))
}

fn configuration(settings: &Settings) -> String {
    let fns = &settings.fns;
    let mut text = format!(
        "# Written by `fiscald demo`. Published test keys: never for a real operator.\n\
         [operator]\ninn = {}\n\n[store]\nurl = {}\n\n[signs]\ntest = true\n\n\
         # The simulated tax service of the demonstration; it ended with it.\n[fns]\n",
        toml_text(settings.operator.inn.as_deref().unwrap_or_default()),
        toml_text(&settings.store.url),
    );
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let keys = [
        ("url", fns.url.clone()),
        ("ofd_id", fns.ofd_id.clone()),
        ("ca", path(&fns.ca)),
        ("cert", path(&fns.cert)),
        ("key", path(&fns.key)),
    ];
    for (key, value) in keys {
        if let Some(value) = value {
            text.push_str(&format!("{key} = {}\n", toml_text(&value)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_configuration_loads_as_what_ran() {
        let folder = Path::new("/srv/a \"b\"");
        let mut settings = local(folder);
        settings.fns.url = Some("https://127.0.0.1:9443".to_owned());
        settings.fns.ofd_id = Some(OFD_ID.to_owned());
        settings.fns.ca = Some(folder.join("ca.pem"));
        settings.fns.cert = Some(folder.join("client.pem"));
        settings.fns.key = Some(folder.join("client.key"));
        let loaded =
            crate::config::parse(&configuration(&settings), "demo", std::collections::HashMap::new());
        let loaded = loaded.unwrap().settings;
        assert_eq!(loaded.store.url, settings.store.url);
        assert_eq!(loaded.operator.inn, settings.operator.inn);
        assert_eq!(loaded.fns, settings.fns);
        assert!(loaded.signs.test);
    }

    #[test]
    fn a_folder_in_use_is_refused_and_left_alone() {
        for name in [STORE, CONFIGURATION, LOG, CERTIFICATES] {
            let folder = tempfile::tempdir().unwrap();
            assert!(make(Some(folder.path().to_owned())).is_ok());
            std::fs::write(folder.path().join(name), "precious").unwrap();
            let said = |error: anyhow::Error| {
                let text = format!("{error:#}");
                assert!(text.contains(&format!("holds {name} already")) && text.contains("--data"), "{text}");
            };
            said(make(Some(folder.path().to_owned())).unwrap_err());
            // It came between the look and the making.
            said(new_file(folder.path(), name).unwrap_err());
            assert_eq!(std::fs::read_to_string(folder.path().join(name)).unwrap(), "precious");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }
}
