use super::*;
use crate::client::wire::BatchAnswer;
use crate::client::{CallError, Refusal, TransportFault};
use crate::forwarder::answers::Outcome;
use crate::forwarder::gate::Turn;

mod blame;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> SchedulerSettings {
    SchedulerSettings {
        workers: 1,
        batch_docs: 4,
        linger: Duration::from_millis(200),
        timeout: Duration::from_secs(30),
        backoff: Backoff { base: SECOND, cap: Duration::from_secs(300) },
        gate: GateSettings {
            failures: 5,
            open: Duration::from_secs(30),
            open_max: Duration::from_secs(600),
            probe: Duration::from_secs(60),
        },
    }
}

/// The scheduler with a made-up clock, a store that records everything, and names for documents: `a1` is ФД 1 of the ФН
/// `a`, at position 1 or where it was put.
struct Bench {
    scheduler: Scheduler,
    now: Moment,
    batches: u8,
    recorded: Vec<Step>,
}

fn number(letter: char) -> FnNumber {
    format!("871000010000{:04}", u32::from(letter)).parse().unwrap()
}

fn slot_of(letter: char) -> Slot {
    Slot::of_fn(&number(letter))
}

fn name(item: &Item) -> String {
    let letter = ('a'..='z').find(|letter| number(*letter) == item.fn_number).unwrap();
    format!("{letter}{}", item.place.1)
}

fn names(items: &[Item]) -> String {
    items.iter().map(name).collect::<Vec<_>>().join(" ")
}

impl Bench {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: SchedulerSettings) -> Self {
        let mut bench =
            Self { scheduler: Scheduler::new(settings), now: Moment::ZERO, batches: 0, recorded: Vec::new() };
        bench.hold(|_| true);
        bench
    }

    fn hold(&mut self, keep: impl Fn(Slot) -> bool) {
        let until = self.now + Duration::from_secs(1_000_000);
        let held: Vec<_> =
            (0..=256).filter_map(Slot::new).filter(|slot| keep(*slot)).map(|slot| (slot, until)).collect();
        let steps = self.scheduler.set_leases(held, self.now);
        self.recorded.extend(steps);
    }

    /// `a1@10` is at position 10; `a1!` is urgent.
    fn put(&mut self, documents: &str) -> &mut Self {
        for word in documents.split_whitespace() {
            let (word, seq) =
                word.split_once('@').map_or((word, None), |(word, seq)| (word, seq.parse().ok()));
            let urgent = word.ends_with('!');
            let letter = word.chars().next().unwrap();
            let fd = word.trim_end_matches('!')[1..].parse().unwrap();
            let item = Item {
                seq: seq.unwrap_or(i64::from(u32::from(letter)) * 1_000 + i64::from(fd)),
                fn_number: number(letter),
                place: (0, fd),
                slot: slot_of(letter),
                urgent,
                attempts: 0,
                ready_at: Moment::ZERO,
                arrived: self.now,
                alone: false,
            };
            self.scheduler.insert([item], self.now);
        }
        self
    }

    fn pass(&mut self, duration: Duration) -> &mut Self {
        self.now += duration;
        self
    }

    /// Polls until nothing is to be done but to send; gives the names of the documents of the batch that is sent.
    fn sent(&mut self) -> Option<String> {
        self.sends().pop()
    }

    fn sends(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        loop {
            let (jobs, steps) = self.scheduler.poll(self.now);
            self.recorded.extend(steps);
            if jobs.is_empty() {
                return sent;
            }
            for job in jobs {
                match job {
                    Job::Build { worker, items } => {
                        self.batches += 1;
                        let id = BatchId::from_bytes([self.batches; 16]);
                        self.scheduler.built(worker, id, Timestamp::UNIX_EPOCH, 2, items.len(), self.now);
                        self.scheduler.recorded(worker);
                    }
                    Job::Send { worker } => sent.push(names(&self.scheduler.batch(worker).unwrap().items)),
                }
            }
        }
    }

    fn answer(&mut self, answer: Result<BatchAnswer, CallError>) -> Effect {
        let effect = self.scheduler.answered(0, answer, self.now, u64::MAX);
        self.recorded.extend(effect.steps.clone());
        effect
    }

    /// Words by document: `r` received, `b` busy, `x` refused.
    fn results(&mut self, words: &str) -> Effect {
        let items = self.scheduler.batch(0).unwrap().items.clone();
        let results: Vec<String> = items
            .iter()
            .zip(words.chars())
            .map(|(item, word)| {
                let rest = match word {
                    'r' => r#""result":"received""#,
                    'b' => r#""result":"refused","code":"BUSY""#,
                    _ => r#""result":"refused","code":"SCHEMA_INVALID""#,
                };
                format!(r#"{{"docKey":"{}",{rest}}}"#, doc_key(item))
            })
            .collect();
        let text = format!(r#"{{"results":[{}]}}"#, results.join(","));
        self.answer(Ok(serde_json::from_str(&text).unwrap()))
    }

    fn status(&mut self, status: u16) -> Effect {
        self.answer(Err(CallError::refused(Refusal { status, ..Refusal::default() })))
    }

    fn down(&mut self) -> Effect {
        self.answer(Err(CallError::Transport { fault: TransportFault::TimedOut, detail: String::new() }))
    }

    /// Sends all that is there, everything is received; the batches in the order in which they were sent.
    fn drain(&mut self) -> Vec<String> {
        let mut batches = Vec::new();
        self.pass(SECOND);
        while let Some(batch) = self.sent() {
            self.results(&"r".repeat(batch.split(' ').count()));
            batches.push(batch);
        }
        batches
    }
}

#[test]
fn a_batch_is_full_or_has_lingered() {
    let mut bench = Bench::new();
    bench.put("a1 b1 a2");
    assert_eq!(bench.sent(), None);
    assert_eq!(bench.scheduler.next_wake(bench.now), Some(Duration::from_millis(200)));
    assert_eq!(bench.pass(Duration::from_millis(199)).sent(), None);
    bench.put("b2");
    assert_eq!(bench.sent().as_deref(), Some("a1 a2 b1 b2"), "full");
    bench.put("c1");
    assert_eq!(bench.pass(SECOND).sent(), None, "one batch in hand");
    bench.results("rrrr");
    assert_eq!(bench.sent().as_deref(), Some("c1"), "has lingered while the other was under way");
}

#[test]
fn reports_go_first_and_do_not_linger_but_keep_the_order_of_their_lane() {
    let mut bench = Bench::new();
    bench.put("a1 b4 b5!");
    assert_eq!(bench.sent().as_deref(), Some("b4 b5 a1"));
    let mut bench = Bench::new();
    bench.put("a1 a2 a3 a4 a5 c1!@999999");
    assert_eq!(bench.drain(), ["c1 a1 a2 a3", "a4 a5"]);
}

#[test]
fn lanes_take_turns_by_the_age_of_their_documents() {
    let mut bench = Bench::new();
    bench.put("a1@1 a2@2 a3@3 a4@4 a5@8 b1@5 b2@6 c1@7");
    assert_eq!(bench.drain(), ["a1 a2 a3 a4", "b1 b2 c1 a5"]);
}

#[test]
fn numbers_are_in_order_whatever_order_they_came_in() {
    let mut bench = Bench::new();
    bench.put("a9@1 a3@2 a7@3");
    assert_eq!(bench.pass(SECOND).sent().as_deref(), Some("a3 a7 a9"));
    bench.put("a1@4 a8@5");
    bench.results("rrr");
    assert_eq!(bench.drain(), ["a1 a8"], "late lower numbers go as soon as they can");
}

#[test]
fn a_known_document_is_not_sent_twice() {
    let mut bench = Bench::new();
    bench.put("a1 a1");
    assert_eq!(bench.scheduler.len(), 1);
    assert_eq!(bench.pass(SECOND).sent().as_deref(), Some("a1"));
    bench.put("a1");
    assert_eq!(bench.scheduler.len(), 1, "in hand");
    bench.results("r");
    assert_eq!((bench.scheduler.len(), bench.sent()), (0, None));
}

#[test]
fn a_hard_refusal_does_not_stop_its_lane() {
    let mut bench = Bench::new();
    bench.put("a1 a2 a3");
    bench.pass(SECOND).sent();
    let effect = bench.results("rxr");
    let StepKind::Settle(settled) = &effect.steps[0].kind else { panic!("{effect:?}") };
    let words: Vec<bool> =
        settled.iter().map(|(_, outcome, _)| matches!(outcome, Outcome::Refused { .. })).collect();
    assert_eq!(words, [false, true, false]);
    assert_eq!((bench.scheduler.len(), bench.sent()), (0, None));
}

#[test]
fn a_busy_document_holds_its_lane_and_no_other() {
    let mut bench = Bench::new();
    bench.put("a1 a2 b1");
    bench.pass(SECOND).sent();
    bench.results("brr");
    bench.put("a3 c1");
    assert_eq!(bench.pass(SECOND / 2).sent().as_deref(), Some("c1"));
    bench.results("r");
    assert_eq!(bench.sent(), None);
    assert_eq!(bench.pass(SECOND).sent().as_deref(), Some("a1 a3"));
    let effect = bench.results("br");
    let StepKind::Settle(settled) = &effect.steps[0].kind else { panic!("{effect:?}") };
    assert_eq!(settled[0].2, Some(SECOND * 2), "the pause grows");
}

#[test]
fn a_batch_without_an_answer_is_sent_again_as_it_is() {
    let mut bench = Bench::new();
    bench.put("a1 b1");
    bench.pass(SECOND).sent();
    let id = bench.scheduler.batch(0).unwrap().id;
    let effect = bench.down();
    assert!(matches!(effect.steps[0].kind, StepKind::Retry { pause: SECOND, .. }), "{effect:?}");
    bench.put("a2 c1!");
    assert_eq!(bench.sent(), None);
    assert_eq!(bench.pass(SECOND).sent().as_deref(), Some("a1 b1"));
    assert_eq!(bench.scheduler.batch(0).unwrap().id, id);
    assert!(matches!(bench.status(503).steps[0].kind, StepKind::Retry { pause, .. } if pause == 2 * SECOND));
    bench.pass(2 * SECOND).sent();
    bench.results("rr");
    assert_eq!(bench.drain(), ["c1 a2"]);
}

#[test]
fn a_refused_batch_is_split_down_to_the_one() {
    let mut bench = Bench::new();
    bench.put("a1 a2 a3 a4 b1@999999");
    let mut sent = Vec::new();
    while let Some(batch) = bench.pass(SECOND).sent() {
        if batch.contains("a2") {
            let effect = bench.status(422);
            assert_eq!(effect.split, batch != "a2");
        } else {
            bench.results(&"r".repeat(batch.split(' ').count()));
        }
        sent.push(batch);
    }
    assert_eq!(sent, ["a1 a2 a3 a4", "a1 a2", "a1", "a2", "a3 a4", "b1"]);
    let dead: Vec<String> = bench
        .recorded
        .iter()
        .filter_map(|step| match &step.kind {
            StepKind::Dead { item, code, .. } => Some(format!("{} {code}", name(item))),
            _ => None,
        })
        .collect();
    assert_eq!(dead, ["a2 HTTP_422"]);
    assert_eq!(bench.scheduler.len(), 0);
}

#[test]
fn a_piece_of_a_split_batch_keeps_the_order_of_lanes() {
    let mut bench = Bench::new();
    bench.put("a1 a2 a3 a4");
    bench.pass(SECOND).sent();
    bench.status(400);
    assert_eq!(bench.sent().as_deref(), Some("a1 a2"));
    bench.results("rb");
    assert_eq!(bench.sent(), None, "a3 waits behind a2");
    assert_eq!(bench.drain(), ["a2 a3 a4"]);
}

#[test]
fn a_key_that_is_taken_is_replaced_after_a_pause() {
    let mut bench = Bench::new();
    bench.put("a1");
    bench.pass(SECOND).sent();
    let id = bench.scheduler.batch(0).unwrap().id;
    assert!(matches!(bench.status(409).steps[0].kind, StepKind::Dissolve { pause: Some(SECOND), .. }));
    assert_eq!(bench.sent(), None);
    assert_eq!(bench.pass(SECOND).sent().as_deref(), Some("a1"));
    assert_ne!(bench.scheduler.batch(0).unwrap().id, id);
    assert!(
        matches!(bench.status(409).steps[0].kind, StepKind::Dissolve { pause: Some(pause), .. } if pause == 2 * SECOND)
    );
}

#[test]
fn an_outage_is_probed_by_one_document() {
    let mut bench = Bench::new();
    bench.put("a1 a2 a3 a4 a5");
    let mut pauses = Duration::ZERO;
    for _ in 0..5 {
        assert_eq!(bench.pass(Duration::from_secs(20)).sent().as_deref(), Some("a1 a2 a3 a4"));
        if let Some(Turn::Opened(pause)) = bench.down().turn {
            pauses += pause;
        }
    }
    assert_eq!(pauses, Duration::from_secs(30));
    assert_eq!(bench.scheduler.breaker(bench.now), BreakerState::Open);
    assert_eq!(bench.pass(Duration::from_secs(29)).sent(), None);
    assert_eq!(bench.scheduler.next_wake(bench.now), Some(bench.now + SECOND));
    assert_eq!(bench.pass(SECOND).sent().as_deref(), Some("a1"), "half open");
    assert_eq!(bench.scheduler.next_wake(bench.now), None, "nothing but its answer matters");
    assert_eq!(bench.down().turn, Some(Turn::Opened(Duration::from_secs(60))));
    assert_eq!(bench.pass(Duration::from_secs(60)).sent().as_deref(), Some("a1"));
    assert_eq!(bench.results("r").turn, Some(Turn::Closed));
    assert_eq!(bench.drain(), ["a2 a3 a4", "a5"], "the rest of the batch that was given up, then the others");
    let given_up = |step: &&Step| matches!(step.kind, StepKind::Dissolve { .. });
    assert_eq!(bench.recorded.iter().filter(given_up).count(), 1);
}

#[test]
fn a_refused_certificate_stops_every_worker() {
    let mut bench = Bench::with(SchedulerSettings { workers: 2, ..settings() });
    let second = ('b'..='z').find(|letter| slot_of(*letter).get() % 2 != slot_of('a').get() % 2).unwrap();
    bench.put(&format!("a1 a2 {second}1 {second}2"));
    assert_eq!(bench.pass(SECOND).sends().len(), 2);
    let refused = || Err(CallError::refused(Refusal { status: 403, ..Refusal::default() }));
    let turns: Vec<_> =
        (0..2).map(|worker| bench.scheduler.answered(worker, refused(), bench.now, 0).turn).collect();
    assert_eq!(turns, [Some(Turn::Barred), None]);
    assert!(bench.scheduler.is_barred());
    assert_eq!(bench.pass(59 * SECOND).sends(), [""; 0]);
    let probes = bench.pass(SECOND).sends();
    assert_eq!(probes.len(), 1);
    assert!(!probes[0].contains(' '), "{probes:?}");
    let worker =
        (0..2).find(|worker| bench.scheduler.batch(*worker).is_some_and(|batch| batch.items.len() == 1));
    let refused = bench.scheduler.answered(worker.unwrap(), refused(), bench.now, 0);
    assert_eq!(refused.turn, None);
    bench.scheduler.reloaded(bench.now);
    assert_eq!(bench.sends().len(), 1, "new certificates are tried at once");
}

#[test]
fn a_pause_asked_for_holds_for_every_worker() {
    let mut bench = Bench::new();
    bench.put("a1");
    bench.pass(SECOND).sent();
    let wait = Some(Duration::from_secs(7));
    bench.answer(Err(CallError::refused(Refusal { status: 429, retry_after: wait, ..Refusal::default() })));
    assert_eq!(bench.pass(Duration::from_millis(6_999)).sent(), None);
    assert_eq!(bench.pass(Duration::from_millis(1)).sent().as_deref(), Some("a1"));
}

#[test]
fn nothing_is_sent_that_outlives_its_lease() {
    let mut bench = Bench::new();
    bench.put("a1");
    let hold = |bench: &mut Bench, until: Duration| {
        let held = (0..=256).filter_map(Slot::new).map(|slot| (slot, until));
        bench.scheduler.set_leases(held, bench.now);
    };
    hold(&mut bench, Duration::from_secs(31));
    assert_eq!(bench.pass(SECOND).sent(), None);
    hold(&mut bench, Duration::from_secs(32));
    assert_eq!(bench.sent().as_deref(), Some("a1"));
}

#[test]
fn lost_slots_are_forgotten() {
    let mut bench = Bench::new();
    bench.put("a1 b1");
    bench.pass(SECOND).sent();
    bench.put("a2 b2");
    bench.hold(|slot| slot != slot_of('b'));
    assert_eq!(bench.recorded, [], "under way: its answer decides");
    bench.down();
    assert!(matches!(bench.recorded.last().unwrap().kind, StepKind::Dissolve { .. }), "{:?}", bench.recorded);
    assert_eq!(bench.drain(), ["a1 a2"]);
}

#[test]
fn excess_slots_are_given_back_when_nothing_of_them_is_under_way_or_unwritten() {
    let mut bench = Bench::new();
    bench.put("a1 b1");
    bench.pass(SECOND).sent();
    bench.scheduler.give_back(256, bench.now);
    let released = bench.scheduler.take_released(&BTreeSet::new());
    assert_eq!(released.len(), 254);
    assert!(!released.contains(&slot_of('a')) && !released.contains(&slot_of('b')));
    assert_eq!(bench.scheduler.slots(), [Slot::REGISTRAR]);
    bench.results("rr");
    let unwritten = BTreeSet::from([slot_of('b')]);
    assert_eq!(bench.scheduler.take_released(&unwritten), [slot_of('a')]);
    assert_eq!(bench.scheduler.take_released(&BTreeSet::new()), [slot_of('b')]);
    assert_eq!(bench.scheduler.take_released(&BTreeSet::new()), []);
}

#[test]
fn a_batch_left_behind_is_sent_first_under_its_key() {
    let mut bench = Bench::with(SchedulerSettings { workers: 2, ..settings() });
    bench.put("a1 a2 a3");
    let ready: Vec<Item> = {
        bench.pass(SECOND);
        let (jobs, _) = bench.scheduler.poll(bench.now);
        jobs.into_iter()
            .find_map(|job| match job {
                Job::Build { items, .. } => Some(items),
                Job::Send { .. } => None,
            })
            .unwrap()
    };
    let mut bench = Bench::with(SchedulerSettings { workers: 2, ..settings() });
    bench.put("a4");
    let id = BatchId::from_bytes([9; 16]);
    let left = Batch::left_behind(id, Timestamp::UNIX_EPOCH, 2, ready, 3);
    assert_eq!(bench.scheduler.adopt(left.clone(), bench.now + SECOND, bench.now), None);
    assert_eq!(bench.pass(SECOND).sent().as_deref(), Some("a1 a2 a3"));
    // Lanes of two workers: made by a process with other settings.
    let mut bench = Bench::with(SchedulerSettings { workers: 2, ..settings() });
    let second = ('b'..='z').find(|letter| slot_of(*letter).get() % 2 != slot_of('a').get() % 2).unwrap();
    let mut mixed = left;
    mixed.items[2].fn_number = number(second);
    mixed.items[2].slot = slot_of(second);
    let step = bench.scheduler.adopt(mixed, bench.now, bench.now).unwrap();
    assert!(matches!(step.kind, StepKind::Dissolve { .. }));
    assert_eq!(bench.scheduler.len(), 3);
}

#[test]
fn what_did_not_fit_goes_next() {
    let mut bench = Bench::new();
    bench.put("a1 a2 a3 a4");
    let (jobs, _) = bench.scheduler.poll(bench.now);
    assert!(matches!(&jobs[..], [Job::Build { .. }]));
    bench.scheduler.built(0, BatchId::from_bytes([1; 16]), Timestamp::UNIX_EPOCH, 2, 3, bench.now);
    bench.scheduler.recorded(0);
    assert_eq!(bench.sent().as_deref(), Some("a1 a2 a3"));
    bench.results("rrr");
    assert_eq!(bench.drain(), ["a4"]);
}

#[test]
fn a_batch_that_was_not_made_gives_its_documents_back() {
    let mut bench = Bench::new();
    bench.put("a1 a2 a3 a4");
    bench.scheduler.poll(bench.now);
    bench.scheduler.built(0, BatchId::from_bytes([1; 16]), Timestamp::UNIX_EPOCH, 2, 4, bench.now);
    let gone = [i64::from(u32::from('a')) * 1_000 + 2].into_iter().collect();
    bench.scheduler.not_recorded(0, &gone, bench.now);
    assert_eq!(bench.drain(), ["a1 a3 a4"]);
}

#[test]
fn nothing_is_begun_after_the_stop() {
    let mut bench = Bench::new();
    bench.put("a1 b1");
    bench.pass(SECOND).sent();
    bench.scheduler.stop();
    assert!(bench.scheduler.is_sending());
    bench.results("rb");
    assert!(!bench.scheduler.is_sending());
    assert_eq!((bench.pass(SECOND).sent(), bench.scheduler.next_wake(bench.now)), (None, None));
}
