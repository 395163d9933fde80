//! LIKE: `%` matches any characters within a line, `_` matches one. Nothing escapes them unless ESCAPE names a
//! character.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::SqlType;
use memchr::memchr2;
use memchr::memmem::Finder;

use super::kernel;
use super::kind::Kind;
use super::refusal::{refusal, refuse};
use super::text::text;

/// The function that LIKE is planned as: a call with the string, the pattern and, if given, the escape character.
pub const LIKE: &str = "headwater_like";

/// LIKE as a function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct LikeCall {
    signature: Signature,
}

impl Default for LikeCall {
    fn default() -> Self {
        let signature = Signature::one_of(vec![TypeSignature::Any(2), TypeSignature::Any(3)], Volatility::Immutable);
        Self { signature }
    }
}

impl ScalarUDFImpl for LikeCall {
    fn name(&self) -> &'static str {
        LIKE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = match &args.args[1] {
            ColumnarValue::Scalar(pattern) => Some(pattern.try_as_str().flatten().map(str::to_owned)),
            ColumnarValue::Array(_) => None,
        };
        let escape = match args.args.get(2) {
            Some(ColumnarValue::Scalar(escape)) => escape.try_as_str().flatten().and_then(|text| text.chars().next()),
            _ => None,
        };
        kernel::evaluate(&args, |arrays| {
            let texts = cast(&arrays[0], &DataType::Utf8)?;
            match constant {
                Some(pattern) => all_like(texts.as_string(), pattern.as_deref(), escape),
                None => each_like(texts.as_string(), cast(&arrays[1], &DataType::Utf8)?.as_string(), escape),
            }
        })
    }
}

/// Lowers a planned LIKE, which is two-valued. Rejects operands that are not strings.
pub(super) fn lower(args: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
    let is_text = |expr: &Expr| {
        Ok::<_, datafusion::error::DataFusionError>(matches!(
            Kind::of(expr, schema)?,
            Kind::Null | Kind::Of(SqlType::String)
        ))
    };
    if !(is_text(&args[0])? && is_text(&args[1])?) {
        let kinds = (Kind::of(&args[0], schema)?.name(), Kind::of(&args[1], schema)?.name());
        let message = format!(
            "LIKE takes two STRINGs, not {} ({}) and {} ({})",
            kinds.0,
            text(&args[0]),
            kinds.1,
            text(&args[1])
        );
        let hint = format!("Convert it: CAST({} AS STRING).", text(&args[0]));
        return Err(refusal(Diagnostic::new(PLAN, message).hint(hint), &args[..2]));
    }
    let escape = match args.get(2) {
        Some(Expr::Literal(ScalarValue::Utf8(Some(escape)), _)) => Some(escape.as_str()),
        _ => None,
    };
    if escape.is_some_and(|escape| escape.chars().count() != 1) {
        let message = format!("ESCAPE takes one character, not '{}'", escape.unwrap_or_default());
        return Err(refuse(message, &args[..1]));
    }
    if let Expr::Literal(ScalarValue::Utf8(Some(pattern)), _) = &args[1] {
        let pattern = Pattern::read(pattern, escape.and_then(|escape| escape.chars().next()));
        pattern.map_err(|why| refuse(why, &args[..1]))?;
    }
    Ok(Expr::IsTrue(Box::new(ScalarUDF::from(LikeCall::default()).call(args))))
}

fn all_like(texts: &StringArray, pattern: Option<&str>, escape: Option<char>) -> Result<ArrayRef> {
    let Some(pattern) = pattern else { return Ok(Arc::new(BooleanArray::new_null(texts.len()))) };
    let pattern = Pattern::read(pattern, escape).map_err(|why| exec_datafusion_err!("{why}"))?;
    let mut chars = Vec::new();
    if let Some(needle) = pattern.parts.as_ref().and_then(Parts::alone) {
        let mut found = BooleanBufferBuilder::new(texts.len());
        found.append_n(texts.len(), false);
        each_with(texts, needle, |row| found.set_bit(row, pattern.matches_within_lines(texts.value(row), &mut chars)));
        return Ok(Arc::new(BooleanArray::new(found.finish(), texts.nulls().cloned())));
    }
    Ok(Arc::new(texts.iter().map(|text| text.map(|text| pattern.matches(text, &mut chars))).collect::<BooleanArray>()))
}

/// Calls `found` with each row that contains the needle. All strings are searched at once: they are contiguous in
/// memory.
fn each_with(texts: &StringArray, needle: &Finder<'_>, mut found: impl FnMut(usize)) {
    let (ends, all) = (texts.value_offsets(), texts.value_data());
    let end_of = |row: usize| ends[row + 1].unsigned_abs() as usize;
    let (mut at, mut row) = (ends[0].unsigned_abs() as usize, 0);
    while row < texts.len()
        && let Some(next) = needle.find(&all[at..end_of(texts.len() - 1)])
    {
        let start = at + next;
        while end_of(row) <= start {
            row += 1;
        }
        // Otherwise the match starts in one string and ends in another.
        let is_within = start + needle.needle().len() <= end_of(row);
        at = if is_within { end_of(row) } else { start + 1 };
        if is_within && texts.is_valid(row) {
            found(row);
        }
    }
}

fn each_like(texts: &StringArray, patterns: &StringArray, escape: Option<char>) -> Result<ArrayRef> {
    let mut chars = Vec::new();
    let matches = texts.iter().zip(patterns).map(|(text, pattern)| {
        let (Some(text), Some(pattern)) = (text, pattern) else { return Ok(None) };
        let pattern = Pattern::read(pattern, escape).map_err(|why| exec_datafusion_err!("{why}"))?;
        Ok(Some(pattern.matches(text, &mut chars)))
    });
    Ok(Arc::new(matches.collect::<Result<BooleanArray>>()?))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Piece {
    This(char),
    One,
    Any,
}

/// A parsed pattern.
struct Pattern {
    pieces: Vec<Piece>,
    /// The text between the `%` wildcards, if the pattern has no `_`, which is the usual case.
    parts: Option<Parts>,
}

impl Pattern {
    fn read(pattern: &str, escape: Option<char>) -> Result<Self, String> {
        let mut pieces = Vec::with_capacity(pattern.len());
        let mut chars = pattern.chars();
        while let Some(char) = chars.next() {
            pieces.push(match char {
                char if Some(char) == escape => match chars.next() {
                    Some(escaped) => Piece::This(escaped),
                    None => return Err(format!("the pattern '{pattern}' ends with its escape character '{char}'")),
                },
                '%' => Piece::Any,
                '_' => Piece::One,
                char => Piece::This(char),
            });
        }
        Ok(Self { parts: Parts::of(&pieces), pieces })
    }

    /// Whether all of `text` matches the pattern. `chars` is a reusable buffer.
    fn matches(&self, text: &str, chars: &mut Vec<char>) -> bool {
        // That `%` stops at the end of a line can only reduce the matches.
        match self.parts.as_ref().map(|parts| parts.matches(text)) {
            Some(false) => false,
            Some(true) => self.matches_within_lines(text, chars),
            None => self.matches_text(text, chars),
        }
    }

    /// Whether a string matches, given that all texts between the `%` wildcards were found in it.
    fn matches_within_lines(&self, text: &str, chars: &mut Vec<char>) -> bool {
        !has_line_end(text) || self.matches_text(text, chars)
    }

    fn matches_text(&self, text: &str, chars: &mut Vec<char>) -> bool {
        chars.clear();
        chars.extend(text.chars());
        self.matches_chars(chars)
    }

    /// Backtracks only to the last `%`: whatever an earlier one could match more, the last one can match, too.
    fn matches_chars(&self, text: &[char]) -> bool {
        let (mut at, mut piece) = (0, 0);
        let mut last_any: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.pieces.get(piece) {
                Some(Piece::Any) => {
                    last_any = Some((piece, at));
                    piece += 1;
                    continue;
                }
                Some(Piece::One) if !ends_line(text[at]) => {}
                Some(Piece::This(char)) if *char == text[at] => {}
                _ => match last_any {
                    Some((any, taken)) if !ends_line(text[taken]) => {
                        last_any = Some((any, taken + 1));
                        (at, piece) = (taken + 1, any + 1);
                        continue;
                    }
                    _ => return false,
                },
            }
            at += 1;
            piece += 1;
        }
        self.pieces[piece.min(self.pieces.len())..].iter().all(|piece| *piece == Piece::Any)
    }
}

/// The texts between the `%` wildcards of a pattern.
struct Parts {
    first: String,
    /// The texts between two `%`.
    inner: Vec<Finder<'static>>,
    /// The text after the last `%`; `None` if the pattern has no `%`.
    last: Option<String>,
}

impl Parts {
    fn of(pieces: &[Piece]) -> Option<Self> {
        let this = |piece: &Piece| if let Piece::This(char) = piece { Some(*char) } else { None };
        let texts = pieces.split(|piece| *piece == Piece::Any).map(|part| part.iter().map(this).collect());
        let mut texts: VecDeque<String> = texts.collect::<Option<_>>()?;
        let (first, last) = (texts.pop_front()?, texts.pop_back());
        let inner = texts.iter().filter(|text| !text.is_empty()).map(|text| Finder::new(text).into_owned()).collect();
        Some(Self { first, inner, last })
    }

    /// The only text of a pattern of the form `%text%`.
    fn alone(&self) -> Option<&Finder<'static>> {
        match (self.first.as_str(), self.last.as_deref(), self.inner.as_slice()) {
            ("", Some(""), [finder]) => Some(finder),
            _ => None,
        }
    }

    /// Whether a string matches if `%` does not stop at the end of a line.
    fn matches(&self, text: &str) -> bool {
        let Some(last) = &self.last else { return text == self.first };
        let Some(mut rest) = text.strip_prefix(self.first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()))
        else {
            return false;
        };
        self.inner.iter().all(|finder| match finder.find(rest.as_bytes()) {
            Some(at) => {
                rest = &rest[at + finder.needle().len()..];
                true
            }
            None => false,
        })
    }
}

fn has_line_end(text: &str) -> bool {
    memchr2(b'\n', b'\r', text.as_bytes()).is_some() || !text.is_ascii() && text.contains(ends_line)
}

/// The characters that `.` does not match in Java.
fn ends_line(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts_within_a_line() {
        for (text, pattern, escape, expected) in [
            ("foo", "foo", None, true),
            ("foo", "f_o", None, true),
            ("foobar", "%oba%", None, true),
            ("foobar", "foo", None, false),
            ("foobar", "%", None, true),
            ("", "%", None, true),
            ("", "_", None, false),
            ("aXbXc", "a%X_", None, true),
            ("abcabd", "%abd", None, true),
            ("a%b", "a\\%b", None, false),
            ("a\\zb", "a\\%b", None, true),
            ("a%b", "a!%b", Some('!'), true),
            ("azb", "a!%b", Some('!'), false),
            ("a!b", "a!!b", Some('!'), true),
            ("a\nb", "a%b", None, false),
            ("a\nb", "a_b", None, false),
            ("a\nb", "%a%", None, false),
            ("a\nb", "a\n%", None, true),
            ("Käse", "K_se", None, true),
            ("abab", "ab%ab", None, true),
            ("aba", "ab%ba", None, false),
            ("abcab", "a%b%b", None, true),
            ("abcab", "a%c%c%", None, false),
            ("ab", "", None, false),
            ("", "", None, true),
            ("a\nb", "a\nb", None, true),
            ("a\u{2028}b", "a%", None, false),
            ("ß%ü", "ß!%%", Some('!'), true),
            ("a.b", "a.b", None, true),
            ("axb", "a.b", None, false),
        ] {
            let found = Pattern::read(pattern, escape).expect("a pattern").matches(text, &mut Vec::new());
            assert_eq!(found, expected, "{text:?} LIKE {pattern:?} ESCAPE {escape:?}");
        }
        assert!(Pattern::read("a!", Some('!')).is_err());
    }

    #[test]
    fn texts_are_searched_one_by_one_although_they_lie_together() {
        let texts = [Some("ab"), None, Some(""), Some("xaby"), Some("a"), Some("b"), Some("abab"), Some("ab\n")];
        let texts: StringArray = texts.into_iter().collect();
        let found = all_like(&texts, Some("%ab%"), None).expect("a pattern");
        let wanted = [Some(true), None, Some(false), Some(true), Some(false), Some(false), Some(true), Some(false)];
        assert_eq!(found.as_boolean(), &wanted.into_iter().collect::<BooleanArray>());
        let found = all_like(&texts.slice(4, 3), Some("%ab%"), None).expect("a pattern");
        assert_eq!(found.as_boolean(), &BooleanArray::from(vec![false, false, true]));
    }
}
