//! Trouble after a commit, damage, loss, locks and hanging writes: what the state says and when it is opened anew.

use super::*;

#[tokio::test]
async fn trouble_after_a_commit_leaves_its_answers_and_stops_the_service() {
    let (journal, strings) = start(10, 100, usize::MAX);
    let handle = journal.handle();
    let written = append(&handle, 1).await;
    strings.commit();
    strings.act(Act::WriteAndFailAfter);
    assert_eq!(written.await, Ok(AppendOutcome::Appended { seq: 1 }), "its commit stands");
    wait_until("the failed state", || handle.status().state == StoreState::Failed).await;
    assert_eq!(why(&handle.append(doc(2)).await.unwrap_err()), Unavailability::WriteFailed);
}

#[tokio::test]
async fn pauses_grow_until_a_batch_was_written() {
    let pauses = JournalSettings {
        reopen_pause_min: Duration::from_millis(20),
        reopen_pause_max: Duration::from_secs(60),
        ..settings(1, 10)
    };
    let (journal, strings) = start_with(pauses, 0);
    let handle = journal.handle();
    let fail = async || {
        let began = Instant::now();
        let lost = append(&handle, 1).await;
        strings.commit();
        strings.act(Act::Fail);
        assert!(lost.await.is_err());
        wait_until("service", || handle.status().is_serving()).await;
        began.elapsed()
    };
    // It opens well each time, and fails at the next batch.
    for pause in [20, 40, 80, 160, 320] {
        let took = fail().await;
        assert!(took >= Duration::from_millis(pause), "{took:?} < {pause} ms");
    }
    let good = append(&handle, 2).await;
    strings.commit();
    strings.act(Act::Write);
    assert!(good.await.is_ok());
    let took = fail().await;
    assert!(took < Duration::from_millis(640), "{took:?}: the pause begins anew after a success");
}

#[tokio::test]
async fn a_damaged_store_is_tried_again_after_the_longest_pause_only() {
    let longest = Duration::from_millis(150);
    let (journal, strings) = start_with(JournalSettings { reopen_pause_max: longest, ..settings(1, 10) }, 0);
    let handle = journal.handle();
    for _ in 0..2 {
        let began = Instant::now();
        let lost = append(&handle, 1).await;
        strings.commit();
        strings.act(Act::Damage);
        assert_eq!(why(&lost.await.unwrap_err()), Unavailability::WriteFailed);
        wait_until("service", || handle.status().is_serving()).await;
        assert!(began.elapsed() >= longest);
    }
}

#[tokio::test]
async fn a_lost_file_is_never_opened_anew() {
    let (journal, strings) = start(1, 10, 0);
    let handle = journal.handle();
    let (lost, queued) = (append(&handle, 1).await, append(&handle, 2).await);
    strings.commit();
    strings.act(Act::LoseTheFile);
    for pending in [lost, queued] {
        assert_eq!(why(&pending.await.unwrap_err()), Unavailability::FileLost);
    }
    assert_eq!(handle.status().state, StoreState::Failed);
    assert_eq!(handle.status().reason.as_deref(), Some("the file was removed"));
    assert_eq!(why(&handle.append(doc(3)).await.unwrap_err()), Unavailability::FileLost);
    assert!(journal.close(GRACE).await.is_err());
    assert_eq!(strings.opened.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_the_watcher_saw_stops_the_writer() {
    let (journal, strings) = start(1, 10, 0);
    let handle = journal.handle();
    let (first, queued) = (append(&handle, 1).await, append(&handle, 2).await);
    strings.commit();
    assert!(handle.shared().lose("moved away"));
    strings.act(Act::Write);
    assert!(first.await.is_ok());
    assert_eq!(why(&queued.await.unwrap_err()), Unavailability::FileLost);
    assert_eq!(strings.asked.try_iter().count(), 0, "nothing was written after it was known");
    assert_eq!(why(&journal.close(GRACE).await.unwrap_err()), Unavailability::FileLost);
}

#[tokio::test]
async fn a_hanging_commit_is_seen() {
    let (journal, strings) =
        start_with(JournalSettings { stalled_after: Duration::from_millis(30), ..settings(1, 10) }, 0);
    let handle = journal.handle();
    let pending = append(&handle, 1).await;
    strings.commit();
    wait_until("the stall", || handle.status().state == StoreState::Stalled).await;
    assert!(handle.status().reason.unwrap().contains("batch in hand"));
    wait_until("the hang, which is longer", || !handle.is_progressing()).await;
    strings.act(Act::Write);
    assert!(pending.await.is_ok());
    wait_until("service", || handle.status().is_serving() && handle.is_progressing()).await;
}

#[tokio::test]
async fn a_held_database_is_seen_until_it_is_free_without_a_further_document() {
    let (journal, strings) =
        start_with(JournalSettings { busy_patience: Duration::ZERO, ..settings(1, 10) }, 0);
    let handle = journal.handle();
    strings.held.store(true, Ordering::SeqCst);
    let refused = append(&handle, 1).await;
    strings.commit();
    strings.act(Act::Busy);
    assert_eq!(why(&refused.await.unwrap_err()), Unavailability::Busy);
    let status = handle.status();
    assert_eq!(status.state, StoreState::Stalled);
    assert!(status.reason.unwrap().contains("another process"));
    assert!(handle.is_progressing(), "a restart would meet the same lock");
    // Documents are still tried.
    let again = append(&handle, 2).await;
    assert_eq!(strings.commit(), [2]);
    strings.act(Act::Busy);
    assert!(again.await.is_err());
    strings.held.store(false, Ordering::SeqCst);
    wait_until("service", || handle.status().is_serving()).await;
}
