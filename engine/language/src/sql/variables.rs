//! Replaces `${name}` by the value of a variable, in the text, before it is parsed.
//!
//! A variable can be used anywhere, even in a string or a quoted name, and its value is inserted unchanged.
//! `$${name}` means the text `${name}`. An undefined variable is left in the text, and the parser then reports it
//! with its position. Positions in the new text can be converted back to positions in the text as typed.

use crate::diagnostic::{Diagnostic, Span};

/// A text with its variables replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Substituted {
    /// The text to parse.
    pub text: String,
    /// The replacements, in order of position.
    replaced: Vec<Replaced>,
}

/// A replacement: its span in the text as typed, and in the new text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Replaced {
    typed: Span,
    new: Span,
}

/// Replaces the variables of a text. `value` is called with the name in upper case, since names are not
/// case-sensitive.
pub fn substitute<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> Substituted {
    let mut done = Substituted::default();
    let mut at = 0;
    while let Some(found) = text[at..].find("${").map(|n| at + n) {
        let Some(name) = name_at(text, found + 2) else {
            done.keep(&text[at..found + 2]);
            at = found + 2;
            continue;
        };
        let typed = Span { start: found, end: found + 2 + name.len() + 1 };
        if text[at..found].ends_with('$') {
            done.keep(&text[at..found - 1]);
            done.replace(Span { start: found - 1, end: typed.end }, &text[typed.start..typed.end]);
        } else {
            done.keep(&text[at..found]);
            match value(&name.to_uppercase()) {
                Some(value) => done.replace(typed, value),
                None => done.keep(&text[typed.start..typed.end]),
            }
        }
        at = typed.end;
    }
    done.keep(&text[at..]);
    done
}

/// The name of a variable that starts at `start` and ends at a brace.
fn name_at(text: &str, start: usize) -> Option<&str> {
    text[start..].split('}').next().filter(|name| start + name.len() < text.len() && is_name(name))
}

/// Whether this is a valid name of a variable: letters, digits and `_`, not beginning with a digit.
pub(super) fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Substituted {
    fn keep(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn replace(&mut self, typed: Span, value: &str) {
        let start = self.text.len();
        self.text.push_str(value);
        self.replaced.push(Replaced { typed, new: Span { start, end: self.text.len() } });
    }

    /// Converts a span in the new text to one in the text as typed. A span inside a value becomes that of the
    /// variable.
    pub fn typed(&self, span: Span) -> Span {
        let start = self.typed_byte(span.start, |replaced| replaced.typed.start);
        let end = match span.end.checked_sub(1) {
            // The end is after the last byte, which may belong to a value.
            Some(last) if span.end > span.start => self.end_behind(last),
            _ => start,
        };
        Span { start, end: end.max(start) }
    }

    /// Converts the spans of diagnostics of the new text to the text as typed.
    pub fn diagnostics(&self, errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
        errors.into_iter().map(|error| Diagnostic { span: error.span.map(|span| self.typed(span)), ..error }).collect()
    }

    /// Converts a byte position in the new text to one in the text as typed; `inside` handles positions inside a
    /// value.
    fn typed_byte(&self, byte: usize, inside: impl Fn(&Replaced) -> usize) -> usize {
        match self.replaced.iter().rev().find(|replaced| replaced.new.start <= byte) {
            None => byte,
            Some(replaced) if byte < replaced.new.end => inside(replaced),
            Some(replaced) => replaced.typed.end + (byte - replaced.new.end),
        }
    }

    fn end_behind(&self, last: usize) -> usize {
        match self.replaced.iter().find(|replaced| replaced.new.start <= last && last < replaced.new.end) {
            Some(replaced) => replaced.typed.end,
            None => self.typed_byte(last, |replaced| replaced.typed.end) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<&'static str> {
        match name {
            "TOPIC" => Some("orders_v2"),
            "Q" => Some("'it''s'"),
            "EMPTY" => Some(""),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_everywhere_and_without_case() {
        for (text, expected) in [
            (
                "SELECT '${topic}', `${TOPIC}`, ${q}${empty} -- ${Topic}",
                "SELECT 'orders_v2', `orders_v2`, 'it''s' -- orders_v2",
            ),
            ("$${topic} $$${topic}", "${topic} $${topic}"),
            ("${nobody} ${1x} ${} ${a b} ${topic", "${nobody} ${1x} ${} ${a b} ${topic"),
            ("${${topic}}", "${orders_v2}"),
            ("", ""),
        ] {
            assert_eq!(substitute(text, value).text, expected);
        }
    }

    #[test]
    fn a_place_leads_back_to_what_was_typed() {
        let typed = "SELECT ${topic}, ${empty} x FROM ${q} WERE";
        let new = substitute(typed, value);
        for (piece, expected) in [
            ("SELECT", "SELECT"),
            ("orders_v2", "${topic}"),
            ("_v", "${topic}"),
            (",", ","),
            ("x", "x"),
            ("WERE", "WERE"),
        ] {
            let start = new.text.find(piece).expect("there");
            let span = new.typed(Span { start, end: start + piece.len() });
            assert_eq!(&typed[span.start..span.end], expected);
        }
        let across = new.text.find("v2, ").expect("there");
        let span = new.typed(Span { start: across, end: across + 6 });
        assert_eq!(&typed[span.start..span.end], "${topic}, ${empty} x");
    }
}
