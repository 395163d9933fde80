//! The records of the registry's log, as Confluent's registry writes them into the topic `_schemas`.
//!
//! Separate because they are kept: their form must not change, and another registry may read them.

use headwater_formats::schema::{SchemaId, SchemaKind};
use headwater_registry::{Level, SubjectVersion};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::log::LogRecord;

/// A change of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A version of a subject, or that it is deleted softly.
    Schema(SchemaValue),
    /// A version is gone.
    SchemaGone { subject: String, version: u32 },
    /// All versions of a subject up to this one are deleted softly.
    SubjectDeleted { subject: String, version: u32 },
    /// The level of a subject, or of all others, or that it no longer has one.
    Level { subject: Option<String>, level: Option<Level> },
    /// The largest id that was given. Versions that are gone do not keep theirs: compaction removes their records.
    LastId(SchemaId),
}

/// A version of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct SchemaValue {
    pub(crate) subject: String,
    pub(crate) version: u32,
    pub(crate) id: SchemaId,
    #[serde(default, rename = "schemaType", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::wire::references")]
    pub(crate) references: Vec<SubjectVersion>,
    #[serde(rename = "schema")]
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) deleted: bool,
}

impl SchemaValue {
    pub(crate) fn new(
        (subject, version): (&str, u32),
        id: SchemaId,
        kind: SchemaKind,
        text: &str,
        references: &[SubjectVersion],
    ) -> Self {
        Self {
            subject: subject.to_owned(),
            version,
            id,
            // As in the API, Avro is not named.
            kind: (kind != SchemaKind::Avro).then(|| kind.to_string()),
            references: references.to_vec(),
            text: text.to_owned(),
            deleted: false,
        }
    }

    pub(crate) fn kind(&self) -> Option<SchemaKind> {
        let Some(name) = &self.kind else { return Some(SchemaKind::Avro) };
        SchemaKind::ALL.into_iter().find(|kind| kind.to_string() == *name)
    }
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "keytype", rename_all = "SCREAMING_SNAKE_CASE")]
enum Key {
    Schema {
        subject: String,
        version: u32,
        magic: u8,
    },
    Config {
        subject: Option<String>,
        magic: u8,
    },
    DeleteSubject {
        subject: String,
        magic: u8,
    },
    /// Confluent's registry writes such a record to find the end of the log, and passes over its value.
    Noop {
        magic: u8,
    },
}

#[derive(Deserialize, Serialize)]
struct LevelValue {
    #[serde(rename = "compatibilityLevel")]
    level: String,
}

#[derive(Deserialize, Serialize)]
struct DeletedValue {
    subject: String,
    version: u32,
}

#[derive(Deserialize, Serialize)]
struct LastIdValue {
    #[serde(rename = "lastId")]
    last_id: SchemaId,
}

impl Change {
    /// The record of this change.
    pub(crate) fn to_record(&self) -> LogRecord {
        let (key, value) = match self {
            Self::Schema(value) => {
                let key = Key::Schema { subject: value.subject.clone(), version: value.version, magic: 1 };
                (key, Some(to_json(value)))
            }
            Self::SchemaGone { subject, version } => {
                (Key::Schema { subject: subject.clone(), version: *version, magic: 1 }, None)
            }
            Self::SubjectDeleted { subject, version } => {
                let value = DeletedValue { subject: subject.clone(), version: *version };
                (Key::DeleteSubject { subject: subject.clone(), magic: 0 }, Some(to_json(&value)))
            }
            Self::Level { subject, level } => {
                let value = level.map(|level| to_json(&LevelValue { level: level.to_string() }));
                (Key::Config { subject: subject.clone(), magic: 0 }, value)
            }
            Self::LastId(last_id) => (Key::Noop { magic: 0 }, Some(to_json(&LastIdValue { last_id: *last_id }))),
        };
        LogRecord { key: to_json(&key), value }
    }

    /// The change of a record. `None` for records that change nothing here: modes, contexts, and what is not known.
    pub(crate) fn from_record(record: &LogRecord) -> Result<Option<Self>, serde_json::Error> {
        let Ok(key) = serde_json::from_slice::<Key>(&record.key) else {
            // A key that is not even JSON is not the registry's.
            return serde_json::from_slice::<Value>(&record.key).map(|_| None);
        };
        Ok(match (key, &record.value) {
            (Key::Schema { .. }, Some(value)) => Some(Self::Schema(serde_json::from_slice(value)?)),
            (Key::Schema { subject, version, .. }, None) => Some(Self::SchemaGone { subject, version }),
            (Key::DeleteSubject { .. }, Some(value)) => {
                let DeletedValue { subject, version } = serde_json::from_slice(value)?;
                Some(Self::SubjectDeleted { subject, version })
            }
            (Key::DeleteSubject { .. }, None) => None,
            (Key::Config { subject, .. }, value) => {
                let value: Option<LevelValue> = value.as_deref().map(serde_json::from_slice).transpose()?;
                Some(Self::Level { subject, level: value.and_then(|value| value.level.parse().ok()) })
            }
            // That of another registry has no value.
            (Key::Noop { .. }, value) => {
                let value = value.as_deref().and_then(|value| serde_json::from_slice::<LastIdValue>(value).ok());
                value.map(|value| Self::LastId(value.last_id))
            }
        })
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("structs of strings and numbers can always be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: &Change, key: &str, value: Option<&str>) {
        let record = change.to_record();
        assert_eq!(String::from_utf8_lossy(&record.key), key);
        assert_eq!(record.value.as_deref().map(String::from_utf8_lossy).as_deref(), value);
        assert_eq!(Change::from_record(&record).expect("it can be read").as_ref(), Some(change));
    }

    #[test]
    fn records_are_those_of_confluent() {
        let avro = SchemaValue::new(("a-value", 1), 7, SchemaKind::Avro, "\"int\"", &[]);
        check(
            &Change::Schema(avro),
            r#"{"keytype":"SCHEMA","subject":"a-value","version":1,"magic":1}"#,
            Some(r#"{"subject":"a-value","version":1,"id":7,"schema":"\"int\"","deleted":false}"#),
        );
        let reference = SubjectVersion { name: "b.proto".into(), subject: "b".into(), version: 2 };
        check(
            &Change::Schema(SchemaValue::new(("a", 2), 8, SchemaKind::Protobuf, "x", &[reference])),
            r#"{"keytype":"SCHEMA","subject":"a","version":2,"magic":1}"#,
            Some(
                r#"{"subject":"a","version":2,"id":8,"schemaType":"PROTOBUF","references":[{"name":"b.proto","subject":"b","version":2}],"schema":"x","deleted":false}"#,
            ),
        );
        check(
            &Change::SchemaGone { subject: "a".into(), version: 2 },
            r#"{"keytype":"SCHEMA","subject":"a","version":2,"magic":1}"#,
            None,
        );
        check(
            &Change::SubjectDeleted { subject: "a".into(), version: 2 },
            r#"{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}"#,
            Some(r#"{"subject":"a","version":2}"#),
        );
        check(
            &Change::Level { subject: None, level: Some(Level::Full) },
            r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
            Some(r#"{"compatibilityLevel":"FULL"}"#),
        );
        check(&Change::LastId(7), r#"{"keytype":"NOOP","magic":0}"#, Some(r#"{"lastId":7}"#));
    }

    #[test]
    fn other_records_change_nothing() {
        let read = |key: &str, value: &str| {
            Change::from_record(&LogRecord { key: key.as_bytes().to_vec(), value: Some(value.as_bytes().to_vec()) })
        };
        assert!(matches!(read(r#"{"keytype":"NOOP","magic":0}"#, ""), Ok(None)));
        assert!(matches!(read(r#"{"keytype":"CLEAR_SUBJECT","subject":"a","magic":0}"#, "{}"), Ok(None)));
        let noop = LogRecord { key: br#"{"keytype":"NOOP","magic":0}"#.to_vec(), value: None };
        assert!(matches!(Change::from_record(&noop), Ok(None)));
        assert!(matches!(read(r#"{"keytype":"MODE","subject":null,"magic":0}"#, r#"{"mode":"READONLY"}"#), Ok(None)));
        assert!(read("x", "y").is_err());
        assert!(read(r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#, "{}").is_err());
    }
}
