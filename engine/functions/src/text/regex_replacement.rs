//! The replacement of REGEXP_REPLACE, in Java's syntax.

use super::regex_pattern::{Match, Pattern};

/// A replacement: texts and groups of the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// Parses a replacement for a pattern: `$1` and `${name}` are groups, and a backslash escapes the character that
    /// follows it.
    pub fn parse(text: &str, pattern: &Pattern) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '\\' => literal.push(chars.next().ok_or("a replacement cannot end with a backslash")?),
                '$' => {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    pieces.push(Piece::Group(match chars.peek() {
                        Some('{') => named(&mut chars, pattern)?,
                        _ => group(&mut chars, pattern)?,
                    }));
                }
                other => literal.push(other),
            }
        }
        pieces.push(Piece::Text(literal));
        Ok(Self(pieces))
    }

    /// Whether it names a group.
    pub fn has_groups(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Group(1..)))
    }

    /// Appends the replacement for a match in `text`.
    pub fn write(&self, text: &str, found: &Match<'_>, out: &mut String) {
        for piece in &self.0 {
            out.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Group(group) => found.group(*group).map_or("", |range| &text[range]),
            });
        }
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// As many digits as still name a group.
fn group(chars: &mut Chars<'_>, pattern: &Pattern) -> Result<usize, String> {
    let digit = |chars: &mut Chars<'_>| chars.peek().and_then(|c| c.to_digit(10)).map(|d| d as usize);
    let mut group = digit(chars).ok_or("$ must be followed by the number of a group")?;
    chars.next();
    if group >= pattern.groups() {
        return Err(format!("the pattern has no group {group}"));
    }
    while let Some(more) = digit(chars).map(|d| group * 10 + d).filter(|more| *more < pattern.groups()) {
        group = more;
        chars.next();
    }
    Ok(group)
}

fn named(chars: &mut Chars<'_>, pattern: &Pattern) -> Result<usize, String> {
    chars.next();
    let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
    if name.is_empty() {
        return Err("${} does not name a group".to_owned());
    }
    pattern.group_named(&name).ok_or_else(|| format!("the pattern has no group \"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_name_groups() {
        let pattern = Pattern::compile("(a)(?<n>b)").expect("a pattern");
        let replaced = |text: &str| {
            let mut out = String::new();
            let replacement = Replacement::parse(text, &pattern)?;
            pattern.each("ab", true, |found| {
                replacement.write("ab", found, &mut out);
                true
            })?;
            Ok::<_, String>(out)
        };
        assert_eq!(replaced(r"$2-$11-\$1-${n}").as_deref(), Ok("b-a1-$1-b"));
        assert!(replaced("$3").is_err() && replaced("$").is_err() && replaced("\\").is_err());
        assert!(replaced("${m}").is_err());
    }
}
