//! Patterns and replacements as Java writes them, for the crate `regex`.
//!
//! That crate matches in linear time, so that no pattern can hold up a query; what needs backtracking
//! it does not have. Shorthands (`\d`, `\w`, `\s` and their opposites) and `\Q…\E` are translated to
//! what they mean in Java, which is about ASCII alone.

use std::sync::Arc;

use regex::{Captures, Regex};

/// What a function does, and what all of them say about patterns.
macro_rules! java_note {
    ($about:literal) => {
        concat!(
            $about,
            " The pattern is as Java's, without look-around, back references and possessive quantifiers; `.` stops only at a line feed, and `$` is the end of the text alone."
        )
    };
}

/// REGEXP_EXTRACT.
pub const EXTRACT: &str = java_note!("The first piece of a text that matches a pattern; NULL when none does.");
/// REGEXP_EXTRACT_ALL.
pub const EXTRACT_ALL: &str = java_note!("All pieces of a text that match a pattern.");
/// REGEXP_REPLACE.
pub const REPLACE: &str =
    java_note!("The text with each piece that matches a pattern replaced; $1 stands for the pattern's first group.");
/// REGEXP_SPLIT_TO_ARRAY.
pub const SPLIT: &str =
    java_note!("The pieces of a text between those that match a pattern; an empty pattern gives each character.");

/// A pattern, or why it is none.
pub type Pattern = Result<Arc<Regex>, String>;

/// Compiles a pattern of Java.
pub fn compile(pattern: &str) -> Pattern {
    let told = |error: regex::Error| {
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("'{pattern}' is no pattern: {why}")
    };
    Regex::new(&translate(pattern)).map(Arc::new).map_err(told)
}

fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(char) = rest.chars().next() {
        if char != '\\' {
            out.push(char);
            rest = &rest[char.len_utf8()..];
            continue;
        }
        let Some(escaped) = rest[1..].chars().next() else {
            out.push('\\');
            break;
        };
        rest = &rest[1 + escaped.len_utf8()..];
        match escaped {
            'd' => out.push_str("[0-9]"),
            'D' => out.push_str("[^0-9]"),
            'w' => out.push_str("[a-zA-Z0-9_]"),
            'W' => out.push_str("[^a-zA-Z0-9_]"),
            's' => out.push_str(r"[ \t\n\x0B\x0C\r]"),
            'S' => out.push_str(r"[^ \t\n\x0B\x0C\r]"),
            'h' => out.push_str(r"[ \t\xA0\u{1680}\u{180e}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}]"),
            'R' => out.push_str(r"(?:\r\n|[\n\x0B\x0C\r\u{85}\u{2028}\u{2029}])"),
            'Z' => out.push_str(r"\n?\z"),
            'e' => out.push_str(r"\x1B"),
            '<' | '>' => out.push(escaped),
            'Q' => {
                let (literal, behind) = rest.split_once("\\E").unwrap_or((rest, ""));
                out.push_str(&regex::escape(literal));
                rest = behind;
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out
}

/// A replacement: texts and groups of the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
    Name(String),
}

impl Replacement {
    /// Reads a replacement for a pattern: `$1` and `${name}` are groups, a backslash takes the meaning
    /// from what follows it.
    pub fn parse(text: &str, pattern: &Regex) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '\\' => literal.push(chars.next().ok_or("a replacement does not end with a backslash")?),
                '$' => {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    pieces.push(match chars.peek() {
                        Some('{') => Piece::Name(name(&mut chars)?),
                        _ => Piece::Group(group(&mut chars, pattern)?),
                    });
                }
                other => literal.push(other),
            }
        }
        pieces.push(Piece::Text(literal));
        Ok(Self(pieces))
    }

    /// Appends the replacement for a match.
    pub fn write(&self, found: &Captures<'_>, out: &mut String) {
        for piece in &self.0 {
            out.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Group(group) => found.get(*group).map_or("", |m| m.as_str()),
                Piece::Name(name) => found.name(name).map_or("", |m| m.as_str()),
            });
        }
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// As many digits as still name a group.
fn group(chars: &mut Chars<'_>, pattern: &Regex) -> Result<usize, String> {
    let digit = |chars: &mut Chars<'_>| chars.peek().and_then(|c| c.to_digit(10)).map(|d| d as usize);
    let mut group = digit(chars).ok_or("behind $ comes the number of a group")?;
    chars.next();
    if group >= pattern.captures_len() {
        return Err(format!("the pattern has no group {group}"));
    }
    while let Some(more) = digit(chars).map(|d| group * 10 + d).filter(|more| *more < pattern.captures_len()) {
        group = more;
        chars.next();
    }
    Ok(group)
}

fn name(chars: &mut Chars<'_>) -> Result<String, String> {
    chars.next();
    let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
    if name.is_empty() { Err("${} names no group".to_owned()) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorthands_are_about_ascii() {
        let digits = compile(r"^[\d.]+$").expect("a pattern");
        assert!(digits.is_match("1.5") && !digits.is_match("٣"));
        assert!(compile(r"\W").expect("a pattern").is_match("ä"));
        assert!(compile(r"\Qa.b\E").expect("a pattern").is_match("a.b"));
        assert!(compile("(?=a)").is_err() && compile("(").is_err());
    }

    #[test]
    fn replacements_name_groups() {
        let pattern = compile("(a)(?<n>b)").expect("a pattern");
        let replaced = |text: &str| {
            let mut out = String::new();
            let replacement = Replacement::parse(text, &pattern)?;
            replacement.write(&pattern.captures("ab").expect("it matches"), &mut out);
            Ok::<_, String>(out)
        };
        assert_eq!(replaced(r"$2-$11-\$1-${n}").as_deref(), Ok("b-a1-$1-b"));
        assert!(replaced("$3").is_err() && replaced("$").is_err() && replaced("\\").is_err());
    }
}
