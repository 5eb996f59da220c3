//! Rows of the table of answers that depend on settings: unknown ФН, sign modes, modules out of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ffd::FormCode;
use ofd_store::{Forward, Standing};
use pkz::{
    AckRequest, AckSigner, FiscalSignVerifier, NoPkz, OpenOutcome, RawContainer, SealError, SealedAck,
    SignMode, SoftPkz, Verdict,
};

use crate::UnknownFn;
use crate::testing::{Body, FN, KKT_SERIAL, Setup, Till, set, soft_pkz, within};

#[tokio::test]
async fn an_unknown_fn_is_held_until_its_register_is_announced() {
    let daemon = Setup::with_policy(UnknownFn::Hold, SignMode::Required).start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    client.send(&till.registration()).await;
    client.send(&till.receipt(2)).await;
    client.expect_silence_so_far().await;
    let held = daemon.quarantine();
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|row| row.reason == "unknown_fn_held" && row.identity.is_some()));
    assert!(daemon.documents().is_empty());

    daemon.facts.know_serial(KKT_SERIAL);
    client.send(&till.receipt(2)).await;
    client.expect_silence_so_far().await;
    let reply = client.exchange(&till.registration()).await;
    assert_eq!(till.code(1, &reply), 0);
    assert_eq!(daemon.standing(&till), Standing::Known);
    let reply = client.exchange(&till.receipt(2)).await;
    assert_eq!(till.code(2, &reply), 0);
    let forwards: Vec<_> = daemon.documents().iter().map(|row| row.forward).collect();
    assert_eq!(forwards, [Forward::Yes, Forward::Yes]);
    assert_eq!(
        daemon.running.metric(r#"fiscald_quarantined_total{reason="unknown_fn_held"}"#).to_string(),
        "2",
        "the receipt that came twice is one copy"
    );
    drop(client);
    daemon.stop().await;
}

/// As after a change of the policy: what is held back is what is new.
#[tokio::test]
async fn what_an_unknown_fn_got_acknowledged_once_is_acknowledged_again() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let reply = daemon.connect().await.exchange(&till.receipt(2)).await;
    let strict = Setup::with_policy(UnknownFn::Hold, SignMode::Required);
    let strict = strict.run_on(daemon.running.journal.clone(), Arc::default()).await;
    let mut client = strict.connect().await;
    assert_eq!(client.exchange(&till.receipt(2)).await, reply);
    client.send(&till.receipt(3)).await;
    // Other content under the number that was acknowledged is new as well.
    let other = till.document_with(FormCode::RECEIPT, 2, |records| set(records, 1021, b"Petrova"));
    client.send(&till.message(&till.container(2, &other, Body::Open))).await;
    client.expect_silence_so_far().await;
    assert_eq!((daemon.documents().len(), daemon.quarantine().len()), (1, 2));
    let held = strict.metric(r#"fiscald_rejects_total{reason="unknown_fn_held"}"#);
    assert_eq!(
        (held.to_string(), strict.metric("fiscald_repeats_total").to_string()),
        ("2".into(), "1".into())
    );
    // A forged sign hears nothing of what is there.
    let forged = till.container_signed(
        2,
        &till.document(FormCode::RECEIPT, 2),
        Body::Open,
        [0xD1, 6, 0, 0, 0, 0, 0, 0],
    );
    client.send(&till.message(&forged)).await;
    client.expect_silent_close().await;
    strict.stop().await;
    daemon.stop().await;
}

#[tokio::test]
async fn an_unknown_fn_is_rejected() {
    let daemon = Setup::with_policy(UnknownFn::Reject, SignMode::Required).start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    client.send(&till.receipt(2)).await;
    client.expect_silence_so_far().await;
    assert_eq!((daemon.documents().len(), daemon.quarantine().len()), (0, 0));
    assert_eq!(
        daemon.running.metric(r#"fiscald_rejects_total{reason="unknown_fn_rejected"}"#).to_string(),
        "1"
    );
    daemon.facts.know(till.fn_number);
    let reply = client.exchange(&till.receipt(2)).await;
    assert_eq!(till.code(2, &reply), 0);
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn an_accepted_fn_is_forwarded_when_it_is_known() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    client.exchange(&till.receipt(5)).await;
    client.exchange(&till.registration()).await;
    client.exchange(&till.receipt(6)).await;
    let forwards: Vec<_> = daemon.documents().iter().map(|row| row.forward).collect();
    assert_eq!(forwards, [Forward::WhenKnown, Forward::Yes, Forward::Yes]);
    daemon.stop().await;

    let mut setup = Setup::new();
    setup.policy.forward_unknown = true;
    let daemon = setup.start().await;
    daemon.connect().await.exchange(&till.receipt(5)).await;
    assert_eq!(daemon.documents()[0].forward, Forward::Yes);
    daemon.stop().await;
}

#[tokio::test]
async fn forged_signs_are_quarantined_and_close_in_required() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let document = till.document(FormCode::RECEIPT, 2);
    let rows: [(Body, [u8; 8], &str); 5] = [
        (Body::Open, [0xD1, 6, 0, 0, 0, 0, 0, 0], "sign_invalid"),
        (Body::Open, [0xE1, 6, 0, 0, 0, 0, 0, 0], "sign_invalid"),
        (Body::Open, [0x81, 6, 0, 0, 0, 0, 0, 0], "foreign_scheme"),
        (Body::Open, [0xDF, 6, 0, 0, 0, 0, 0, 0], "unknown_generation"),
        (Body::Encrypted, [0xD1, 6, 0, 0, 0, 0, 0, 0], "sign_invalid"),
    ];
    for (body, sign, reason) in rows {
        let container = till.container_signed(2, &document, body, sign);
        let mut client = daemon.connect().await;
        client.send(&till.message(&container)).await;
        client.expect_silent_close().await;
        let metric = format!(r#"fiscald_rejects_total{{reason="{reason}"}}"#);
        assert!(daemon.running.metric(&metric) > 0.5, "{reason}");
    }
    assert!(daemon.documents().is_empty());
    // One row per identity: the same document under other signs counts as one copy.
    let [kept] = daemon.quarantine().try_into().unwrap();
    assert_eq!((kept.reason.as_str(), kept.times), ("sign_invalid", 5));
    daemon.stop().await;
}

#[tokio::test]
async fn forged_signs_are_journalled_with_the_mark_in_log_only() {
    let daemon = Setup::with_policy(UnknownFn::Accept, SignMode::LogOnly).start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    // Where the sign names no keys that exist, the answer is sealed with the newest.
    let rows: [(u32, [u8; 8], &str, u8); 3] = [
        (1, [0xD1, 6, 0, 0, 0, 0, 0, 0], "mismatch", 1),
        (2, [0x81, 6, 0, 0, 0, 0, 0, 0], "foreign_scheme", 2),
        (3, [0xDF, 6, 0, 0, 0, 0, 0, 0], "unknown_generation", 2),
    ];
    for (number, sign, verdict, sealed_with) in rows {
        let document = till.document(FormCode::REGISTRATION_CHANGE, number);
        let container = till.container_signed(number, &document, Body::Open, sign);
        client.send(&till.message(&container)).await;
        let (_, reply) = client.reply().await;
        assert_eq!(Till::of_generation(FN, sealed_with).code(number, &reply), 0, "{verdict}");
        let row = daemon.documents().pop().unwrap();
        assert_eq!((row.verdict.as_str(), row.sign_mark, row.forward), (verdict, true, Forward::Yes));
    }
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_kept_and_the_connection_goes_on() {
    let daemon = Setup::with_policy(UnknownFn::Accept, SignMode::LogOnly).start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let document = till.document(FormCode::RECEIPT, 2);
    let sign_of_unknown_key = [0xDF, 6, 0, 0, 0, 0, 0, 0];
    client
        .send(&till.message(&till.container_signed(2, &document, Body::Encrypted, sign_of_unknown_key)))
        .await;
    client.expect_silence_so_far().await;
    let [kept] = daemon.quarantine().try_into().unwrap();
    assert_eq!((kept.reason.as_str(), kept.identity), ("cannot_open", None));
    let reply = client.exchange(&till.receipt(2)).await;
    assert_eq!(till.code(2, &reply), 0);
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn signs_off_takes_open_documents_only() {
    let mut setup = Setup::with_policy(UnknownFn::Accept, SignMode::Off);
    setup.verifier = Arc::new(NoPkz);
    setup.signer = Arc::new(NoPkz);
    let daemon = setup.start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let reply = client.exchange(&till.receipt(2)).await;
    let reply = kkt_proto::container::Container::decode(&reply).unwrap();
    assert_eq!(reply.sign, [0; 8]);
    let encrypted = till.container(3, &till.document(FormCode::RECEIPT, 3), Body::Encrypted);
    client.send(&till.message(&encrypted)).await;
    client.expect_silence_so_far().await;
    let [row] = daemon.documents().try_into().unwrap();
    assert_eq!((row.verdict.as_str(), row.sign_mark), ("disabled", true));
    assert_eq!(daemon.quarantine()[0].reason, "cannot_open");
    drop(client);
    daemon.stop().await;
}

/// A module that can be switched out of work.
struct Moody {
    device: Arc<SoftPkz>,
    out_of_work: AtomicBool,
}

impl Moody {
    fn out_of_work() -> Arc<Self> {
        Arc::new(Self { device: soft_pkz(), out_of_work: AtomicBool::new(true) })
    }

    fn work_again(&self) {
        self.out_of_work.store(false, Ordering::SeqCst);
    }

    fn is_out_of_work(&self) -> bool {
        self.out_of_work.load(Ordering::SeqCst)
    }
}

impl FiscalSignVerifier for Moody {
    fn open<'a>(&self, raw: &RawContainer<'a>) -> OpenOutcome<'a> {
        let opened = self.device.open(raw);
        if self.is_out_of_work() {
            let verdict = Verdict::Unavailable { retry_after: Duration::from_secs(1) };
            return OpenOutcome { document: None, verdict, ..opened };
        }
        opened
    }

    fn kind(&self) -> &'static str {
        "moody"
    }
}

impl AckSigner for Moody {
    fn seal(&self, request: &AckRequest<'_>) -> Result<SealedAck, SealError> {
        if self.is_out_of_work() {
            return Err(SealError::Unavailable { retry_after: Duration::from_secs(1) });
        }
        self.device.seal(request)
    }
}

#[tokio::test]
async fn a_verifier_out_of_work_is_silence_and_the_connection_goes_on() {
    let moody = Moody::out_of_work();
    let mut setup = Setup::new();
    setup.verifier = moody.clone();
    let daemon = setup.start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    client.send(&till.receipt(2)).await;
    client.expect_silence_so_far().await;
    assert_eq!((daemon.documents().len(), daemon.quarantine().len()), (0, 0));
    moody.work_again();
    let reply = client.exchange(&till.receipt(2)).await;
    assert_eq!(till.code(2, &reply), 0);
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn a_signer_out_of_work_is_silence() {
    let moody = Moody::out_of_work();
    let mut setup = Setup::new();
    setup.signer = moody.clone();
    let daemon = setup.start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    client.send(&till.receipt(2)).await;
    client.expect_silence_so_far().await;
    assert!(daemon.documents().is_empty(), "nothing is in the journal without its acknowledgement");
    assert_eq!(daemon.standing(&till), Standing::Unknown);
    moody.work_again();
    let reply = daemon.connect().await.exchange(&till.receipt(2)).await;
    assert_eq!(till.code(2, &reply), 0);
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn a_store_out_of_work_is_silence() {
    let mut daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    client.exchange(&till.receipt(1)).await;
    within(daemon.store.take().unwrap().close(Duration::from_secs(10))).await.unwrap();
    client.send(&till.receipt(2)).await;
    client.expect_silence_so_far().await;
    assert_eq!(
        daemon.running.metric(r#"fiscald_rejects_total{reason="store_unavailable"}"#).to_string(),
        "1"
    );
    drop(client);
    daemon.stop().await;
}
