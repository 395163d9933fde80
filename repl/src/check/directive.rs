//! The directives of test files: topics, raw records, schemas and scripts. A directive begins with `\`, unlike any statement,
//! and ends with `;`. This file only parses them; [`super::stage`] carries them out.
//!
//! ```text
//! \topic orders partitions 2;
//! \produce orders
//!   key 'k1' value '{"id": 1}' timestamp 1000 headers (source = 'web', empty = null),
//!   key x'0001' value null partition 1;
//! \schema 'orders-value' AVRO '{"type": "record", "name": "Order", "fields": []}';
//! \run 'service.sql';
//! ```

use headwater_engine::diagnostic::{Diagnostic, LITERAL, SYNTAX, Span};
use headwater_formats::schema::SchemaKind;

use crate::lexeme::{Kind, Lexeme, content_start, lexemes};

/// A directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Directive {
    /// Creates a topic before anything is declared over it.
    Topic { name: Spanned<String>, partitions: Spanned<i32> },
    /// Writes records as another client would.
    Produce { topic: Spanned<String>, records: Vec<Record> },
    /// Registers a schema as another client would.
    Schema { subject: String, kind: SchemaKind, text: String },
    /// Runs the statements of a file, one after another.
    Run(String),
}

/// A value with its position in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

/// A record; parts that are missing or null are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp_ms: Option<i64>,
    pub partition: Option<Spanned<i32>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

const HINT: &str = "The directives are \\topic NAME [partitions N]; \\produce TOPIC record, …; \\schema SUBJECT KIND 'TEXT'; and \
                    \\run 'FILE';";
const RECORD: &str = "key, value, timestamp, partition or headers";

/// Parses a statement as a directive; `None` if it is SQL.
pub(super) fn parse(text: &str) -> Option<Result<Directive, Diagnostic>> {
    let start = content_start(text);
    text[start..].starts_with('\\').then(|| Parser::new(text, start + 1).directive())
}

/// A parser for the words, strings and symbols of a directive.
struct Parser<'a> {
    text: &'a str,
    lexemes: Vec<Lexeme>,
    at: usize,
}

type Parsed<T> = Result<T, Diagnostic>;

impl<'a> Parser<'a> {
    fn new(text: &'a str, start: usize) -> Self {
        let is_said = |lexeme: &Lexeme| !matches!(lexeme.kind, Kind::Space | Kind::Comment);
        let shift = |lexeme: Lexeme| Lexeme { range: lexeme.range.start + start..lexeme.range.end + start, ..lexeme };
        Self { text, lexemes: lexemes(&text[start..]).into_iter().filter(is_said).map(shift).collect(), at: 0 }
    }

    fn directive(mut self) -> Parsed<Directive> {
        let directive = if self.takes("topic") {
            let name = self.name("a topic name")?;
            let one = Spanned { value: 1, span: name.span };
            let partitions = if self.takes("partitions") { self.number("a number of partitions")? } else { one };
            Directive::Topic { name, partitions }
        } else if self.takes("produce") {
            let topic = self.name("a topic name")?;
            let mut records = vec![self.record()?];
            while self.takes(",") {
                records.push(self.record()?);
            }
            Directive::Produce { topic, records }
        } else if self.takes("schema") {
            let subject = self.name("a subject")?.value;
            let kind = self.kind()?;
            Directive::Schema { subject, kind, text: self.name("the text of a schema")?.value }
        } else if self.takes("run") {
            Directive::Run(self.name("a quoted file name")?.value)
        } else {
            return Err(self.unexpected("a directive").hint(HINT));
        };
        self.takes(";");
        if self.at < self.lexemes.len() { Err(self.unexpected("\";\"")) } else { Ok(directive) }
    }

    /// The language of a schema, as a registry names it.
    fn kind(&mut self) -> Parsed<SchemaKind> {
        let found = SchemaKind::ALL.into_iter().find(|kind| self.takes(&kind.to_string()));
        found.ok_or_else(|| self.unexpected("AVRO, PROTOBUF or JSON"))
    }

    fn record(&mut self) -> Parsed<Record> {
        let mut record = Record::default();
        let start = self.at;
        let mut has_value = false;
        loop {
            if self.takes("key") {
                record.key = self.bytes()?;
            } else if self.takes("value") {
                record.value = self.bytes()?;
                has_value = true;
            } else if self.takes("timestamp") {
                record.timestamp_ms = Some(self.number("milliseconds since 1970")?.value);
            } else if self.takes("partition") {
                record.partition = Some(self.number("a partition number")?);
            } else if self.takes("headers") {
                record.headers = self.headers()?;
            } else if self.at == start {
                return Err(self.unexpected(RECORD));
            } else {
                break;
            }
        }
        if !has_value {
            let error = Diagnostic::new(SYNTAX, "a record needs a value").at(self.span_from(start));
            return Err(error.hint("Write value null for a tombstone."));
        }
        Ok(record)
    }

    fn headers(&mut self) -> Parsed<Vec<(String, Option<Vec<u8>>)>> {
        let mut headers = Vec::new();
        self.expect("(")?;
        loop {
            let name = self.name("a header name")?.value;
            self.expect("=")?;
            headers.push((name, self.bytes()?));
            if !self.takes(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(headers)
    }

    /// `'text'`, `x'hex'` or `null`.
    fn bytes(&mut self) -> Parsed<Option<Vec<u8>>> {
        if self.takes("null") {
            return Ok(None);
        }
        let is_hex = self.takes("x");
        let Some(text) = self.quoted(&[Kind::Text])? else {
            return Err(self.unexpected("a string in single quotes, x'hex' or null"));
        };
        if !is_hex {
            return Ok(Some(text.value.into_bytes()));
        }
        let wrong = || {
            Diagnostic::new(LITERAL, "invalid hexadecimal string: two digits are needed for each byte").at(text.span)
        };
        unhex(&text.value).map(Some).ok_or_else(wrong)
    }

    /// A word, or anything in quotes. Case is preserved.
    fn name(&mut self, what: &str) -> Parsed<Spanned<String>> {
        if let Some(quoted) = self.quoted(&[Kind::Text, Kind::QuotedName])? {
            return Ok(quoted);
        }
        match self.lexemes.get(self.at).filter(|lexeme| lexeme.kind == Kind::Word) {
            Some(word) => {
                let value = self.text[word.range.clone()].to_owned();
                let span = Span { start: word.range.start, end: word.range.end };
                self.at += 1;
                Ok(Spanned { value, span })
            }
            None => Err(self.unexpected(what)),
        }
    }

    fn quoted(&mut self, kinds: &[Kind]) -> Parsed<Option<Spanned<String>>> {
        let Some(lexeme) = self.lexemes.get(self.at).filter(|lexeme| kinds.contains(&lexeme.kind)) else {
            return Ok(None);
        };
        let span = Span { start: lexeme.range.start, end: lexeme.range.end };
        let text = &self.text[lexeme.range.clone()];
        if !lexeme.closed {
            return Err(Diagnostic::new(SYNTAX, "unterminated quoted string").at(span));
        }
        let quote = &text[..1];
        self.at += 1;
        Ok(Some(Spanned { value: text[1..text.len() - 1].replace(&quote.repeat(2), quote), span }))
    }

    /// A non-negative integer.
    fn number<N: std::str::FromStr>(&mut self, what: &str) -> Parsed<Spanned<N>> {
        let found = self.lexemes.get(self.at).filter(|lexeme| lexeme.kind == Kind::Number);
        let read = found.and_then(|lexeme| Some((lexeme.range.clone(), self.text[lexeme.range.clone()].parse().ok()?)));
        let Some((range, value)) = read else { return Err(self.unexpected(what)) };
        self.at += 1;
        Ok(Spanned { value, span: Span { start: range.start, end: range.end } })
    }

    /// Consumes a word, in any case, or a symbol, if it is next.
    fn takes(&mut self, word: &str) -> bool {
        let next = self.lexemes.get(self.at).filter(|lexeme| matches!(lexeme.kind, Kind::Word | Kind::Sign));
        let is_next = next.is_some_and(|lexeme| self.text[lexeme.range.clone()].eq_ignore_ascii_case(word));
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(&format!("\"{sign}\""))) }
    }

    fn unexpected(&self, expected: &str) -> Diagnostic {
        let end = self.text.trim_end().len();
        let (found, span) = match self.lexemes.get(self.at) {
            Some(it) => (
                format!("found \"{}\"", &self.text[it.range.clone()]),
                Span { start: it.range.start, end: it.range.end },
            ),
            None => ("found the end of the directive".to_owned(), Span { start: end, end }),
        };
        Diagnostic::new(SYNTAX, format!("expected {expected}, {found}")).at(span)
    }

    fn span_from(&self, first: usize) -> Span {
        let start = self.lexemes[first].range.start;
        Span { start, end: self.lexemes[self.at - 1].range.end }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (String, String) {
        let error = parse(text).unwrap().unwrap_err();
        let span = error.span.unwrap();
        (error.message, text[span.start..span.end].to_owned())
    }

    #[test]
    fn records_with_all_their_parts() {
        let text = "-- why\n\\produce 'my topic'\n  KEY 'it''s' value '{\"a\": 1;}' timestamp 1000 partition 2\n  \
                    headers (a = 'b', 'c d' = x'00fF', e = null),\n value null;\n";
        let Some(Ok(Directive::Produce { topic, records })) = parse(text) else { panic!("it is read") };
        assert_eq!(topic.value, "my topic");
        assert_eq!(records[1], Record::default());
        let first = &records[0];
        assert_eq!(first.key.as_deref(), Some("it's".as_bytes()));
        assert_eq!(first.value.as_deref(), Some("{\"a\": 1;}".as_bytes()));
        assert_eq!((first.timestamp_ms, first.partition.as_ref().unwrap().value), (Some(1000), 2));
        let header = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
        assert_eq!(first.headers, [header("a", Some(b"b")), header("c d", Some(&[0, 255])), header("e", None)]);
    }

    #[test]
    fn topics_schemas_and_scripts() {
        for (text, wanted) in [("\\topic Orders;", ("Orders", 1)), (" \\TOPIC \"a.b\" partitions 3", ("a.b", 3))] {
            let Some(Ok(Directive::Topic { name, partitions })) = parse(text) else { panic!("{text}") };
            assert_eq!((name.value.as_str(), partitions.value), wanted);
        }
        assert_eq!(parse("\\run 'service.sql';"), Some(Ok(Directive::Run("service.sql".to_owned()))));
        let Some(Ok(Directive::Schema { subject, kind, text })) = parse("\\schema 'a-value' Avro '\"int\"';") else {
            panic!("it is read")
        };
        assert_eq!((subject.as_str(), kind, text.as_str()), ("a-value", SchemaKind::Avro, "\"int\""));
        assert_eq!(parse("SELECT '\\topic';"), None);
    }

    #[test]
    fn errors_have_the_right_span() {
        for (text, message, wrong) in [
            ("\\produse s value 'x';", "expected a directive, found \"produse\"", "produse"),
            ("\\produce s;", "expected key, value, timestamp, partition or headers, found \";\"", ";"),
            ("\\produce s key 'a' timestamp 1;", "a record needs a value", "key 'a' timestamp 1"),
            ("\\produce s value x'0g';", "invalid hexadecimal string: two digits are needed for each byte", "'0g'"),
            ("\\produce s value 1;", "expected a string in single quotes, x'hex' or null, found \"1\"", "1"),
            (
                "\\produce s value 'a' value",
                "expected a string in single quotes, x'hex' or null, found the end of the directive",
                "",
            ),
            ("\\produce s value 'a", "unterminated quoted string", "'a"),
            ("\\produce s value 'a' timestamp -1;", "expected milliseconds since 1970, found \"-\"", "-"),
            ("\\produce s value 'a' headers (b 'c');", "expected \"=\", found \"'c'\"", "'c'"),
            ("\\topic s partitions 1 2;", "expected \";\", found \"2\"", "2"),
            ("\\schema s XML '';", "expected AVRO, PROTOBUF or JSON, found \"XML\"", "XML"),
            ("\\", "expected a directive, found the end of the directive", ""),
        ] {
            assert_eq!(refused(text), (message.to_owned(), wrong.to_owned()), "{text}");
        }
    }
}
