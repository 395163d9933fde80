//! The settings of one topic: which were set, which values are in effect, and how they change.
//!
//! Separate because it does no I/O; all requests that touch settings end here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::setting::{Setting, SettingType, words};
use super::table::{NEW_TOPIC_SETTINGS, SETTINGS};
use crate::log::{AppendRules, Compaction, Flush, Retention};

/// The settings of a topic: those that were set, those that the broker sets for all topics, and Kafka's defaults for all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    set: BTreeMap<String, String>,
    defaults: Arc<BTreeMap<String, String>>,
}

/// Where the value of a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was set for the topic.
    Topic,
    /// It was set for the broker.
    Broker,
    Default,
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
    /// Settings that were set for a topic, beside those that the broker sets for all.
    pub(crate) fn of(set: BTreeMap<String, String>, defaults: &Arc<BTreeMap<String, String>>) -> Settings {
        Settings { set, defaults: Arc::clone(defaults) }
    }

    /// The settings of a new topic: those given, and those of [`NEW_TOPIC_SETTINGS`] that are not.
    pub(crate) fn for_new_topic(
        given: impl IntoIterator<Item = (String, Option<String>)>,
        defaults: &Arc<BTreeMap<String, String>>,
    ) -> Result<Settings, String> {
        let mut settings = Settings::of(BTreeMap::new(), defaults);
        settings.replace(given)?;
        settings.keep_all_records();
        Ok(settings)
    }

    /// Sets [`NEW_TOPIC_SETTINGS`], unless they are already set, for the topic or the broker.
    pub(crate) fn keep_all_records(&mut self) {
        for (name, value) in NEW_TOPIC_SETTINGS.iter().filter(|(name, _)| !self.defaults.contains_key(*name)) {
            self.set.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
        }
    }

    /// Sets the given settings and no others; an unknown name or an invalid value is an error.
    pub(crate) fn replace(&mut self, given: impl IntoIterator<Item = (String, Option<String>)>) -> Result<(), String> {
        self.set.clear();
        given.into_iter().try_for_each(|(name, value)| self.edit(&name, value.map_or(Edit::Unset, Edit::Set)))
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

    /// The value in effect, and where it comes from.
    pub(crate) fn value<'a>(&'a self, setting: &'a Setting) -> (&'a str, Origin) {
        self.values(setting).next().unwrap_or((setting.default, Origin::Default))
    }

    /// The value in effect, followed by the values that it overrides, each with where it comes from.
    pub(crate) fn values<'a>(&'a self, setting: &'a Setting) -> impl Iterator<Item = (&'a str, Origin)> {
        let of = |values: &'a BTreeMap<String, String>, origin| {
            values.get(setting.name).map(|value| (value.as_str(), origin))
        };
        let given = [of(&self.set, Origin::Topic), of(&self.defaults, Origin::Broker)];
        given.into_iter().flatten().chain([(setting.default, Origin::Default)])
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
        let interval_ms =
            find("flush.ms").map(|setting| self.value(setting)).filter(|(_, from)| *from != Origin::Default);
        let interval_ms = interval_ms.and_then(|(ms, _)| ms.trim().parse().ok());
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
    /// Whether records may be removed from the start of the log.
    pub(crate) fn deletes(&self) -> bool {
        self.has_policy("delete")
    }

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

    fn list<'a>(&'a self, setting: &'a Setting) -> Result<&'a str, String> {
        match setting.value_type {
            SettingType::List(_) => Ok(self.value(setting).0),
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
        assert_eq!(settings.value(policy), ("delete,compact", Origin::Topic));
        settings.edit("cleanup.policy", Edit::Append("compact".to_owned())).expect("is a list");
        assert_eq!(settings.value(policy), ("delete,compact", Origin::Topic));
        settings.edit("cleanup.policy", Edit::Subtract("delete".to_owned())).expect("is a list");
        assert_eq!(settings.value(policy), ("compact", Origin::Topic));
        assert!(settings.append_rules(Flush::System).keys_required);
        settings.edit("cleanup.policy", Edit::Unset).expect("is known");
        assert_eq!(settings.value(policy), ("delete", Origin::Default));
    }

    #[test]
    fn a_topic_may_be_flushed_more_often_than_others() {
        let flush = |settings: &[(&str, &str)]| {
            let given = settings.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
            let mut settings = Settings::default();
            settings.replace(given).expect("is legal");
            settings.append_rules(Flush::System).flush
        };
        assert_eq!(flush(&[]), Flush::System);
        assert_eq!(flush(&[("flush.ms", "300")]), Flush::Every(Duration::from_millis(300)));
        assert_eq!(flush(&[("flush.ms", "0")]), Flush::EveryAppend);
        assert_eq!(flush(&[("flush.ms", "300"), ("flush.messages", "1")]), Flush::EveryAppend);
    }

    #[test]
    fn a_new_topic_keeps_everything_until_it_is_told_otherwise() {
        let retention = find("retention.ms").expect("is in the table");
        let mut settings = Settings::for_new_topic([], &Arc::default()).expect("is legal");
        assert_eq!(settings.value(retention), ("-1", Origin::Topic));
        settings.edit("retention.ms", Edit::Unset).expect("is known");
        assert_eq!(settings.value(retention), ("604800000", Origin::Default));
        let given = ("retention.ms".to_owned(), Some("5".to_owned()));
        assert_eq!(
            Settings::for_new_topic([given], &Arc::default()).expect("is legal").value(retention),
            ("5", Origin::Topic)
        );
    }

    #[test]
    fn what_is_set_for_the_broker_counts_where_nothing_is_set_for_the_topic() {
        let defaults = [("retention.ms", "9"), ("flush.ms", "0"), ("cleanup.policy", "compact")];
        let defaults = Arc::new(defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let given = ("cleanup.policy".to_owned(), Some("delete".to_owned()));
        let mut settings = Settings::for_new_topic([given], &defaults).expect("is legal");
        let value = |settings: &Settings, name| {
            let (value, origin) = settings.value(find(name).expect("is in the table"));
            (value.to_owned(), origin)
        };
        assert_eq!(value(&settings, "retention.ms"), ("9".to_owned(), Origin::Broker));
        assert_eq!(value(&settings, "cleanup.policy"), ("delete".to_owned(), Origin::Topic));
        assert_eq!(settings.append_rules(Flush::System).flush, Flush::EveryAppend);
        settings.edit("cleanup.policy", Edit::Unset).expect("is known");
        assert!(settings.compaction().is_some());
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
