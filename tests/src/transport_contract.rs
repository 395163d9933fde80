//! What every transport promises, as one list of checks over `&dyn Transport`: run for memory, the embedded broker and
//! a real cluster, so that they are interchangeable for the code above.
//!
//! Each check creates its own topics with a prefix that the caller makes unique. If a cluster applies a change a little
//! later (markers after a commit, a deleted topic), a check waits for it up to a generous limit; nothing is timed.
#![allow(clippy::unwrap_used, reason = "a check fails by a panic")]

mod fixture;
mod groups;
mod losses;
mod reading;
mod topics;
mod transactions;
mod waiting;
mod writing;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use headwater_connectors::transport::Transport;
use headwater_formats::record::TopicPartition;

/// What is checked.
pub struct Subject<'a> {
    /// The transport.
    pub transport: &'a dyn Transport,
    /// Prefix of the name of every topic, group and transactional id.
    pub prefix: String,
    /// Deletes the records of a partition below an offset: not a part of the transport, but something that happens to
    /// it.
    pub delete_records: &'a (dyn Fn(&TopicPartition, i64) + Sync),
    /// Adds partitions to a topic until it has the given number.
    pub add_partitions: &'a (dyn Fn(&str, i32) + Sync),
    /// Compacts a partition up to its last record; `None` for a cluster that does not compact.
    pub compact: Option<&'a (dyn Fn(&TopicPartition) + Sync)>,
    /// The same cluster for another process, whose group members lose their sessions when they are silent.
    pub doomed: &'a dyn Transport,
    /// Makes them lose their sessions, if silence alone is not enough.
    pub doom: &'a (dyn Fn() + Sync),
    /// Opens a transaction that contains an offset of a group; `None` for a cluster that commits in one step.
    pub pend_offset: Option<&'a PendOffset>,
}

/// Opens a transaction that contains an offset of a group.
pub type PendOffset = dyn Fn(&str, &TopicPartition, i64) -> EndTransaction + Sync;

/// Ends a transaction: commits it if true, otherwise aborts it.
pub type EndTransaction = Box<dyn FnOnce(bool) + Send>;

/// A check: it panics when the promise is broken.
pub type Check = fn(&Subject<'_>);

/// All checks, by name.
pub const CONTRACT: &[(&str, Check)] = &[
    ("records arrive in order and in batches", reading::order),
    ("a range is read exactly", reading::exactly),
    ("an empty range ends at once", reading::empty_range),
    ("records that are deleted before they are read", losses::deleted),
    ("a log that ends before the range", losses::truncated),
    ("a topic that is deleted and created again", losses::recreated),
    ("changes of a topic are seen", losses::glances),
    ("markers at the end of a log are passed", losses::passed),
    ("a range whose records were compacted away ends", reading::compacted),
    ("an unbounded range follows the log", reading::unbounded),
    ("a bell rings for new records", waiting::records),
    ("a bell rings for markers and not before them", waiting::markers),
    ("a bell rings beyond the end of the log", waiting::beyond),
    ("a bell rings for a topic that is created again", waiting::recreated),
    ("only what is wanted is copied", reading::wanted),
    ("many partitions over several sources", reading::many_partitions),
    ("two reads of one partition do not disturb each other", reading::twice),
    ("null, empty and present keys and values", writing::nulls),
    ("headers keep order, repeats and nulls", writing::headers),
    ("timestamps are kept", writing::timestamps),
    ("large records", writing::large),
    ("keys are partitioned as in the Java client", writing::placing),
    ("invalid records are rejected", writing::refusals),
    ("committed records and their marker", transactions::committed),
    ("aborted records are not seen", transactions::aborted),
    ("an open transaction holds back the end", transactions::open),
    ("offsets are committed with the records", transactions::offsets),
    ("a new owner fences the old one", transactions::fencing),
    ("a rejected record is reported and leaves nothing behind", transactions::refused),
    ("transaction calls out of order are rejected", transactions::misuse),
    ("a single member has all partitions", groups::alone),
    ("a group of a topic that does not exist", groups::unknown_topic),
    ("a new member waits until the others have released", groups::joining),
    ("a member that leaves frees its partitions", groups::leaving),
    ("a surplus member has no partitions", groups::too_many),
    ("a member commits in its generation", groups::committing),
    ("a member of an older generation is fenced", groups::old_generation),
    ("new partitions are assigned", groups::growing),
    ("a silent member is removed and fenced", groups::silent),
    ("offsets of an open transaction are not returned", groups::pending),
    ("a group is deleted with its offsets", groups::deleted),
    ("topics are created, described and deleted", topics::lifecycle),
    ("a topic that does not exist", topics::unknown),
    ("invalid topics are rejected", topics::refusals),
    ("offsets for times", topics::times),
    ("records are deleted up to an offset", topics::records_deleted),
];

/// How many checks run at the same time: most of them wait for the cluster.
const AT_ONCE: usize = 8;

/// Runs every check, each in a thread with its name, which is said if it panics. A check that the subject does not
/// support (`None`) prints that it is skipped. Panics if one did, after all have run.
pub fn check_all(subject: &Subject<'_>) {
    let next = AtomicUsize::new(0);
    let work = || -> Vec<&str> {
        let mut broken = Vec::new();
        while let Some((number, (name, check))) = CONTRACT.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed))
        {
            let subject = Subject { prefix: format!("{}-{number}", subject.prefix), ..*subject };
            let run = || {
                println!("transport contract: {name}");
                check(&subject);
            };
            let ended = thread::scope(|scope| {
                thread::Builder::new().name((*name).to_owned()).spawn_scoped(scope, run).unwrap().join()
            });
            if ended.is_err() {
                broken.push(*name);
            }
        }
        broken
    };
    let broken: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(broken.is_empty(), "the transport does not keep its promises: {broken:?}");
}
