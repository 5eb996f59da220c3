//! Registrations beside a running store: what reception knows of them within a second.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    Announced, ClaimOrder, Client, Commit, CommitIds, Contract, ContractLine, ContractState, DeriveOrder,
    DocumentVerdict, Facts, HolderId, Kkt, KktKey, LeaseProof, Operator, OutboxChange, OutboxState,
    RegisterAdd, RegistrationState, Registry, RegistryChange, RegistryReader, Slot, Standing, TaskFilter,
    Verdict, row,
};

use super::*;
use crate::support::{DEBUG_FN, PLAIN_FN, document, fd_number, fn_number, moment, registration, wait_until};

promises!(
    contracts_are_noticed_and_so_is_their_end,
    commands_and_readers_beside_the_running_store,
    verdicts_and_registers_move_together_under_one_lease,
);

const INN: &str = "7704358518";
const SERIAL: &str = "0042";

fn done(registry: &mut Registry, change: &RegistryChange) -> CommitIds {
    match registry.commit(change).expect("a commit") {
        Commit::Done(ids) => ids,
        Commit::Stale => panic!("stale"),
    }
}

/// A client, a draft of a contract, a line, its register.
fn first() -> RegistryChange {
    let now = moment(0);
    let contract = Contract {
        id: 0,
        version: 0,
        number: "N-1".to_owned(),
        inn: INN.to_owned(),
        state: ContractState::Draft,
        created_at: now,
        active_at: None,
        stopped_at: None,
    };
    let line = ContractLine {
        id: 0,
        version: 0,
        contract_id: row(0),
        inn: INN.to_owned(),
        kkt_serial: SERIAL.to_owned(),
        kkt_model: None,
        fn_number: Some(fn_number(PLAIN_FN)),
        fn_model: None,
        rnm: None,
        created_at: now,
        closed_at: None,
    };
    let kkt = Kkt {
        serial: Some(SERIAL.to_owned()),
        inn: Some(INN.to_owned()),
        fn_number: Some(fn_number(PLAIN_FN)),
        line_id: Some(row(0)),
        ..Kkt::new(RegistrationState::ContractDraft, now)
    };
    RegistryChange {
        clients: vec![Client { inn: INN.to_owned(), name: "ООО".to_owned(), created_at: now }],
        contracts: vec![contract],
        lines: vec![line],
        kkts: vec![kkt],
        ..RegistryChange::default()
    }
}

fn contract_in(registry: &mut Registry, state: ContractState) {
    let contract = registry.contract("N-1").expect("rows").expect("a contract");
    let stopped_at = (state == ContractState::Stopped).then(|| moment(0));
    let change = RegistryChange {
        contracts: vec![Contract { state, stopped_at, ..contract }],
        ..RegistryChange::default()
    };
    done(registry, &change);
}

async fn wait_for(facts: &Arc<Facts>, fn_text: &str, expected: Standing) {
    let number = fn_number(fn_text);
    let now = moment(60_000_000);
    wait_until("the standing", || facts.standing(&number, now).standing == expected).await;
}

fn contracts_are_noticed_and_so_is_their_end(on: On) {
    block_on(async {
        let site = Site::new(on);
        let store = site.open();
        let facts = store.facts();
        facts.set_grace(Duration::from_secs(60));
        let mut registry = Registry::open(&site.url()).unwrap();
        done(&mut registry, &first());
        let (number, now) = (fn_number(PLAIN_FN), moment(60_000_000));
        let announced = |fn_text: &str| facts.announced(&fn_number(fn_text), SERIAL, Some(INN), now);
        wait_until("the draft", || facts.sizes() == (1, 0)).await;
        assert_eq!(facts.standing(&number, now).standing, Standing::Unknown);
        assert_eq!(announced(DEBUG_FN), Announced::No);

        contract_in(&mut registry, ContractState::Active);
        wait_for(&facts, PLAIN_FN, Standing::Known).await;
        assert_eq!(announced(DEBUG_FN), Announced::WithOtherFn);
        contract_in(&mut registry, ContractState::Stopped);
        wait_for(&facts, PLAIN_FN, Standing::Suspended).await;
        assert_eq!(announced(DEBUG_FN), Announced::No);
        assert_eq!(facts.standing(&number, moment(59_999_999)).standing, Standing::Known, "the grace period");
        contract_in(&mut registry, ContractState::Active);
        wait_for(&facts, PLAIN_FN, Standing::Known).await;

        // The ФН is changed; the old one still has documents to send.
        let kkt = registry.kkt(KktKey::Fn(&number)).unwrap().unwrap();
        let line = registry.line_of(SERIAL, INN).unwrap().unwrap();
        let other = Some(fn_number(DEBUG_FN));
        let change = RegistryChange {
            lines: vec![ContractLine { fn_number: other, ..line }],
            kkts: vec![Kkt { fn_number: other, ..kkt }],
            ..RegistryChange::default()
        };
        done(&mut registry, &change);
        wait_for(&facts, DEBUG_FN, Standing::Known).await;
        assert_eq!(facts.standing(&number, now).standing, Standing::Known);
        assert_eq!(announced(PLAIN_FN), Announced::WithOtherFn);

        // Deregistered, and out of the contract.
        let kkt = registry.kkt(KktKey::Serial(SERIAL)).unwrap().unwrap();
        let line = registry.line_of(SERIAL, INN).unwrap().unwrap();
        let change = RegistryChange {
            lines: vec![ContractLine { closed_at: Some(moment(0)), ..line }],
            kkts: vec![Kkt { state: RegistrationState::Deregistered, deregistered_at: Some(77), ..kkt }],
            ..RegistryChange::default()
        };
        done(&mut registry, &change);
        wait_until("the deregistration", || facts.standing(&number, now).deregistered_at == Some(77)).await;
        // The moment is kept in whole seconds.
        assert_eq!(facts.standing(&fn_number(DEBUG_FN), now).standing, Standing::Suspended);
        assert_eq!(announced(PLAIN_FN), Announced::No);
        store.close(GRACE).await.unwrap();

        let reopened = site.open();
        reopened.facts().set_grace(Duration::from_secs(60));
        let standing = reopened.facts().standing(&number, now);
        assert_eq!((standing.standing, standing.deregistered_at), (Standing::Suspended, Some(77)));
        reopened.close(GRACE).await.unwrap();
    });
}

fn commands_and_readers_beside_the_running_store(on: On) {
    block_on(async {
        let site = Site::new(on);
        let store = site.open();
        let mut inside = store.registry().unwrap();
        done(&mut inside, &first());
        let reader = RegistryReader::open(&site.url()).unwrap();
        assert_eq!(
            reader.kkt(KktKey::Serial(SERIAL)).unwrap().unwrap().state,
            RegistrationState::ContractDraft
        );

        // An operator's word comes between reading and writing of somebody else.
        let stale = reader.kkt(KktKey::Id(1)).unwrap().unwrap();
        let stated = RegisterAdd {
            fn_number: Some(fn_number(PLAIN_FN)),
            rnm: Some("0000000001024546".to_owned()),
            ..RegisterAdd::default()
        };
        Operator::open(&site.url()).unwrap().register_add(&stated).unwrap();
        let change = RegistryChange { kkts: vec![stale], ..RegistryChange::default() };
        assert_eq!(inside.commit(&change), Ok(Commit::Stale));
        assert_eq!(inside.kkt(KktKey::Id(1)).unwrap().unwrap().rnm, stated.rnm);

        // The journal's writer and the registry write by turns.
        let mut pending = Vec::new();
        for fd in 1..=50 {
            pending.push(store.journal().append(document(PLAIN_FN, fd, 3, "x")).await.unwrap());
            let kkt = inside.kkt(KktKey::Id(1)).unwrap().unwrap();
            let change = RegistryChange { kkts: vec![kkt], ..RegistryChange::default() };
            done(&mut inside, &change);
        }
        for answer in pending {
            answer.await.unwrap();
        }
        assert_eq!(inside.kkt(KktKey::Id(1)).unwrap().unwrap().version, 52);
        assert_eq!(inside.last_seen(&fn_number(PLAIN_FN)).unwrap(), Some(moment(50)));
        assert_eq!(inside.tasks(&TaskFilter::default(), 10).unwrap(), []);
        drop((inside, reader));
        store.close(GRACE).await.unwrap();
    });
}

/// A verdict moves the register and the document in one transaction, and only for whoever holds the registrar's lease.
fn verdicts_and_registers_move_together_under_one_lease(on: On) {
    block_on(async {
        let site = Site::new(on);
        let store = site.open();
        let (mut registry, mut forwarding) = (store.registry().unwrap(), store.forwarding().unwrap());
        done(&mut registry, &first());
        store.journal().append(registration(PLAIN_FN, SERIAL)).await.unwrap().await.unwrap();
        let derive = OutboxChange {
            derive: Some(DeriveOrder { window: 100, scan: 100 }),
            ..OutboxChange::new(HolderId::new("one").unwrap(), moment(0))
        };
        forwarding.commit(&derive).unwrap();
        let mut registrar = |name: &str| -> LeaseProof {
            let order = ClaimOrder {
                holder: HolderId::new(name).unwrap(),
                now: moment(0),
                until: moment(60_000_000),
                lanes: false,
                registrar: true,
            };
            let leases = forwarding.claim(&order).unwrap().leases;
            leases.iter().find(|lease| lease.slot == Slot::REGISTRAR).unwrap().proof(&order.holder)
        };
        // The first one gave its lease back and another holder took it.
        let lost = registrar("one");
        store.forwarding().unwrap().release(&lost.holder, &[Slot::REGISTRAR]).unwrap();
        let held = registrar("two");

        let change = |registry: &Registry, lease: &LeaseProof, verdict| {
            let kkt = registry.kkt(KktKey::Id(1)).unwrap().unwrap();
            let verdict = DocumentVerdict {
                fn_number: fn_number(PLAIN_FN),
                fd_number: fd_number(1),
                ticket_id: None,
                verdict,
                codes: Vec::new(),
                at: moment(5),
            };
            RegistryChange {
                lease: Some(lease.clone()),
                kkts: vec![Kkt { state: RegistrationState::ReportForwarded, ..kkt }],
                verdicts: vec![verdict],
                refresh: vec![fn_number(PLAIN_FN)],
                ..RegistryChange::default()
            }
        };
        let mut check = |lease: &LeaseProof, verdict, expected: Option<OutboxState>| {
            let mut document = || forwarding.find(&fn_number(PLAIN_FN), fd_number(1)).unwrap();
            let (change, before) = (change(&registry, lease, verdict), document());
            let commit = registry.commit(&change).unwrap();
            let version = registry.kkt(KktKey::Id(1)).unwrap().unwrap().version;
            match expected {
                Some(state) => {
                    let Commit::Done(ids) = commit else { panic!("stale") };
                    assert_eq!(ids.verdicts.applied.len(), 1);
                    assert_eq!((document()[0].state, version), (state, change.kkts[0].version + 1));
                }
                None => {
                    assert_eq!(commit, Commit::Stale);
                    assert_eq!((document(), version), (before, change.kkts[0].version));
                }
            }
        };
        check(&lost, Verdict::Soft, None);
        check(&held, Verdict::Soft, Some(OutboxState::Soft));
        check(&lost, Verdict::Accepted, None);
        check(&held, Verdict::Accepted, Some(OutboxState::Accepted));
        let summary = registry.fns_summary(&fn_number(PLAIN_FN)).unwrap();
        assert_eq!((summary.waiting, summary.soft, summary.hard), (0, 0, 0));
        drop((registry, forwarding));
        store.close(GRACE).await.unwrap();
    });
}
