//! The group commit against engines that do what the test wants.

mod trouble;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use super::*;
use crate::engine::EngineError;
use crate::support::{PLAIN_FN, document, quarantined, wait_until};

const GRACE: Duration = Duration::from_secs(10);

/// What the engine is to do at one commit.
enum Act {
    Write,
    Busy,
    Fail,
    Panic,
    LoseAnOutcome,
    Damage,
    LoseTheFile,
    /// The batch is written, what is to be done after it fails.
    WriteAndFailAfter,
}

/// Tells of each commit it was asked for (the ФД numbers) and does what it is told; writes when nobody tells it
/// any more.
struct Puppet {
    asked: std_mpsc::Sender<Vec<u32>>,
    acts: Arc<Mutex<std_mpsc::Receiver<Act>>>,
    seq: Arc<AtomicI64>,
    fail_after: bool,
    held: Arc<AtomicBool>,
}

/// The strings of a [`Puppet`].
struct Strings {
    asked: std_mpsc::Receiver<Vec<u32>>,
    acts: std_mpsc::Sender<Act>,
    /// What an engine that nobody asks to write would find.
    held: Arc<AtomicBool>,
    /// How often the factory was asked.
    opened: Arc<AtomicI64>,
}

impl Engine for Puppet {
    fn commit(&mut self, batch: &[WriteItem]) -> Result<Vec<WriteOutcome>, EngineError> {
        let fds = batch.iter().map(|item| match item {
            WriteItem::Document(document) => document.fd_number.get(),
            WriteItem::Quarantine(copy) => copy.fd_number.get(),
        });
        let _ = self.asked.send(fds.collect());
        let act = self.acts.lock().unwrap().recv().unwrap_or(Act::Write);
        let mut outcomes: Vec<WriteOutcome> = batch
            .iter()
            .map(|item| match item {
                WriteItem::Document(_) => {
                    let seq = self.seq.fetch_add(1, Ordering::SeqCst) + 1;
                    WriteOutcome::Append(AppendOutcome::Appended { seq })
                }
                WriteItem::Quarantine(_) => WriteOutcome::Quarantine(QuarantineOutcome::Kept),
            })
            .collect();
        match act {
            Act::Write => Ok(outcomes),
            Act::Busy => Err(EngineError::Busy("held".to_owned())),
            Act::Fail => Err(EngineError::Failed("sync failed".to_owned())),
            Act::Damage => Err(EngineError::Corrupt("a page is malformed".to_owned())),
            Act::LoseTheFile => Err(EngineError::Lost("the file was removed".to_owned())),
            Act::WriteAndFailAfter => {
                self.fail_after = true;
                Ok(outcomes)
            }
            Act::Panic => panic!("the test wanted it"),
            Act::LoseAnOutcome => {
                outcomes.pop();
                Ok(outcomes)
            }
        }
    }

    fn tend(&mut self) -> Result<(), EngineError> {
        if self.fail_after { Err(EngineError::Failed("copying failed".to_owned())) } else { Ok(()) }
    }

    fn probe(&mut self) -> Result<(), EngineError> {
        if self.held.load(Ordering::SeqCst) { Err(EngineError::Busy("held".to_owned())) } else { Ok(()) }
    }
}

/// A journal over a puppet, and over the same puppet after `refusals` failed attempts to reopen it.
fn start(batch: usize, queue: usize, refusals: usize) -> (Journal, Strings) {
    start_with(settings(batch, queue), refusals)
}

fn settings(batch: usize, queue: usize) -> JournalSettings {
    JournalSettings {
        batch_max_documents: batch,
        queue_max_documents: queue,
        busy_patience: Duration::from_millis(100),
        reopen_pause_min: Duration::from_millis(1),
        reopen_pause_max: Duration::from_millis(4),
        stalled_after: Duration::from_secs(3600),
    }
}

fn start_with(settings: JournalSettings, refusals: usize) -> (Journal, Strings) {
    let (asked_in, asked) = std_mpsc::channel();
    let (acts, acts_out) = std_mpsc::channel();
    let (acts_out, seq) = (Arc::new(Mutex::new(acts_out)), Arc::new(AtomicI64::new(0)));
    let (held, opened) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let held_for = Arc::clone(&held);
    let make = move || Puppet {
        asked: asked_in.clone(),
        acts: Arc::clone(&acts_out),
        seq: Arc::clone(&seq),
        fail_after: false,
        held: Arc::clone(&held_for),
    };
    let first = Box::new(make());
    let (mut refusals, asked_for) = (refusals, Arc::clone(&opened));
    let factory: EngineFactory = Box::new(move || {
        asked_for.fetch_add(1, Ordering::SeqCst);
        if refusals > 0 {
            refusals -= 1;
            return Err(StoreError::unavailable(Unavailability::CannotOpen, "still broken"));
        }
        Ok(Box::new(make()) as Box<dyn Engine>)
    });
    (Journal::start(settings, first, factory).unwrap(), Strings { asked, acts, held, opened })
}

impl Strings {
    /// Waits for the next commit: the engine is inside of it now.
    fn commit(&self) -> Vec<u32> {
        self.asked.recv_timeout(GRACE).expect("a commit")
    }

    fn act(&self, act: Act) {
        self.acts.send(act).unwrap();
    }
}

fn doc(fd: u32) -> NewDocument {
    document(PLAIN_FN, fd, 3, "x")
}

async fn append(handle: &JournalHandle, fd: u32) -> PendingAppend {
    handle.append(doc(fd)).await.unwrap()
}

fn why(error: &StoreError) -> Unavailability {
    match error {
        StoreError::Unavailable { why, .. } => *why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn answers_leave_after_the_commit_and_the_next_batch_gathers_meanwhile() {
    let (journal, strings) = start(3, 100, 0);
    let handle = journal.handle();
    let mut first = append(&handle, 1).await;
    assert_eq!(strings.commit(), [1]);
    let mut later = Vec::new();
    for fd in 2..=6 {
        later.push(append(&handle, fd).await);
    }
    assert_eq!(handle.queue_depth(), 5);
    assert_eq!(first.try_take(), None, "released before the commit");
    strings.act(Act::Write);
    assert_eq!(first.await, Ok(AppendOutcome::Appended { seq: 1 }));
    assert_eq!(strings.commit(), [2, 3, 4], "at most a batch, in order");
    assert!(later.iter_mut().all(|pending| pending.try_take().is_none()));
    strings.act(Act::Write);
    assert_eq!(strings.commit(), [5, 6]);
    strings.act(Act::Write);
    for (pending, seq) in later.into_iter().zip(2..) {
        assert_eq!(pending.await, Ok(AppendOutcome::Appended { seq }));
    }
    assert_eq!(handle.queue_depth(), 0);
}

#[tokio::test]
async fn an_answer_is_given_out_once() {
    let (journal, strings) = start(1, 10, 0);
    let handle = journal.handle();
    let mut pending = append(&handle, 1).await;
    strings.commit();
    strings.act(Act::Write);
    wait_until("the answer", || match pending.try_take() {
        Some(answer) => {
            assert_eq!(answer, Ok(AppendOutcome::Appended { seq: 1 }));
            true
        }
        None => false,
    })
    .await;
    assert_eq!(pending.try_take(), None);
    assert_eq!(pending.await, Err(StoreError::closed()));
    let copy = handle.quarantine(quarantined(PLAIN_FN, 9, "x")).await.unwrap();
    assert_eq!(strings.commit(), [9]);
    strings.act(Act::Write);
    assert_eq!(copy.await, Ok(QuarantineOutcome::Kept));
}

#[tokio::test]
async fn after_a_failed_write_nobody_is_answered_until_it_was_opened_anew() {
    for act in [Act::Fail, Act::LoseAnOutcome] {
        let (journal, strings) = start(2, 100, 3);
        let handle = journal.handle();
        let good = append(&handle, 1).await;
        strings.commit();
        let mut lost = Vec::new();
        for fd in 2..=5 {
            lost.push(append(&handle, fd).await);
        }
        strings.act(Act::Write);
        assert!(good.await.is_ok());
        assert_eq!(strings.commit(), [2, 3]);
        strings.act(act);
        for pending in lost {
            assert_eq!(why(&pending.await.unwrap_err()), Unavailability::WriteFailed);
        }
        // The puppet cannot be opened at first; then it serves again.
        wait_until("service", || handle.status().is_serving()).await;
        let again = append(&handle, 2).await;
        assert_eq!(strings.commit(), [2]);
        strings.act(Act::Write);
        assert!(again.await.is_ok());
    }
}

#[tokio::test]
async fn a_failed_journal_refuses_at_the_door_and_says_why() {
    let (journal, strings) = start(2, 100, usize::MAX);
    let handle = journal.handle();
    let lost = append(&handle, 1).await;
    strings.commit();
    strings.act(Act::Fail);
    assert!(lost.await.is_err());
    let status = handle.status();
    assert_eq!(status.state, StoreState::Failed);
    assert!(status.reason.is_some());
    assert_eq!(why(&handle.append(doc(2)).await.unwrap_err()), Unavailability::WriteFailed);
    let error = journal.close(GRACE).await.unwrap_err();
    assert_eq!(why(&error), Unavailability::WriteFailed);
    assert_eq!(handle.status().state, StoreState::Closed);
}

#[tokio::test]
async fn a_held_database_is_tried_again_and_is_no_failure() {
    let (journal, strings) = start(10, 100, 0);
    let handle = journal.handle();
    let pending = append(&handle, 1).await;
    for act in [Act::Busy, Act::Busy, Act::Write] {
        assert_eq!(strings.commit(), [1], "the same batch");
        strings.act(act);
    }
    assert_eq!(pending.await, Ok(AppendOutcome::Appended { seq: 3 }));

    let mut pending = append(&handle, 2).await;
    let refused = loop {
        strings.act(Act::Busy);
        if let Some(answer) = pending.try_take() {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert_eq!(why(&refused.unwrap_err()), Unavailability::Busy);
    assert_ne!(handle.status().state, StoreState::Failed);
}

#[tokio::test]
async fn a_full_queue_makes_writers_wait() {
    let (journal, strings) = start(1, 2, 0);
    let handle = journal.handle();
    let first = append(&handle, 1).await;
    strings.commit();
    let second = append(&handle, 2).await;
    let third = append(&handle, 3).await;
    assert_eq!(handle.queue_depth(), 2);
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut given_up = pin!(handle.append(doc(4)));
        assert!(given_up.as_mut().poll(&mut context).is_pending());
    }
    let mut waiting = pin!(handle.append(doc(5)));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    for _ in 0..3 {
        strings.act(Act::Write);
    }
    for pending in [first, second, third] {
        assert!(pending.await.is_ok());
    }
    strings.act(Act::Write);
    let fifth = waiting.await.unwrap();
    assert!(fifth.await.is_ok());
    let asked: Vec<Vec<u32>> = strings.asked.try_iter().collect();
    assert_eq!(asked, [[2], [3], [5]], "the one that gave up was never queued");
}

#[tokio::test]
async fn close_writes_what_is_queued() {
    let (journal, strings) = start(4, 100, 0);
    let handle = journal.handle();
    let mut pending = Vec::new();
    for fd in 1..=20 {
        pending.push(append(&handle, fd).await);
    }
    strings.commit();
    let mut closing = pin!(journal.close(GRACE));
    let mut context = Context::from_waker(Waker::noop());
    assert!(closing.as_mut().poll(&mut context).is_pending());
    assert_eq!(handle.status().state, StoreState::Closed);
    assert_eq!(handle.append(doc(21)).await.unwrap_err(), StoreError::closed());
    drop(strings.acts);
    closing.await.unwrap();
    for answer in pending {
        assert!(answer.await.is_ok());
    }
}

#[tokio::test]
async fn close_does_not_wait_for_ever() {
    let (journal, strings) = start(4, 100, 0);
    let handle = journal.handle();
    let pending = append(&handle, 1).await;
    strings.commit();
    let error = journal.close(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(why(&error), Unavailability::Busy);
    strings.act(Act::Write);
    assert!(pending.await.is_ok(), "it is written all the same");
}

#[tokio::test]
async fn a_dropped_journal_drains() {
    let (journal, strings) = start(1, 2, 0);
    let handle = journal.handle();
    let mut pending = Vec::new();
    for fd in 1..=3 {
        pending.push(append(&handle, fd).await);
        if fd == 1 {
            strings.commit();
        }
    }
    // The queue is full: nothing can wake the writer, it has to notice by itself.
    drop(journal);
    drop(strings.acts);
    for answer in pending {
        assert!(answer.await.is_ok());
    }
    assert!(handle.append(doc(4)).await.is_err());
}

#[tokio::test]
async fn a_writer_that_breaks_down_is_seen() {
    let (journal, strings) = start(1, 10, 0);
    let handle = journal.handle();
    let pending = append(&handle, 1).await;
    strings.commit();
    strings.act(Act::Panic);
    assert!(pending.await.unwrap_err().is_unavailable());
    wait_until("the failed state", || handle.status().state == StoreState::Failed).await;
    assert!(handle.append(doc(2)).await.unwrap_err().is_unavailable());
    assert!(journal.close(GRACE).await.is_err());
}

#[tokio::test]
async fn pending_answers_wake_their_task() {
    let (journal, strings) = start(1, 10, 0);
    let handle = journal.handle();
    let pending = append(&handle, 1).await;
    let task = tokio::spawn(pending);
    strings.commit();
    strings.act(Act::Write);
    assert!(tokio::time::timeout(GRACE, task).await.unwrap().unwrap().is_ok());
}
