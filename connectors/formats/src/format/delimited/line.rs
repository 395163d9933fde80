//! Splits one line into fields, by the rules of commons-csv's default format.

use std::borrow::Cow;

/// An iterator over the fields of the first line that is not empty.
pub(super) struct Line<'a> {
    text: &'a str,
    delimiter: u8,
    at: usize,
    /// Whether another field follows, which is true at the start and after a delimiter.
    more: bool,
}

impl<'a> Line<'a> {
    pub(super) fn new(text: &'a str, delimiter: u8) -> Self {
        let text = text.trim_start_matches(['\r', '\n']);
        Self { text, delimiter, at: 0, more: !text.is_empty() }
    }

    /// The next field, `None` after the last one.
    pub(super) fn next(&mut self) -> Result<Option<Cow<'a, str>>, String> {
        if !self.more {
            return Ok(None);
        }
        if self.text.as_bytes().get(self.at) == Some(&b'"') {
            return self.quoted().map(Some);
        }
        let rest = &self.text.as_bytes()[self.at..];
        let len = memchr::memchr3(self.delimiter, b'\n', b'\r', rest).unwrap_or(rest.len());
        let field = &self.text[self.at..self.at + len];
        self.at += len;
        self.end_field();
        Ok(Some(Cow::Borrowed(field)))
    }

    /// Skips the end of a field.
    fn end_field(&mut self) {
        self.more = self.text.as_bytes().get(self.at) == Some(&self.delimiter);
        self.at += 1;
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, String> {
        let start = self.at + 1;
        let mut end = start;
        let mut doubled = false;
        loop {
            let quote = memchr::memchr(b'"', &self.text.as_bytes()[end..]);
            end += quote.ok_or_else(|| format!("the quote opened at byte {} is not closed", self.at))?;
            if self.text.as_bytes().get(end + 1) != Some(&b'"') {
                break;
            }
            doubled = true;
            end += 2;
        }
        self.at = end + 1;
        self.end_quoted()?;
        let field = &self.text[start..end];
        Ok(if doubled { Cow::Owned(field.replace("\"\"", "\"")) } else { Cow::Borrowed(field) })
    }

    /// Skips spaces between a closing quote and the end of the field; anything else is an error.
    fn end_quoted(&mut self) -> Result<(), String> {
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'\n' | b'\r' => break,
                byte if *byte == self.delimiter => break,
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => return Err(format!("text after a closing quote at byte {}", self.at)),
            }
        }
        self.end_field();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Result<Vec<String>, String> {
        let mut line = Line::new(text, b',');
        let mut fields = Vec::new();
        while let Some(field) = line.next()? {
            fields.push(field.into_owned());
        }
        Ok(fields)
    }

    #[test]
    fn fields_are_split_as_commons_csv_does() {
        for (text, expected) in [
            ("", vec![]),
            ("\n\r\n", vec![]),
            ("a", vec!["a"]),
            ("a,b", vec!["a", "b"]),
            ("a,", vec!["a", ""]),
            (",", vec!["", ""]),
            (" a , b ", vec![" a ", " b "]),
            ("\"a,b\",\"c\"\"d\"", vec!["a,b", "c\"d"]),
            ("\"\",x", vec!["", "x"]),
            ("\"a\" ,b", vec!["a", "b"]),
            ("\"a\nb\"", vec!["a\nb"]),
            ("a\"b\",c", vec!["a\"b\"", "c"]),
            ("\n\na,b\nc,d", vec!["a", "b"]),
            ("a,b\r\n", vec!["a", "b"]),
            ("\u{e9},\"\u{1f600}\"", vec!["\u{e9}", "\u{1f600}"]),
        ] {
            assert_eq!(fields(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn bad_quotes_are_refused() {
        assert_eq!(fields("a,\"b").unwrap_err(), "the quote opened at byte 2 is not closed");
        assert_eq!(fields("\"a\"b").unwrap_err(), "text after a closing quote at byte 3");
    }

    #[test]
    fn a_space_can_be_the_delimiter() {
        let mut line = Line::new("\"a\" b", b' ');
        assert_eq!(line.next().unwrap().as_deref(), Some("a"));
        assert_eq!(line.next().unwrap().as_deref(), Some("b"));
        assert_eq!(line.next().unwrap(), None);
    }
}
