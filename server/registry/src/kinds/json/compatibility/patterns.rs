//! The patterns of objects: which of them fit the name of a property.
//!
//! Separate because they are somebody else's programs: each is compiled once, and what compiling and matching them takes
//! is bounded.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use regex::{Regex, RegexBuilder};

/// How large a compiled pattern may be, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 18;

/// How many steps of a comparison it takes to compile a pattern.
pub(super) const COMPILE_STEPS: usize = 200;

/// How long all names may be together that are matched with patterns, in bytes, each as often as it is matched.
const MATCH_BYTES_MAX: usize = 1 << 20;

/// The patterns of both schemas.
#[derive(Default)]
pub(super) struct Patterns<'a> {
    /// `None` for those that are not supported here, or are too large.
    compiled: HashMap<&'a str, Option<Regex>>,
    matched_bytes: usize,
}

/// Whether a pattern fits a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
    /// The pattern cannot be compiled, or there was too much to match.
    Unknown,
}

impl<'a> Patterns<'a> {
    /// Compiles a pattern unless that was done. Returns how many steps it took.
    pub(super) fn compile(&mut self, pattern: &'a str) -> usize {
        match self.compiled.entry(pattern) {
            Entry::Occupied(_) => 0,
            Entry::Vacant(entry) => {
                let mut builder = RegexBuilder::new(pattern);
                builder.size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
                entry.insert(builder.build().ok());
                COMPILE_STEPS
            }
        }
    }

    pub(super) fn is_supported(&self, pattern: &str) -> bool {
        self.compiled.get(pattern).is_some_and(Option::is_some)
    }

    /// Whether a pattern that was compiled fits.
    pub(super) fn fit(&mut self, pattern: &str, name: &str) -> Fit {
        let Some(Some(compiled)) = self.compiled.get(pattern) else { return Fit::Unknown };
        self.matched_bytes += name.len() + 1;
        match self.matched_bytes <= MATCH_BYTES_MAX {
            true if compiled.is_match(name) => Fit::Yes,
            true => Fit::No,
            false => Fit::Unknown,
        }
    }

    /// Whether more was to be matched than may be.
    pub(super) fn is_exhausted(&self) -> bool {
        self.matched_bytes > MATCH_BYTES_MAX
    }
}

/// Whether no name fits both patterns, as far as that can be seen: they begin with different letters.
pub(super) fn are_disjoint(one: &str, other: &str) -> bool {
    match (beginning(one), beginning(other)) {
        (Some(one), Some(other)) => !one.starts_with(other) && !other.starts_with(one),
        _ => false,
    }
}

/// What each name that fits begins with, if the pattern begins so. Any alternative could begin with something else.
fn beginning(pattern: &str) -> Option<&str> {
    let rest = pattern.strip_prefix('^').filter(|rest| !rest.contains('|'))?;
    let is_literal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ');
    let (end, next) = rest.char_indices().find(|(_, c)| !is_literal(*c)).unwrap_or((rest.len(), '$'));
    match next {
        // The letter before may be missing.
        '?' | '*' | '{' => rest[..end].char_indices().next_back().map(|(last, _)| &rest[..last]),
        _ => Some(&rest[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::{COMPILE_STEPS, Fit, Patterns, are_disjoint};

    #[test]
    fn patterns_are_compiled_once() {
        let mut patterns = Patterns::default();
        assert_eq!(
            [patterns.compile("^a"), patterns.compile("^a"), patterns.compile("(?!a)")],
            [COMPILE_STEPS, 0, COMPILE_STEPS]
        );
        let fits = [("^a", "ab"), ("^a", "ba"), ("(?!a)", "b")].map(|(pattern, name)| patterns.fit(pattern, name));
        assert_eq!(fits, [Fit::Yes, Fit::No, Fit::Unknown]);
        assert!(patterns.is_supported("^a") && !patterns.is_supported("(?!a)"));
        assert_eq!(patterns.fit("^a", &"a".repeat(1 << 20)), Fit::Unknown);
        assert!(patterns.is_exhausted());
    }

    #[test]
    fn patterns_with_different_beginnings_have_no_names_in_common() {
        for (one, other, expected) in [
            ("^S_", "^I_", true),
            ("^a.*$", "^b+$", true),
            ("^a", "^ab", false),
            ("^ab?c", "^ac", false),
            ("^ab*", "^ac", false),
            ("^a{0}b", "^b", false),
            ("^ab?", "^c", true),
            ("^ab+", "^ac", true),
            ("^a|b", "^b", false),
            ("a", "^b", false),
            ("^", "^b", false),
            ("^a$", "^b$", true),
        ] {
            assert_eq!((are_disjoint(one, other), are_disjoint(other, one)), (expected, expected), "{one} {other}");
        }
    }
}
