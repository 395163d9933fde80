//! The snapshots of one query: which of them can be used, and how they are written.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use arrow::array::BinaryArray;
use headwater_connectors::transport::{TopicId, Watermarks};
use headwater_formats::record::TopicPartition;
use headwater_language::catalog::QueryDef;
use headwater_state::Snapshot;

use super::Root;
use super::file::{FileWriter, Header, Origin};
use super::loading::Loading;
use crate::runtime::job::legal_name;

/// Oldest snapshot that is used, in ms: an older one may have keys whose removal is no longer in the changelog, which keeps it
/// for `delete.retention.ms`, a day by default.
const AGE_MS_MAX: i64 = 12 * 60 * 60 * 1_000;
/// How far the clock of a snapshot's process may be ahead, in ms.
const AHEAD_MS_MAX: i64 = 60_000;
/// Most records of a piece of a file.
const PIECE_RECORDS: usize = 16_384;

/// The snapshots of one query.
#[derive(Clone)]
pub(in super::super) struct Shelf {
    pub(super) root: Arc<Root>,
    folder: String,
    query_id: String,
    /// What its values look like.
    shape: String,
}

/// A changelog as it is now.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Changelog {
    /// The id of its topic.
    pub(in super::super) id: Option<TopicId>,
    /// The ends of its partition.
    pub(in super::super) mark: Watermarks,
    /// How long it keeps removals of keys, in ms.
    pub(in super::super) removals_ms: i64,
}

/// A store to be dumped.
pub(super) struct Dump {
    /// The partition of its changelog.
    pub changelog: TopicPartition,
    /// The id of the changelog's topic.
    pub id: TopicId,
    /// The snapshot has everything that the changelog has below this offset.
    pub offset: i64,
    /// When the offset was read, in ms since the epoch.
    pub time_ms: i64,
    /// Its keys and values.
    pub snapshot: Snapshot,
    /// The record with the stream times, which belongs to no store.
    pub note: Option<(Vec<u8>, Vec<u8>)>,
}

impl Shelf {
    pub(super) fn new(root: Arc<Root>, folder: String, query: &QueryDef) -> Self {
        // Whatever defines the query may change what its values look like.
        let definition = serde_json::to_vec(&query.topology).unwrap_or_default();
        let shape = format!("{:08x}-{}", crc32c::crc32c(&definition), definition.len());
        Self { root, folder, query_id: query.id.clone(), shape }
    }

    fn path(&self, changelog: &TopicPartition) -> String {
        format!("{}/{}-{}", self.folder, legal_name(&changelog.topic), changelog.partition)
    }

    /// The snapshot of a store, if there is one that can be used. Others are deleted, which is logged with the reason.
    pub(in super::super) fn find(
        &self,
        partition: &TopicPartition,
        changelog: &Changelog,
        now_ms: i64,
    ) -> Option<Loading> {
        let path = self.path(partition);
        let found = Loading::begin(&self.root.folder, path.clone())?;
        let usable = found.and_then(|loading| {
            let reason = self.why_not(&loading.header, partition, changelog, now_ms);
            reason.map_or(Ok(loading), Err)
        });
        usable.map_err(|reason| self.discard_path(&path, &reason)).ok()
    }

    /// Why a snapshot cannot be used.
    fn why_not(
        &self,
        header: &Header,
        partition: &TopicPartition,
        changelog: &Changelog,
        now_ms: i64,
    ) -> Option<String> {
        let Some(id) = changelog.id else { return Some("the cluster does not report the ids of topics".to_owned()) };
        let (expected, mark) = (Origin::new(partition, id, &self.shape), changelog.mark);
        let age_ms = now_ms - header.time_ms;
        let hours = |ms: i64| ms / (60 * 60 * 1_000);
        let age_ms_max = AGE_MS_MAX.min(changelog.removals_ms / 2);
        Some(match () {
            () if header.origin.topic_id != expected.topic_id => {
                "the changelog was deleted and created again".to_owned()
            }
            () if header.origin.shape != expected.shape => "the query was another one".to_owned(),
            () if header.origin != expected => format!("it is of {}[{}]", header.origin.topic, header.origin.partition),
            () if header.offset < mark.start => {
                format!("its offset {} is before the changelog, which begins at {}", header.offset, mark.start)
            }
            () if header.offset > mark.end => {
                format!("its offset {} is after the changelog, which ends at {}", header.offset, mark.end)
            }
            () if age_ms > age_ms_max => format!("it is {} hours old", hours(age_ms)),
            () if age_ms < -AHEAD_MS_MAX => "it was made in the future".to_owned(),
            () => return None,
        })
    }

    /// Reports that a snapshot was loaded.
    pub(in super::super) fn loaded(&self, loading: &Loading) {
        let (path, records, offset) = (&loading.path, loading.records(), loading.offset());
        tracing::debug!(query_id = %self.query_id, path, records, offset, "snapshot loaded");
    }

    /// Deletes a snapshot that cannot be used for this reason.
    pub(in super::super) fn discard(&self, loading: &Loading, reason: &dyn fmt::Display) {
        self.discard_path(&loading.path, reason);
    }

    fn discard_path(&self, path: &str, reason: &dyn fmt::Display) {
        let name = self.root.folder.full_name(path);
        tracing::warn!(
            query_id = %self.query_id, path = name, %reason,
            "a snapshot cannot be used; restoring the whole state from its changelog"
        );
        self.root.delete(path);
    }

    /// Writes snapshots. Returns the changelogs of those that exist now. Failures are logged. Ends after `longest`.
    pub(super) fn write(&self, dumps: Vec<Dump>, longest: Duration) -> Vec<TopicPartition> {
        let until = Instant::now() + longest;
        let mut written = Vec::new();
        for dump in dumps {
            let (changelog, path) = (dump.changelog.clone(), self.path(&dump.changelog));
            match self.write_one(&path, dump, until) {
                Ok(true) => written.push(changelog),
                Ok(false) => tracing::debug!(query_id = %self.query_id, path, "there was no time to write a snapshot"),
                Err(error) => self.root.warn(&path, &error),
            }
        }
        written
    }

    /// Writes a snapshot. Returns false if there was no time for it.
    fn write_one(&self, path: &str, dump: Dump, until: Instant) -> io::Result<bool> {
        let Dump { changelog, id, offset, time_ms, snapshot, note } = dump;
        let records = (snapshot.len() + usize::from(note.is_some())) as u64;
        let header = Header { origin: Origin::new(&changelog, id, &self.shape), offset, time_ms, records };
        let mut file = FileWriter::begin(self.root.folder.create(path)?, &header)?;
        if let Some((key, value)) = note {
            file.write(BinaryArray::from_vec(vec![&key]), BinaryArray::from_vec(vec![&value]))?;
        }
        let scan = snapshot.scan(.., PIECE_RECORDS);
        // The scan releases what it has passed.
        drop(snapshot);
        for piece in scan {
            let piece = piece.map_err(io::Error::other)?;
            file.write(piece.record_keys().map_err(io::Error::other)?, piece.values)?;
            if Instant::now() > until {
                return Ok(false);
            }
        }
        file.keep()?;
        tracing::debug!(query_id = %self.query_id, path, records, offset, "snapshot written");
        Ok(true)
    }

    /// Deletes all of them.
    pub(super) fn delete(&self) {
        self.root.delete(&self.folder);
    }
}
