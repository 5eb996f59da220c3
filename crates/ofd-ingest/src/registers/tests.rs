use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use ffd::FormCode;

use super::*;
use crate::metrics::build_recorder;
use crate::testing::{FN, NoHistory, Till, fn_number, within};

const SMALL: Limits =
    Limits { half_shard: 2, load_patience: Duration::from_secs(20), retry_after: Duration::from_secs(3600) };

fn registers(history: impl History + 'static, limits: Limits) -> Arc<Registers> {
    Registers::with_limits(Arc::new(history), Arc::new(Metrics::new()), limits)
}

fn numbered(number: u64) -> FnNumber {
    fn_number(&format!("{:016}", 9_999_078_900_000_000 + number))
}

/// Number of the newest document that is remembered.
fn last_fd(memory: Option<Memory>) -> Option<u32> {
    memory.and_then(|memory| memory.judge(|state| state.and_then(RegisterState::last_fd)))
}

/// Says on its way to the journal what a receipt says.
fn advance(registers: &Arc<Registers>, number: u32) -> Advance {
    let till = Till::new(FN);
    let document = till.document(FormCode::RECEIPT, number);
    let memory = registers.recall(&till.fn_number).unwrap();
    memory.advance(registers, till.fn_number, &Document::decode(&document).unwrap())
}

impl Registers {
    fn remembered(&self) -> usize {
        let count = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap();
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(count).sum()
    }
}

#[tokio::test]
async fn memory_is_bounded_and_keeps_those_in_use() {
    let registers = registers(NoHistory, SMALL);
    let busy = numbered(0);
    registers.load(busy).await;
    for number in 1..2000 {
        assert!(registers.recall(&busy).is_some(), "forgotten at {number}");
        registers.load(numbered(number)).await;
        assert!(registers.recall(&numbered(number)).is_some());
    }
    let most = 2 * SMALL.half_shard * SHARDS;
    assert!((most / 2..=most).contains(&registers.remembered()), "{}", registers.remembered());
    assert_eq!(MAX_REMEMBERED, 2 * HALF_SHARD * SHARDS, "the bound is divided without a rest");
}

#[test]
fn a_state_is_as_small_as_is_said() {
    assert!(size_of::<RegisterState>() <= 512, "{} bytes", size_of::<RegisterState>());
}

/// Has one receipt of every ФН.
struct OneReceipt(u32);

impl History for OneReceipt {
    fn load(&self, fn_number: &FnNumber) -> Result<Option<RegisterHistory>, StoreError> {
        let document = Till::new(fn_number.as_str()).document(FormCode::RECEIPT, self.0);
        Ok(Some(RegisterHistory { shift: vec![document], ..RegisterHistory::default() }))
    }
}

/// The same in a store into which other nodes write.
struct Shared(OneReceipt);

impl History for Shared {
    fn load(&self, fn_number: &FnNumber) -> Result<Option<RegisterHistory>, StoreError> {
        self.0.load(fn_number)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_number_that_does_not_follow_has_a_shared_history_read_again() {
    let number = fn_number(FN);
    let before = |registers: &Registers, fd: u32| {
        last_fd(registers.recall_before(&number, FdNumber::new(fd).unwrap()))
    };
    let alone = registers(OneReceipt(7), SMALL);
    alone.load(number).await;
    assert_eq!(before(&alone, 20), Some(7), "nobody else can have taken what is missing");
    let shared = registers(Shared(OneReceipt(7)), SMALL);
    shared.load(number).await;
    for follows in [6, 7, 8] {
        assert_eq!(before(&shared, follows), Some(7), "{follows}");
    }
    assert!(shared.recall_before(&number, FdNumber::new(9).unwrap()).is_none(), "8 may be with another node");
    // What the journal has in hand is not in what would be read: judged without a state.
    shared.load(number).await;
    let in_hand = advance(&shared, 8);
    let memory = shared.recall_before(&number, FdNumber::new(10).unwrap()).unwrap();
    assert!(matches!(memory, Memory::Unread { .. }));
    in_hand.stored();
    assert!(shared.recall(&number).is_none(), "read when the next document comes");
}

#[tokio::test]
async fn a_state_is_kept_only_while_the_journal_agrees() {
    let registers = registers(OneReceipt(7), SMALL);
    let number = fn_number(FN);
    let check = async |name: &str, document: u32, word: fn(Advance), expected: Option<u32>| {
        registers.load(number).await;
        assert_eq!(last_fd(registers.recall(&number)), Some(7), "{name}");
        word(advance(&registers, document));
        assert_eq!(last_fd(registers.recall(&number)), expected, "{name}");
        registers.shard(&number).forget(&number);
    };
    check("new", 8, Advance::stored, Some(8)).await;
    check("new, but late", 6, Advance::stored, Some(7)).await;
    check("a repeat", 7, Advance::repeated, Some(7)).await;
    check("a repeat of what was thought new", 8, Advance::repeated, None).await;
    check("a conflict, a failure, or no word at all", 8, drop, None).await;
}

#[tokio::test]
async fn a_first_report_that_was_a_repeat_is_forgotten() {
    let registers = registers(OneReceipt(1), SMALL);
    let till = Till::new(FN);
    registers.load(till.fn_number).await;
    let report = till.document(FormCode::REGISTRATION, 1);
    let memory = registers.recall(&till.fn_number).unwrap();
    memory.advance(&registers, till.fn_number, &Document::decode(&report).unwrap()).repeated();
    assert!(registers.recall(&till.fn_number).is_none(), "it may have begun a chain that is an old one");
}

#[tokio::test]
async fn a_state_in_use_is_not_overwritten_by_a_late_reading() {
    let registers = registers(OneReceipt(7), SMALL);
    let number = fn_number(FN);
    registers.load(number).await;
    advance(&registers, 8).stored();
    // Another connection asked at the same time, and was slower.
    assert_eq!(last_fd(Some(registers.load(number).await)), Some(8));
    assert_eq!(last_fd(registers.recall(&number)), Some(8));
}

/// Fails as often as told, then knows nothing of anybody.
struct Failing(AtomicUsize);

impl History for Failing {
    fn load(&self, _: &FnNumber) -> Result<Option<RegisterHistory>, StoreError> {
        match self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(StoreError::Corrupt { detail: "page 7".to_owned() }),
            Err(_) => Ok(None),
        }
    }
}

#[tokio::test]
async fn what_could_not_be_read_is_left_alone_for_a_while() {
    for (retry_after, tried_again) in [(Duration::ZERO, true), (Duration::from_secs(3600), false)] {
        let registers = registers(Failing(AtomicUsize::new(1)), Limits { retry_after, ..SMALL });
        let number = fn_number(FN);
        assert!(matches!(registers.load(number).await, Memory::Unread { .. }));
        assert_eq!(registers.recall(&number).is_none(), tried_again);
        if let Some(memory) = registers.recall(&number) {
            assert!(memory.judge(|state| state.is_none()));
            // What is stored without a state takes away one that was read meanwhile, and nothing else.
            advance(&registers, 3).stored();
            assert!(registers.recall(&number).is_some());
        }
    }
}

#[tokio::test]
async fn nothing_is_read_while_the_journal_has_documents_of_the_fn_in_hand() {
    // What is read then lacks them: the next document would seem to leave a gap.
    let in_hand = |memory: &Memory, registers: &Arc<Registers>, number: u32| {
        let till = Till::new(FN);
        let document = till.document(FormCode::RECEIPT, number);
        memory.advance(registers, till.fn_number, &Document::decode(&document).unwrap())
    };
    let unknown = |memory: Option<Memory>| memory.map(|memory| memory.judge(|state| state.is_none()));
    let number = fn_number(FN);

    let registers = registers(Failing(AtomicUsize::new(1)), Limits { retry_after: Duration::ZERO, ..SMALL });
    let unread = registers.load(number).await;
    let first = in_hand(&unread, &registers, 3);
    let second = in_hand(&unread, &registers, 4);
    assert_eq!(unknown(registers.recall(&number)), Some(true), "a late repair");
    // Another connection was reading already.
    assert_eq!(unknown(Some(registers.load(number).await)), Some(true), "a reading that began before");
    first.stored();
    assert_eq!(unknown(registers.recall(&number)), Some(true), "one of two");
    second.stored();
    assert!(registers.recall(&number).is_none(), "it is tried again");

    let state = registers.load(number).await;
    let (conflict, late) = (in_hand(&state, &registers, 5), in_hand(&state, &registers, 6));
    drop(conflict);
    assert_eq!(unknown(registers.recall(&number)), Some(true), "forgotten with one still in hand");
    late.stored();
    assert!(registers.recall(&number).is_none());
}

/// Hangs until the other end is dropped, and counts who hangs.
struct Hanging {
    gate: Mutex<mpsc::Receiver<()>>,
    reading: Arc<AtomicUsize>,
}

impl History for Hanging {
    fn load(&self, _: &FnNumber) -> Result<Option<RegisterHistory>, StoreError> {
        self.reading.fetch_add(1, Ordering::SeqCst);
        let gate = self.gate.lock().unwrap();
        assert!(gate.recv().is_err(), "nothing is sent");
        Ok(None)
    }
}

#[tokio::test]
async fn a_hanging_store_holds_up_few_threads_and_no_answer() {
    let recorder = build_recorder().unwrap();
    let metrics = metrics::with_local_recorder(&recorder, || Arc::new(Metrics::new()));
    let (open, gate) = mpsc::channel();
    let reading = Arc::new(AtomicUsize::new(0));
    let hanging = Hanging { gate: Mutex::new(gate), reading: Arc::clone(&reading) };
    let limits = Limits { load_patience: Duration::from_millis(20), ..SMALL };
    let registers = Registers::with_limits(Arc::new(hanging), metrics, limits);
    for number in 0..20 {
        assert!(matches!(within(registers.load(numbered(number))).await, Memory::Unread { .. }));
    }
    assert!(reading.load(Ordering::SeqCst) <= MAX_LOADS);
    let text = recorder.handle().render();
    assert!(text.contains(r#"fiscald_history_loads_total{outcome="late"} 20"#), "{text}");
    drop::<mpsc::Sender<()>>(open);
    // Whoever waited for a place too long has left the queue; the next one is served.
    let generous = Registers::with_limits(Arc::clone(&registers.history), Arc::new(Metrics::new()), SMALL);
    assert!(matches!(within(generous.load(numbered(99))).await, Memory::State(_)));
}

#[test]
fn a_history_is_told_in_its_order() {
    let till = Till::new(FN);
    let receipt = |number| till.document(FormCode::RECEIPT, number);
    let check = |name: &str, history: RegisterHistory, expected: Option<u32>| {
        assert_eq!(rebuild(&till.fn_number, &history).last_fd(), expected, "{name}");
    };
    let registration = Some(till.document(FormCode::REGISTRATION, 1));
    let whole = RegisterHistory {
        registration: registration.clone(),
        shift: vec![receipt(5), receipt(6)],
        cut: true,
    };
    check("registration and shift", whole, Some(6));
    check("only a registration", RegisterHistory { registration, ..RegisterHistory::default() }, Some(1));
    let foreign = Till::new("9999078900000025").document(FormCode::RECEIPT, 9);
    let odd =
        RegisterHistory { shift: vec![receipt(5), foreign, vec![3, 0, 9]], ..RegisterHistory::default() };
    check("another ФН inside, and what cannot be read", odd, Some(5));
    check("nothing", RegisterHistory::default(), None);
}
