//! The settings of one topic: which were set, which values are in effect, and how they change.
//!
//! Separate because it does no I/O; all requests that touch settings end here.

use std::collections::BTreeMap;
use std::time::Duration;

use super::setting::{Setting, SettingType, words};
use super::table::{NEW_TOPIC_SETTINGS, SETTINGS};
use crate::log::{AppendRules, Compaction, Flush, Retention};

/// The settings that were set for a topic; all others have their default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    set: BTreeMap<String, String>,
}

/// A change to a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    Set(String),
    /// Resets it to the default.
    Unset,
    /// Adds words to a list.
    Append(String),
    /// Removes words from a list.
    Subtract(String),
}

impl Settings {
    /// Settings from the journal.
    pub(crate) fn from_journal(set: BTreeMap<String, String>) -> Settings {
        Settings { set }
    }

    /// The settings of a new topic: those given, and those of [`NEW_TOPIC_SETTINGS`] that are not.
    pub(crate) fn for_new_topic(given: impl IntoIterator<Item = (String, Option<String>)>) -> Result<Settings, String> {
        let mut settings = Settings::new(given)?;
        settings.keep_all_records();
        Ok(settings)
    }

    /// Sets [`NEW_TOPIC_SETTINGS`], unless they are already set.
    pub(crate) fn keep_all_records(&mut self) {
        for (name, value) in NEW_TOPIC_SETTINGS {
            self.set.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
        }
    }

    /// The given settings; an unknown name or an invalid value is an error.
    pub(crate) fn new(given: impl IntoIterator<Item = (String, Option<String>)>) -> Result<Settings, String> {
        let mut settings = Settings::default();
        for (name, value) in given {
            settings.edit(&name, value.map_or(Edit::Unset, Edit::Set))?;
        }
        Ok(settings)
    }

    /// Changes one setting.
    pub(crate) fn edit(&mut self, name: &str, edit: Edit) -> Result<(), String> {
        let setting = find(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
        let value = match edit {
            Edit::Unset => {
                self.set.remove(name);
                return Ok(());
            }
            Edit::Set(value) => value,
            Edit::Append(added) => self.list_with(setting, &added)?,
            Edit::Subtract(removed) => self.list_without(setting, &removed)?,
        };
        setting.check(&value)?;
        self.set.insert(name.to_owned(), value);
        Ok(())
    }

    /// The settings that were set, by name.
    pub(crate) fn set(&self) -> &BTreeMap<String, String> {
        &self.set
    }

    /// The value in effect, and whether it was set.
    pub(crate) fn value<'a>(&'a self, setting: &'a Setting) -> (&'a str, bool) {
        match self.set.get(setting.name) {
            Some(value) => (value, true),
            None => (setting.default, false),
        }
    }

    /// The settings that the log needs.
    pub(crate) fn append_rules(&self, flush: Flush) -> AppendRules {
        AppendRules {
            batch_bytes_max: self.number("max.message.bytes") as usize,
            segment_bytes: self.number("segment.bytes") as u64,
            segment_ms: self.segment_ms(),
            index_interval_bytes: self.number("index.interval.bytes") as u64,
            append_time: self.text("message.timestamp.type") == "LogAppendTime",
            ahead_ms_max: self.number("message.timestamp.after.max.ms"),
            behind_ms_max: self.number("message.timestamp.before.max.ms"),
            keys_required: self.has_policy("compact"),
            flush: self.flush(flush),
        }
    }

    /// When writes are forced to the disk, if `flush` says so for topics without such settings.
    fn flush(&self, flush: Flush) -> Flush {
        let interval_ms = self.set.get("flush.ms").and_then(|ms| ms.trim().parse().ok());
        match (self.number("flush.messages"), interval_ms) {
            (1, _) | (_, Some(0)) => Flush::EveryAppend,
            (_, Some(ms)) => Flush::Every(Duration::from_millis(ms)),
            (_, None) => flush,
        }
    }

    /// Which records are kept; `None` if retention deletes none.
    pub(crate) fn retention(&self) -> Option<Retention> {
        let limit = |name: &str| Some(self.number(name)).filter(|number| *number >= 0);
        let bytes_max = limit("retention.bytes").map(i64::cast_unsigned);
        let retention = Retention { age_ms_max: limit("retention.ms"), bytes_max };
        (self.has_policy("delete") && retention != Retention::default()).then_some(retention)
    }

    /// How it is compacted; `None` if it is not.
    pub(crate) fn compaction(&self) -> Option<Compaction> {
        let compaction = || Compaction {
            dirty_ratio_min: self.text("min.cleanable.dirty.ratio").trim().parse().unwrap_or(0.5),
            lag_ms_min: self.number("min.compaction.lag.ms"),
            lag_ms_max: self.number("max.compaction.lag.ms"),
            removals_ms: self.number("delete.retention.ms"),
            segment_bytes: self.number("segment.bytes") as u64,
            index_interval_bytes: self.number("index.interval.bytes") as u64,
        };
        self.has_policy("compact").then(compaction)
    }

    /// How much later than the first record of a segment its records may be, in ms: otherwise they could not be compacted in time.
    fn segment_ms(&self) -> i64 {
        let lag_ms_max = self.compaction().map_or(i64::MAX, |compaction| compaction.lag_ms_max);
        self.number("segment.ms").min(lag_ms_max)
    }

    /// Whether this is what happens to old segments.
    fn has_policy(&self, policy: &str) -> bool {
        words(self.text("cleanup.policy")).any(|word| word == policy)
    }

    fn text<'a>(&'a self, name: &'a str) -> &'a str {
        find(name).map_or("", |setting| self.value(setting).0)
    }

    /// A number that was validated when it was set.
    fn number(&self, name: &str) -> i64 {
        self.text(name).trim().parse().unwrap_or(0)
    }

    fn list_with(&self, setting: &Setting, added: &str) -> Result<String, String> {
        let mut list: Vec<&str> = words(self.list(setting)?).collect();
        list.extend(words(added).filter(|word| !words(self.value(setting).0).any(|known| known == *word)));
        Ok(list.join(","))
    }

    fn list_without(&self, setting: &Setting, removed: &str) -> Result<String, String> {
        let kept = words(self.list(setting)?).filter(|word| !words(removed).any(|gone| gone == *word));
        Ok(kept.collect::<Vec<_>>().join(","))
    }

    fn list(&self, setting: &Setting) -> Result<&str, String> {
        match setting.value_type {
            SettingType::List(_) => Ok(self.set.get(setting.name).map_or(setting.default, String::as_str)),
            _ => Err(format!("Config value append is not allowed for config key: {}", setting.name)),
        }
    }
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_added_to_lists_and_taken_from_them() {
        let mut settings = Settings::default();
        let policy = find("cleanup.policy").expect("is in the table");
        settings.edit("cleanup.policy", Edit::Append("compact".to_owned())).expect("is a list");
        assert_eq!(settings.value(policy), ("delete,compact", true));
        settings.edit("cleanup.policy", Edit::Append("compact".to_owned())).expect("is a list");
        assert_eq!(settings.value(policy), ("delete,compact", true));
        settings.edit("cleanup.policy", Edit::Subtract("delete".to_owned())).expect("is a list");
        assert_eq!(settings.value(policy), ("compact", true));
        assert!(settings.append_rules(Flush::System).keys_required);
        settings.edit("cleanup.policy", Edit::Unset).expect("is known");
        assert_eq!(settings.value(policy), ("delete", false));
    }

    #[test]
    fn a_topic_may_be_flushed_more_often_than_others() {
        let flush = |settings: &[(&str, &str)]| {
            let given = settings.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
            Settings::new(given).expect("is legal").append_rules(Flush::System).flush
        };
        assert_eq!(flush(&[]), Flush::System);
        assert_eq!(flush(&[("flush.ms", "300")]), Flush::Every(Duration::from_millis(300)));
        assert_eq!(flush(&[("flush.ms", "0")]), Flush::EveryAppend);
        assert_eq!(flush(&[("flush.ms", "300"), ("flush.messages", "1")]), Flush::EveryAppend);
    }

    #[test]
    fn a_new_topic_keeps_everything_until_it_is_told_otherwise() {
        let retention = find("retention.ms").expect("is in the table");
        let mut settings = Settings::for_new_topic([]).expect("is legal");
        assert_eq!(settings.value(retention), ("-1", true));
        settings.edit("retention.ms", Edit::Unset).expect("is known");
        assert_eq!(settings.value(retention), ("604800000", false));
        let given = ("retention.ms".to_owned(), Some("5".to_owned()));
        assert_eq!(Settings::for_new_topic([given]).expect("is legal").value(retention), ("5", true));
    }

    #[test]
    fn refusals_change_nothing() {
        let mut settings = Settings::default();
        for (name, edit) in [
            ("no.such", Edit::Set("1".to_owned())),
            ("retention.ms", Edit::Set("x".to_owned())),
            ("retention.ms", Edit::Append("1".to_owned())),
            ("cleanup.policy", Edit::Append("x".to_owned())),
        ] {
            assert!(settings.edit(name, edit).is_err());
        }
        assert_eq!(settings, Settings::default());
    }
}
