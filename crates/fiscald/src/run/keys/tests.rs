use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::SignProfile;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn signs(mode: SignMode, files: Option<(&Path, &Path)>, test: bool) -> SignsConfig {
    SignsConfig {
        mode,
        profile: SignProfile::SoftGost1,
        keys_msg: files.map(|(msg, _)| msg.to_owned()),
        keys_opr: files.map(|(_, opr)| opr.to_owned()),
        test,
        i_understand_unsigned: true,
    }
}

#[test]
fn which_device_the_settings_give() {
    let folder = Folder::new();
    let msg = folder.write("msg.keys", test_keys::message_keystore());
    let opr = folder.write("opr.keys", test_keys::operator_keystore());
    let files = Some((msg.as_path(), opr.as_path()));
    for (mode, files, test, expected) in [
        (SignMode::Required, None, false, None),
        (SignMode::Required, None, true, Some("soft-gost-1")),
        (SignMode::Required, files, true, Some("soft-gost-1")),
        // Published keys in files are still published keys.
        (SignMode::Required, files, false, None),
        (SignMode::LogOnly, None, false, Some("none")),
        (SignMode::LogOnly, None, true, Some("soft-gost-1")),
        (SignMode::Off, None, false, Some("none")),
        (SignMode::Off, files, true, Some("none")),
    ] {
        let kind = load(&signs(mode, files, test)).map(|device| device.verifier().kind());
        assert_eq!(kind.as_ref().ok().copied(), expected, "{mode:?} {files:?} {test}: {kind:?}");
    }
}

#[test]
fn without_keys_it_says_the_two_commands() {
    let error = load(&signs(SignMode::Required, None, false)).err().unwrap();
    let text = error.to_string();
    assert!(error.is::<NoKeys>());
    assert_eq!(text.matches(" keys generate --purpose ").count(), 2, "{text}");
    assert!(text.contains("keys_msg = ") && text.contains("keys_opr = "), "{text}");
}

#[test]
fn named_files_that_are_not_there_can_be_made_by_the_commands_printed() {
    let folder = Folder::new();
    let (msg, opr) = (folder.0.path().join("deeper/msg.keys"), folder.0.path().join("opr.keys"));
    let said = || {
        let error = load(&signs(SignMode::Required, Some((&msg, &opr)), true)).err().unwrap();
        (error.is::<NoKeys>(), error.to_string())
    };
    let (missing, text) = said();
    assert!(missing);
    assert!(text.contains(&format!("--purpose msg --out {}", msg.display())), "{text}");
    assert!(text.contains(&format!("--purpose opr --out {}", opr.display())), "{text}");
    assert!(!text.contains("[signs]"), "they are named already: {text}");

    folder.write("opr.keys", test_keys::operator_keystore());
    let (missing, text) = said();
    assert!(missing);
    assert!(text.contains("--purpose msg") && !text.contains("--purpose opr"), "{text}");

    std::fs::create_dir(folder.0.path().join("deeper")).unwrap();
    folder.write("deeper/msg.keys", test_keys::message_keystore());
    assert!(load(&signs(SignMode::Required, Some((&msg, &opr)), true)).is_ok());
}

#[test]
fn a_bad_new_key_file_leaves_the_old_keys() {
    let folder = Folder::new();
    let msg = folder.write("msg.keys", test_keys::message_keystore());
    let opr = folder.write("opr.keys", test_keys::operator_keystore());
    let device = load(&signs(SignMode::Required, Some((&msg, &opr)), true)).unwrap();
    let before = device.describe();
    folder.write("msg.keys", "nonsense");
    assert!(device.reload().is_err());
    assert_eq!(device.describe(), before);

    let first_line = test_keys::message_keystore().lines().next().unwrap();
    folder.write("msg.keys", first_line);
    assert!(device.reload().unwrap());
    assert_ne!(device.describe(), before, "the second generation is gone");
}

#[test]
fn keys_that_end_are_told_before_and_after() {
    let end_s = 4_102_444_800; // 2100-01-01, of both published generations
    let (day_s, device) = (24 * 60 * 60, Device::published());
    for (from_end_s, said, trouble) in [
        (-60 * day_s - 1, None, false),
        (-60 * day_s, Some("ends at 2100-01-01T00:00:00Z"), false),
        (0, Some("ends at"), false),
        (1, Some("ended at 2100-01-01T00:00:00Z"), false),
        (30 * day_s, Some("ended at"), false),
        (30 * day_s + 1, None, true),
    ] {
        let now = Timestamp::from_second(end_s + from_end_s).unwrap();
        device.set_now(now);
        let expiry = device.expiry(now);
        assert_eq!(expiry.is_some(), said.is_some(), "{from_end_s}: {expiry:?}");
        assert!(expiry.is_none_or(|text| text.contains(said.unwrap())), "{from_end_s}");
        assert_eq!(device.trouble().is_some(), trouble, "{from_end_s}");
    }
    let off = load(&signs(SignMode::Off, None, false)).unwrap();
    assert_eq!((off.trouble(), off.expiry(Timestamp::now())), (None, None));
}

#[test]
fn descriptions_hold_no_key() {
    let text = Device::published().describe();
    assert!(text.contains("KCV cd345967"), "{text}");
    assert!(!text.contains("d4eed2088c81edfa"), "{text}");
}
