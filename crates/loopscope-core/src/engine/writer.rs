//! The writer: one thread owns the store and commits what comes, in order and in groups.
//!
//! While a commit waits for the disk the next group gathers, so that many objects share one wait and none is
//! acknowledged before it is durable.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::job::{Message, Ticket};
use crate::store::{RecordWriter, StoreError, Write};

/// Objects in one transaction at most.
const GROUP_MAX: usize = 512;
/// How often a commit is tried while another process holds the write lock; each try waits the busy timeout.
const BUSY_ATTEMPTS_MAX: u32 = 40;
/// How often the writer asks whether it is safe to go on.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// Commits what comes until the channel closes; says what was committed, and what failed.
///
/// After a failure nothing more is written: the store is the result, and a hole in it would be a lie.
pub(super) fn write_all(
    writer: &mut dyn RecordWriter,
    incoming: &Receiver<(Write, Ticket)>,
    outgoing: &Sender<Message>,
) {
    let mut checked_at: Option<Instant> = None;
    loop {
        let first = match incoming.recv_timeout(CHECK_EVERY) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut group = vec![first.0];
        let mut tickets = vec![first.1];
        while group.len() < GROUP_MAX
            && let Ok((write, ticket)) = incoming.try_recv()
        {
            group.push(write);
            tickets.push(ticket);
        }
        let outcome =
            check_now_and_then(writer, &mut checked_at).and_then(|()| commit_when_free(writer, &group, outgoing));
        let message = match outcome {
            Ok(()) => Message::Committed(tickets),
            Err(error) => Message::WriteFailed(error),
        };
        let has_failed = matches!(message, Message::WriteFailed(_));
        // A scheduler that is gone needs no word; its own error is the one that is told.
        if outgoing.send(message).is_err() || has_failed {
            return;
        }
    }
}

/// Commits a group; waits for another process's long transaction as long as that is at all sensible, and says so.
fn commit_when_free(
    writer: &mut dyn RecordWriter,
    group: &[Write],
    outgoing: &Sender<Message>,
) -> Result<(), StoreError> {
    for attempt in 1..=BUSY_ATTEMPTS_MAX {
        match writer.commit(group) {
            Err(error @ StoreError::Busy { .. }) if attempt < BUSY_ATTEMPTS_MAX => {
                // A scheduler that has gone meanwhile wants no more waiting.
                if outgoing.send(Message::Waiting { reason: error.to_string() }).is_err() {
                    return Err(error);
                }
            }
            outcome => return outcome,
        }
    }
    Ok(())
}

fn check_now_and_then(writer: &dyn RecordWriter, checked_at: &mut Option<Instant>) -> Result<(), StoreError> {
    if checked_at.is_some_and(|at| at.elapsed() < CHECK_EVERY) {
        return Ok(());
    }
    *checked_at = Some(Instant::now());
    writer.check()
}
