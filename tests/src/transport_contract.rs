//! What every transport promises, as one list of checks over `&dyn Transport`: run over memory, the
//! embedded broker and a real cluster, so that nothing above the transport can tell them apart.
//!
//! Each check makes topics of its own under a prefix that the caller makes unique. Where a cluster settles a
//! little later (markers after a commit, a deleted topic), a check waits for it up to a generous limit;
//! nothing is timed.
#![allow(clippy::unwrap_used, reason = "a check fails by a panic")]

mod fixture;
mod groups;
mod losses;
mod reading;
mod topics;
mod transactions;
mod waiting;
mod writing;

use headwater_connectors::transport::Transport;
use headwater_formats::record::TopicPartition;

/// What is checked.
pub struct Subject<'a> {
    /// The transport.
    pub transport: &'a dyn Transport,
    /// Begins the name of every topic, group and transactional id.
    pub prefix: String,
    /// Deletes the records of a partition below an offset: no part of the transport, but something that happens to it.
    pub delete_records: &'a dyn Fn(&TopicPartition, i64),
    /// Adds partitions to a topic until it has so many.
    pub add_partitions: &'a dyn Fn(&str, i32),
    /// Has a partition compacted up to its last record; `None` for a cluster that does not compact.
    pub compact: Option<&'a dyn Fn(&TopicPartition)>,
    /// The same cluster for another process, whose group members lose their sessions when they are silent.
    pub doomed: &'a dyn Transport,
    /// Makes them lose their sessions, where silence alone does not.
    pub doom: &'a dyn Fn(),
    /// Opens a transaction that has an offset of a group in it; `None` for a cluster that commits in one step.
    pub pend_offset: Option<&'a PendOffset>,
}

/// Opens a transaction that has an offset of a group in it.
pub type PendOffset = dyn Fn(&str, &TopicPartition, i64) -> EndTransaction;

/// Ends a transaction: commits it when true, else aborts it.
pub type EndTransaction = Box<dyn FnOnce(bool) + Send>;

/// A check: it panics when the promise is broken.
pub type Check = fn(&Subject<'_>);

/// All checks by name.
pub const CONTRACT: &[(&str, Check)] = &[
    ("records come in order and in batches", reading::order),
    ("a range is read exactly", reading::exactly),
    ("an empty range ends at once", reading::empty_range),
    ("records that are deleted before they are read", losses::deleted),
    ("a log that ends before its range", losses::truncated),
    ("a topic that is deleted and created again", losses::recreated),
    ("what changes of a topic is seen", losses::glances),
    ("markers at the end are passed", losses::passed),
    ("a range whose records were compacted away ends", reading::compacted),
    ("an unbounded range follows the log", reading::unbounded),
    ("a bell rings for what comes", waiting::records),
    ("a bell rings for markers and not before them", waiting::markers),
    ("a bell rings where the log does not reach", waiting::beyond),
    ("a bell rings for a topic that is made again", waiting::recreated),
    ("only what is wanted is copied", reading::wanted),
    ("many partitions over several sources", reading::many_partitions),
    ("two reads of one partition do not disturb each other", reading::twice),
    ("null, empty and present keys and values", writing::nulls),
    ("headers keep order, repeats and nulls", writing::headers),
    ("timestamps are kept", writing::timestamps),
    ("large records", writing::large),
    ("keys are placed as the Java client does", writing::placing),
    ("what cannot be written is refused", writing::refusals),
    ("committed records and their marker", transactions::committed),
    ("aborted records are not seen", transactions::aborted),
    ("an open transaction holds back the end", transactions::open),
    ("offsets are committed with the records", transactions::offsets),
    ("a new owner fences the old one", transactions::fencing),
    ("a refused record is told and leaves nothing behind", transactions::refused),
    ("transactions out of order are refused", transactions::misuse),
    ("a member alone has everything", groups::alone),
    ("a group of a topic that is not there", groups::unknown_topic),
    ("who joins waits until the others have released", groups::joining),
    ("who leaves leaves its partitions", groups::leaving),
    ("a member too many has nothing", groups::too_many),
    ("a member commits under its place", groups::committing),
    ("a place of an older generation is fenced", groups::old_generation),
    ("partitions that are added are shared out", groups::growing),
    ("a silent member is given up and fenced", groups::silent),
    ("offsets of an open transaction are not given out", groups::pending),
    ("topics are made, described and deleted", topics::lifecycle),
    ("a topic that is not there", topics::unknown),
    ("what cannot be made is refused", topics::refusals),
    ("offsets for times", topics::times),
];

/// Runs every check, naming each as it begins. One that needs what the subject says that it cannot do (`None`) says that it is
/// skipped.
pub fn check_all(subject: &Subject<'_>) {
    for (number, (name, check)) in CONTRACT.iter().enumerate() {
        println!("transport contract: {name}");
        let prefix = format!("{}-{number}", subject.prefix);
        check(&Subject { prefix, ..*subject });
    }
}
