//! A compiled pattern, and an iteration over its matches in a text in the same way as Java.
//!
//! Most patterns are matched in linear time. Those that need backtracking have a budget of steps for each text, so
//! that none can block a query; exceeding it is an error, which makes the row NULL.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use regex::{CaptureLocations, Regex};

use super::regex_java::translate;

/// Limits on the backtracking steps of one search, tried in order. Most searches need few steps. The crate does not
/// report how many steps a search took, so each counts as its whole limit.
const STEPS: [usize; 3] = [1_000, 50_000, 2_000_000];

/// The number of backtracking steps that all searches in one text may take beyond the lowest of [`STEPS`].
const STEPS_A_TEXT: usize = 8_000_000;

/// A compiled pattern.
#[derive(Debug)]
pub enum Pattern {
    /// Matched in linear time.
    Linear(Regex),
    /// Matched by backtracking.
    Backtracking(Box<Backtracking>),
}

/// The pattern with each limit of [`STEPS`], compiled when it is first needed.
#[derive(Debug)]
pub struct Backtracking {
    text: String,
    limited: [OnceLock<fancy_regex::Regex>; STEPS.len()],
}

/// A match.
pub struct Match<'a> {
    whole: Range<usize>,
    groups: Groups<'a>,
}

enum Groups<'a> {
    None,
    Linear(&'a CaptureLocations),
    Backtracking(fancy_regex::Captures<'a, str>),
}

impl Match<'_> {
    /// Its range in the text.
    pub fn range(&self) -> Range<usize> {
        self.whole.clone()
    }

    /// The range of a group; the whole match is group 0.
    pub fn group(&self, group: usize) -> Option<Range<usize>> {
        match &self.groups {
            _ if group == 0 => Some(self.range()),
            Groups::None => None,
            Groups::Linear(found) => found.get(group).map(|(start, end)| start..end),
            Groups::Backtracking(found) => found.get(group).map(|found| found.range()),
        }
    }
}

impl Pattern {
    /// Compiles a pattern of Java. Fails with the reason if it is not valid.
    pub fn compile(pattern: &str) -> Result<Arc<Self>, String> {
        let refused = |why: String| format!("'{pattern}' is not a valid pattern: {why}");
        let translated = translate(pattern).map_err(refused)?;
        let compiled = match translated.backtracks {
            true => Self::Backtracking(Box::new(Backtracking::new(translated.text).map_err(refused)?)),
            false => Self::Linear(Regex::new(&translated.text).map_err(|error| refused(last_line(&error)))?),
        };
        Ok(Arc::new(compiled))
    }

    /// Number of groups, the whole match included.
    pub fn groups(&self) -> usize {
        match self {
            Self::Linear(regex) => regex.captures_len(),
            Self::Backtracking(regex) => regex.least().map_or(1, fancy_regex::Regex::captures_len),
        }
    }

    /// The number of a group with a name.
    pub fn group_named(&self, name: &str) -> Option<usize> {
        match self {
            Self::Linear(regex) => regex.capture_names().position(|group| group == Some(name)),
            Self::Backtracking(regex) => regex.least()?.capture_names().position(|group| group == Some(name)),
        }
    }

    /// Whether it matches an empty text.
    pub fn matches_nothing(&self) -> bool {
        let mut empty = false;
        // A search of an empty text ends at once.
        let _ = self.each("", false, |_| {
            empty = true;
            false
        });
        empty
    }

    /// Passes the matches in a text to `found`, from left to right, until it returns false. As in Java, the next
    /// search begins where the last match ended, or one character later if that match was empty.
    pub fn each(&self, text: &str, groups: bool, mut found: impl FnMut(&Match<'_>) -> bool) -> Result<(), String> {
        let mut search = self.search(text, groups);
        let mut from = 0;
        while let Some(next) = search.next(from)? {
            let range = next.range();
            if !found(&next) {
                return Ok(());
            }
            from = if range.is_empty() { after(text, range.end) } else { range.end };
            if from > text.len() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A search in one text; with `groups`, matches include their groups.
    pub fn search<'a>(&'a self, text: &'a str, groups: bool) -> Search<'a> {
        let locations = match self {
            Self::Linear(regex) if groups => Some(regex.capture_locations()),
            _ => None,
        };
        Search { pattern: self, text, locations, left: STEPS_A_TEXT }
    }
}

/// The searches in one text, which share a budget.
pub struct Search<'a> {
    pattern: &'a Pattern,
    text: &'a str,
    locations: Option<CaptureLocations>,
    left: usize,
}

impl Search<'_> {
    /// The first match from a position on, which is at most the end of the text.
    pub fn next(&mut self, from: usize) -> Result<Option<Match<'_>>, String> {
        match (self.pattern, &mut self.locations) {
            (Pattern::Linear(regex), None) => {
                Ok(regex.find_at(self.text, from).map(|found| Match { whole: found.range(), groups: Groups::None }))
            }
            (Pattern::Linear(regex), Some(locations)) => {
                let whole = regex.captures_read_at(locations, self.text, from).map(|found| found.range());
                Ok(whole.map(|whole| Match { whole, groups: Groups::Linear(locations) }))
            }
            (Pattern::Backtracking(regex), _) => {
                let found = regex.captures_at(self.text, from, &mut self.left)?;
                let whole = found.and_then(|found| Some((found.get(0)?.range(), found)));
                Ok(whole.map(|(whole, found)| Match { whole, groups: Groups::Backtracking(found) }))
            }
        }
    }
}

impl Backtracking {
    fn new(text: String) -> Result<Self, String> {
        let least = limited(&text, STEPS[0]).map_err(|error| in_words(&error))?;
        Ok(Self { text, limited: [OnceLock::from(least), OnceLock::new(), OnceLock::new()] })
    }

    fn least(&self) -> Option<&fancy_regex::Regex> {
        self.limited[0].get()
    }

    fn captures_at<'t>(
        &self,
        text: &'t str,
        from: usize,
        left: &mut usize,
    ) -> Result<Option<fancy_regex::Captures<'t, str>>, String> {
        for (at, steps) in STEPS.into_iter().enumerate() {
            if at > 0 {
                *left = left.checked_sub(steps).ok_or_else(too_many)?;
            }
            let regex = match self.limited[at].get() {
                Some(regex) => regex,
                None => {
                    let regex = limited(&self.text, steps).map_err(|error| in_words(&error))?;
                    self.limited[at].get_or_init(|| regex)
                }
            };
            match regex.captures_from_pos(text, from) {
                Ok(found) => return Ok(found),
                Err(fancy_regex::Error::RuntimeError(_)) => {}
                Err(error) => return Err(in_words(&error)),
            }
        }
        Err(too_many())
    }
}

fn too_many() -> String {
    "the pattern takes too many steps on this text".to_owned()
}

fn limited(text: &str, steps: usize) -> Result<fancy_regex::Regex, Box<fancy_regex::Error>> {
    fancy_regex::RegexBuilder::new(text).backtrack_limit(steps).build().map_err(Box::new)
}

/// The place after the character at `at`; beyond the end when there is none.
pub fn after(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}

fn last_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn in_words(error: &fancy_regex::Error) -> String {
    use fancy_regex::{CompileError, Error, ParseError};
    match error {
        Error::ParseError(_, ParseError::UnclosedOpenParen) => "unclosed group".to_owned(),
        Error::ParseError(_, ParseError::InvalidClass) => "unclosed character class".to_owned(),
        Error::ParseError(_, ParseError::InvalidGroupName | ParseError::InvalidGroupNameBackref(_)) => {
            "invalid group name".to_owned()
        }
        Error::ParseError(_, ParseError::RecursionExceeded) => "it is nested too deeply".to_owned(),
        Error::ParseError(_, ParseError::TargetNotRepeatable) => "look-around cannot be repeated".to_owned(),
        Error::CompileError(inner) => match inner.as_ref() {
            CompileError::PatternTooComplex => "it is too large".to_owned(),
            CompileError::LookBehindNotConst
            | CompileError::VariableLookBehindRequiresFeature
            | CompileError::DfaBuildError(..) => "a look-behind has no maximum length".to_owned(),
            CompileError::InvalidGroupName | CompileError::InvalidGroupNameBackref(_) => {
                "it refers to a group that does not exist".to_owned()
            }
            _ => "it is malformed".to_owned(),
        },
        _ => "it is malformed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, text: &str) -> Vec<String> {
        let pattern = Pattern::compile(pattern).expect("a pattern");
        let mut found = Vec::new();
        let ended = pattern.each(text, true, |next| {
            found.push(text[next.range()].to_owned());
            true
        });
        if let Err(why) = ended {
            found.push(why);
        }
        found
    }

    #[test]
    fn shorthands_are_about_ascii() {
        assert_eq!(found(r"^[\d.]+$", "1.5"), ["1.5"]);
        assert!(found(r"^[\d.]+$", "٣").is_empty());
        assert_eq!(found(r"\W", "ä"), ["ä"]);
        assert_eq!(found(r"\Qa.b\E", "a.b"), ["a.b"]);
        assert!(Pattern::compile("(").is_err() && Pattern::compile("(?=a").is_err());
    }

    /// What Java 17 finds.
    #[test]
    fn matches_follow_one_another_as_in_java() {
        assert_eq!(found("a*", "ab"), ["a", "", ""]);
        assert_eq!(found("", "äb"), ["", "", ""]);
        assert_eq!(found(r"(\w)\1", "aabccd"), ["aa", "cc"]);
        assert_eq!(found(r"\d(?=\d{4})", "123456"), ["1", "2"]);
        assert_eq!(found(r"(?<=a{1,3})b", "bab"), ["b"]);
        assert_eq!(found(r"(?<!a)b", "bab"), ["b"]);
        assert_eq!(found("a++a", "aaa"), Vec::<String>::new());
        assert_eq!(found(r"(?<n>.)\k<n>", "xx"), ["xx"]);
        assert_eq!(found(r"a\Z", "a\n"), ["a"]);
    }

    /// Goal: no text holds a query up. Method: patterns whose backtracking would take years, and long texts that need
    /// one step a character.
    #[test]
    fn what_takes_too_many_steps_ends() {
        let many = "a".repeat(40);
        assert_eq!(found(r"^(a|a)*(?=c)$", &many), ["the pattern takes too many steps on this text"]);
        let long = "ab".repeat(200_000);
        assert!(found(r"(\w)\1", &long).is_empty());
        assert_eq!(found("(?=a)a", &long).len(), 200_000);
    }
}
