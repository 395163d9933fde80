//! What a member subscribes to: topics by name, and all whose names match a pattern.
//!
//! Separate because which topics these are depends on the topics that there are, which change.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use regex::Regex;

use super::heartbeat::{Catalog, Refusal, TopicShape};

/// The subscription of a member.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Subscription {
    pub(crate) topics: BTreeSet<String>,
    pub(crate) pattern: Option<Pattern>,
}

/// A regular expression for whole names.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Reads a regular expression; an empty one is none.
    pub(super) fn parse(text: &str) -> Result<Option<Pattern>, Refusal> {
        if text.is_empty() {
            return Ok(None);
        }
        let invalid = |error| {
            let message = format!("SubscribedTopicRegex `{text}` is not a valid regular expression: {error}.");
            Refusal::new(ResponseError::InvalidRegularExpression, message)
        };
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(invalid)?;
        Ok(Some(Pattern { text: text.to_owned(), regex }))
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Subscription {
    /// The topics with their shapes, as far as they exist.
    pub(super) fn resolve(&self, catalog: &dyn Catalog) -> BTreeMap<String, TopicShape> {
        let matches = |pattern: &Pattern| {
            let names = catalog.names().into_iter();
            names.filter(|name| pattern.regex.is_match(name)).collect::<Vec<_>>()
        };
        let matching = self.pattern.as_ref().map(matches).unwrap_or_default();
        let all = self.topics.iter().cloned().chain(matching);
        all.filter_map(|name| catalog.shape(&name).map(|shape| (name, shape))).collect()
    }
}
