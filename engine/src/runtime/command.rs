//! One record of the command topic, as JSON.
//!
//! Every version of Headwater writes `version` and `id`, so that an older one recognizes a command. An older version
//! must not apply a command that it understands only in part, or two processes would have two different catalogs.

use headwater_language::catalog::CatalogChange;
use headwater_language::config;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the commands that this program writes. A new kind or field does not need a new version, because programs
/// that do not know it notice that themselves.
pub const VERSION: u32 = 1;

/// A change of the catalog, and the statement that asked for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Version of this shape.
    pub version: u32,
    /// Unique id of this append.
    pub id: String,
    /// The user's statement.
    pub statement: String,
    /// The change.
    pub change: CatalogChange,
}

/// What a record of the command topic turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A command that this version fully understands.
    Command(Box<Command>),
    /// A command of a newer version, and what is not understood about it.
    Newer(String),
    /// Not a command of any version, and why.
    Foreign(&'static str),
}

impl Command {
    /// A command of this version with a new id. A query that it creates gets the unique part of its group's name.
    pub fn new(statement: &str, mut change: CatalogChange) -> Self {
        let id = uuid::Uuid::new_v4();
        if let CatalogChange::DefineQuery { query, .. } = &mut change {
            query.unique = id.simple().to_string().get(..8).map(str::to_owned);
        }
        Self { version: VERSION, id: id.to_string(), statement: statement.to_owned(), change }
    }

    /// Parses the value of a record.
    pub fn find(value: Option<&[u8]>) -> Found {
        let Some(value) = value else { return Found::Foreign("it has no value") };
        let Ok(json) = serde_json::from_slice::<Value>(value) else { return Found::Foreign("it is not JSON") };
        // All versions have this in common: an object with a version.
        let Some(version) = json.get("version") else { return Found::Foreign("it has no version") };
        if version.as_u64().is_none_or(|version| version > u64::from(VERSION)) {
            return Found::Newer(format!("its version is {version}, but this process supports up to {VERSION}"));
        }
        match Self::deserialize(&json) {
            Ok(command) => match command.newer_part() {
                Some(part) => Found::Newer(format!("its query has {part}")),
                None => Found::Command(Box::new(command)),
            },
            Err(error) => Found::Newer(match kind_of(&json) {
                Some(kind) => format!("its change \"{kind}\" is not understood ({error})"),
                None => format!("it is not understood ({error})"),
            }),
        }
    }

    /// A part of the query that can be parsed but that this program does not know.
    fn newer_part(&self) -> Option<String> {
        let CatalogChange::DefineQuery { query, .. } = &self.change else { return None };
        let unknown = query.properties.keys().find(|name| config::find(name).is_err());
        unknown.map(|name| format!("the property \"{name}\""))
    }
}

/// The name of the change in a command.
fn kind_of(json: &Value) -> Option<&str> {
    json.get("change")?.as_object()?.keys().next().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Found {
        Command::find(Some(text.as_bytes()))
    }

    fn newer(text: &str) -> String {
        match find(text) {
            Found::Newer(why) => why,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_command_comes_back_as_it_was_written() {
        let command = Command::new("DROP STREAM s;", CatalogChange::DropSource { name: "S".to_owned() });
        let text = serde_json::to_string(&command).expect("plain data");
        assert_eq!(find(&text), Found::Command(Box::new(command)));
    }

    #[test]
    fn what_is_not_understood_in_full_is_newer() {
        let version = r#"{"version":2,"id":"a","statement":"","change":{"drop_source":{"name":"S"}}}"#;
        assert_eq!(newer(version), "its version is 2, but this process supports up to 1");
        assert!(newer(r#"{"version":3,"body":"of another shape"}"#).contains("version is 3"));
        assert!(newer(r#"{"version":"2.1"}"#).contains("version is \"2.1\""));
        let kind = r#"{"version":1,"id":"a","statement":"","change":{"drop_index":{"name":"S"}}}"#;
        assert!(newer(kind).contains("\"drop_index\""));
        let field = r#"{"version":1,"id":"a","statement":"","change":{"drop_source":{"name":"S","cascade":true}}}"#;
        assert!(newer(field).contains("cascade"));
        let outer = r#"{"version":1,"id":"a","statement":"","as_of":7,"change":{"drop_source":{"name":"S"}}}"#;
        assert!(newer(outer).contains("as_of"));
        assert!(newer(r#"{"version":1,"id":"a","statement":""}"#).contains("change"));
    }

    #[test]
    fn parts_of_queries_and_sources_that_are_not_known_are_newer() {
        let commands = include_str!("../../../queries/plans/0004-unique-group.commands");
        let query = commands.lines().find(|line| line.contains("create_query")).expect("a query");
        assert!(matches!(find(query), Found::Command(_)), "{query}");
        for (known, other) in [
            (r#""topic":"#, r#""compacted":true,"topic":"#),
            (r#""topology":{"version":1"#, r#""topology":{"version":99"#),
            (r#"{"filter":"#, r#"{"sample":"#),
            (r#""rekeyed":"#, r#""ordered":1,"rekeyed":"#),
            (r#""dlq_topic":"#, r#""priority":1,"dlq_topic":"#),
            (r#""properties":{"#, r#""properties":{"cache.max.bytes":"1","#),
        ] {
            let changed = query.replacen(known, other, 1);
            assert!(changed != *query, "{known}");
            assert!(matches!(find(&changed), Found::Newer(_)), "{other}: {:?}", find(&changed));
        }
    }

    #[test]
    fn a_newer_plan_is_named_by_its_version_whatever_its_shape() {
        let commands = include_str!("../../../queries/plans/0004-unique-group.commands");
        let query = commands.lines().find(|line| line.contains("create_query")).expect("a query");
        let newer_plan = query.replacen(r#""topology":{"version":1,"#, r#""topology":{"version":7,"regions":[],"#, 1);
        assert!(newer(&newer_plan).contains("its plan has version 7, but this process supports up to 6"));
    }

    #[test]
    fn what_no_version_writes_is_not_a_command() {
        for (text, why) in [
            ("", "it is not JSON"),
            ("{", "it is not JSON"),
            ("[1]", "it has no version"),
            (r#"{"id":1}"#, "it has no version"),
        ] {
            assert_eq!(find(text), Found::Foreign(why), "{text}");
        }
        assert_eq!(Command::find(None), Found::Foreign("it has no value"));
    }
}
