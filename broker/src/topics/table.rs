//! All topic settings of Apache Kafka 4.1, in alphabetical order.
//!
//! Separate because it is a table. Settings that have no effect on a single broker are accepted, stored and shown,
//! because tools set them. The defaults are Kafka's. A new topic is given two settings that differ from them: it keeps
//! all records, and it accepts timestamps in the future, because people try the engine with data that has its own
//! timestamps.

use super::setting::{Setting, SettingType};

const LONG_MAX: &str = "9223372036854775807";
const MAX: i64 = i64::MAX;
const INT_MAX: i64 = i32::MAX as i64;

/// The settings that a new topic gets unless its creator sets them.
pub(crate) const NEW_TOPIC_SETTINGS: &[(&str, &str)] =
    &[("message.timestamp.after.max.ms", LONG_MAX), ("retention.ms", "-1")];

/// All settings.
#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("cleanup.policy", SettingType::List(&["compact", "delete"]), "delete", "log.cleanup.policy",
        "What happens to old segments: deleted after the retention time, or compacted to the last record of each key."),
    setting("compression.gzip.level", SettingType::Int(-1, 9), "-1", "compression.gzip.level",
        "The gzip level if the broker compresses; batches are stored as the producer compressed them."),
    setting("compression.lz4.level", SettingType::Int(1, 17), "9", "compression.lz4.level",
        "The lz4 level if the broker compresses; batches are stored as the producer compressed them."),
    setting("compression.type", SettingType::Word(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), "producer",
        "compression.type", "How batches are compressed; they are stored as the producer compressed them."),
    setting("compression.zstd.level", SettingType::Int(-131_072, 22), "3", "compression.zstd.level",
        "The zstd level if the broker compresses; batches are stored as the producer compressed them."),
    setting("delete.retention.ms", SettingType::Long(0, MAX), "86400000", "log.cleaner.delete.retention.ms",
        "How long compaction keeps the record that deletes a key, in ms."),
    setting("file.delete.delay.ms", SettingType::Long(0, MAX), "60000", "log.segment.delete.delay.ms",
        "How long to wait before deleting the file of a removed segment, in ms."),
    setting("flush.messages", SettingType::Long(1, MAX), LONG_MAX, "log.flush.interval.messages",
        "The number of records after which the log is forced to the disk."),
    setting("flush.ms", SettingType::Long(0, MAX), LONG_MAX, "log.flush.interval.ms",
        "The time after which the log is forced to the disk, in ms."),
    setting("follower.replication.throttled.replicas", SettingType::List(&[]), "", "follower.replication.throttled.replicas",
        "Replicas whose replication is throttled on the follower's side."),
    setting("index.interval.bytes", SettingType::Int(0, INT_MAX), "4096", "log.index.interval.bytes",
        "The number of log bytes between two entries of the index."),
    setting("leader.replication.throttled.replicas", SettingType::List(&[]), "", "leader.replication.throttled.replicas",
        "Replicas whose replication is throttled on the leader's side."),
    setting("local.retention.bytes", SettingType::Long(-2, MAX), "-2", "log.local.retention.bytes",
        "The size of the local log with tiered storage, in bytes."),
    setting("local.retention.ms", SettingType::Long(-2, MAX), "-2", "log.local.retention.ms",
        "The age of the local log with tiered storage, in ms."),
    setting("max.compaction.lag.ms", SettingType::Long(1, MAX), LONG_MAX, "log.cleaner.max.compaction.lag.ms",
        "The maximum time before a record is compacted, in ms."),
    setting("max.message.bytes", SettingType::Int(0, INT_MAX), "1048588", "message.max.bytes",
        "The maximum size of a batch as it is sent, in bytes."),
    setting("message.timestamp.after.max.ms", SettingType::Long(0, MAX), "3600000", "log.message.timestamp.after.max.ms",
        "How far a record's timestamp can be ahead of the broker's clock, in ms."),
    setting("message.timestamp.before.max.ms", SettingType::Long(0, MAX), LONG_MAX, "log.message.timestamp.before.max.ms",
        "How far a record's timestamp can be behind the broker's clock, in ms."),
    setting("message.timestamp.type", SettingType::Word(&["CreateTime", "LogAppendTime"]), "CreateTime",
        "log.message.timestamp.type", "Whether a record keeps its producer's timestamp or gets the broker's."),
    setting("min.cleanable.dirty.ratio", SettingType::Double(0.0, 1.0), "0.5", "log.cleaner.min.cleanable.ratio",
        "The share of the log that must be uncompacted before compaction starts."),
    setting("min.compaction.lag.ms", SettingType::Long(0, MAX), "0", "log.cleaner.min.compaction.lag.ms",
        "The minimum time before a record is compacted, in ms."),
    setting("min.insync.replicas", SettingType::Int(1, INT_MAX), "1", "min.insync.replicas",
        "How many replicas must have a record before it is acknowledged; this broker is the only one."),
    setting("preallocate", SettingType::Boolean, "false", "log.preallocate",
        "Whether the file of a segment is created with its full size."),
    setting("remote.log.copy.disable", SettingType::Boolean, "false", "remote.log.copy.disable",
        "Whether copying to tiered storage is disabled."),
    setting("remote.log.delete.on.disable", SettingType::Boolean, "false", "remote.log.delete.on.disable",
        "Whether disabling tiered storage deletes the data in it."),
    setting("remote.storage.enable", SettingType::Boolean, "false", "remote.storage.enable",
        "Whether tiered storage is enabled."),
    setting("retention.bytes", SettingType::Long(-1, MAX), "-1", "log.retention.bytes",
        "The size of a partition above which old segments are deleted, in bytes; -1 for no limit."),
    setting("retention.ms", SettingType::Long(-1, MAX), "604800000", "log.retention.ms",
        "The age of records above which their segments are deleted, in ms; -1 for no limit."),
    setting("segment.bytes", SettingType::Int(14, INT_MAX), "1073741824", "log.segment.bytes",
        "The maximum size of a segment file, in bytes."),
    setting("segment.index.bytes", SettingType::Int(4, INT_MAX), "10485760", "log.index.size.max.bytes",
        "The maximum size of a segment's index, in bytes."),
    setting("segment.jitter.ms", SettingType::Long(0, MAX), "0", "log.roll.jitter.ms",
        "The maximum random delay of a new segment, in ms."),
    setting("segment.ms", SettingType::Long(1, MAX), "604800000", "log.roll.ms",
        "The time after which a new segment is started even if the current one is not full, in ms."),
    setting("unclean.leader.election.enable", SettingType::Boolean, "false", "unclean.leader.election.enable",
        "Whether a replica that is not in sync can become the leader."),
];

const fn setting(
    name: &'static str,
    value_type: SettingType,
    default: &'static str,
    broker_name: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { name, value_type, default, broker_name, doc }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_every_default_is_legal() {
        assert!(SETTINGS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for setting in SETTINGS {
            assert_eq!(setting.check(setting.default), Ok(()));
        }
    }

    #[test]
    fn values_of_the_wrong_kind_are_refused() {
        for (name, value) in [
            ("retention.ms", "x"),
            ("retention.ms", "-2"),
            ("cleanup.policy", "x"),
            ("cleanup.policy", "compact,x"),
            ("preallocate", "yes"),
            ("min.cleanable.dirty.ratio", "1.5"),
            ("compression.type", "brotli"),
            ("max.message.bytes", "2147483648"),
        ] {
            let setting = SETTINGS.iter().find(|setting| setting.name == name).expect("is in the table");
            let problem = setting.check(value).expect_err(name);
            assert!(problem.contains(name) && problem.contains(value), "{problem}");
        }
    }
}
