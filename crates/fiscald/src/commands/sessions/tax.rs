//! Documents on their way to the tax service, as an operator sees them.

use jiff::{SignedDuration, Timestamp};
use ofd_store::{
    BatchDocument, BatchId, BatchStep, ClaimOrder, DeriveOrder, DocumentOutcome, DocumentResult,
    DocumentVerdict, FnsCode, Forwarding, HolderId, NewBatch, OutboxChange, Verdict,
};

use super::{Bench, On, sessions};

sessions!(what_became_of_documents, what_scripts_read_of_the_outbox,);

const TAKEN: (&str, &str) = ("msg_reg11_ffd105_9999078900005488_fd1", "9999078900005488");
const REFUSED: (&str, &str) = ("msg_reg11_ffd12_9999078902013267_fd1", "9999078902013267");

/// A forwarder's work on two documents: one is taken and put into soft quarantine, one is refused for ever.
fn forward(bench: &Bench, taken: i64, refused: i64) {
    let mut forwarding = Forwarding::open(&bench.url).unwrap();
    let (holder, now) = (HolderId::new("node-a/1").unwrap(), Timestamp::now());
    let until = now + SignedDuration::from_hours(24);
    let order = ClaimOrder { holder: holder.clone(), now, until, lanes: true, registrar: true };
    let leases = forwarding.claim(&order).unwrap().leases;
    let id = BatchId::from_bytes([7; 16]);
    let nothing = OutboxChange {
        holder,
        now,
        leases,
        steps: Vec::new(),
        new_batches: Vec::new(),
        verdicts: Vec::new(),
        refresh_later: Vec::new(),
        resend: Vec::new(),
        derive: None,
    };
    let mut commit = |change: OutboxChange| {
        let report = forwarding.commit(&change).unwrap();
        assert!(report.lost.is_empty() && report.refused.is_empty(), "{report:?}");
    };
    commit(OutboxChange { derive: Some(DeriveOrder { window: 100, scan: 1_000 }), ..nothing.clone() });
    let documents = [taken, refused].map(|seq| BatchDocument { seq, raw_sha256: Some([1; 32]) });
    let batch = NewBatch { id, created_at: now, map_ver: 1, documents: documents.to_vec() };
    commit(OutboxChange { new_batches: vec![batch], ..nothing.clone() });
    let delivered = DocumentOutcome::Delivered { ticket_id: Some("T-1".to_owned()), refresh_at: None };
    let dead = DocumentOutcome::Dead {
        code: "RAWDATA_MISMATCH".to_owned(),
        error: "kktRegId differs".to_owned(),
        request: b"{\"messageFiscalSign\":9297300290494287221,\"quantity\":1.10}".to_vec(),
        answer: b"{\"result\":\"refused\",\"code\":\"RAWDATA_MISMATCH\"}".to_vec(),
    };
    let results = vec![
        DocumentResult { seq: taken, outcome: delivered },
        DocumentResult { seq: refused, outcome: dead },
    ];
    commit(OutboxChange { steps: vec![BatchStep::Settle { id, results }], ..nothing.clone() });
    let code = FnsCode {
        code: 901, text: "карточка регистрации не сформирована".to_owned(), path: None
    };
    let verdict = DocumentVerdict {
        fn_number: TAKEN.1.parse().unwrap(),
        fd_number: "1".parse().unwrap(),
        ticket_id: Some("T-1".to_owned()),
        verdict: Verdict::Soft,
        codes: vec![code],
        at: now,
    };
    commit(OutboxChange { verdicts: vec![verdict], ..nothing });
}

fn what_became_of_documents(on: On) {
    let bench = Bench::new(on);
    let (taken, refused) = (bench.receive(TAKEN.0), bench.receive(REFUSED.0));
    let mut session = bench.session(&[
        "outbox summary",
        "outbox list",
        &format!("outbox show {} 1", TAKEN.1),
        "outbox show 9999078900000017 1",
        "documents list",
    ]);
    forward(&bench, taken, refused);
    let (requeue, supersede) =
        (format!("outbox requeue {} 1", REFUSED.1), format!("outbox supersede {} 1", REFUSED.1));
    session += &bench.session(&[
        "outbox summary",
        "outbox list",
        "outbox list --state dead",
        &format!("outbox list --fn {}", TAKEN.1),
        &format!("outbox show {} 1", TAKEN.1),
        &format!("outbox show {} 1", REFUSED.1),
        "documents list",
        &format!("outbox requeue {} 1", TAKEN.1),
        &format!("outbox requeue {} 1", TAKEN.1),
        &supersede,
        &supersede,
        &requeue,
        "outbox requeue --all-dead",
        &format!("outbox show {} 1", REFUSED.1),
    ]);
    insta::assert_snapshot!("what_became_of_documents", session);
}

fn what_scripts_read_of_the_outbox(on: On) {
    let bench = Bench::new(on);
    let (taken, refused) = (bench.receive(TAKEN.0), bench.receive(REFUSED.0));
    let waiting = bench.json("documents list");
    assert_eq!(waiting[0]["fns_status"], "WAITING");
    assert!(waiting[0]["outbox"].is_null(), "not derived yet");
    forward(&bench, taken, refused);
    let summary = bench.json("outbox summary");
    assert_eq!((&summary["states"]["soft"], &summary["states"]["dead"]), (&1.into(), &1.into()));
    assert_eq!((&summary["backlog"], &summary["oldest_at"]), (&0.into(), &serde_json::Value::Null));
    assert_eq!(summary["holders"][0]["lanes"], 256);
    let shown = bench.json(&format!("documents show {} 1", TAKEN.1));
    for (key, expected) in [
        ("fns_status", "WARNING"),
        ("fns_label", "Мягкий карантин"),
        ("outbox", "soft"),
        ("ticket_id", "T-1"),
    ] {
        assert_eq!(shown[0][key], expected);
    }
    assert_eq!(shown[0]["fns_codes"][0]["code"], 901);
    let text = bench.run(&format!("documents show {} 1", TAKEN.1)).text;
    assert!(
        text.contains("tax service WARNING «Мягкий карантин» (soft, ticket T-1)\n     901: карточка"),
        "{text}"
    );
    let shown = bench.json(&format!("outbox show {} 1", REFUSED.1));
    assert_eq!(shown[0]["status"], "ERROR");
    let request = shown[0]["dead_letters"][0]["request"].as_str().unwrap();
    assert!(request.contains("9297300290494287221") && request.contains("1.10"), "{request}");
    assert_eq!(bench.json("outbox requeue --all-dead")["requeued"], 1);
    assert_eq!(bench.json("outbox list --state new").as_array().map(Vec::len), Some(1));
    assert_eq!(bench.json("outbox requeue --all-dead")["requeued"], 0);
}
