//! JSON values as slices of their text: values that are not requested are skipped and never copied.
//!
//! The decoder of records decides what is valid JSON ([`first_json_value`]), so that texts and payloads follow the
//! same rules. This module only finds the parts of a text that has been checked.

use headwater_formats::format::{first_json_value, write_number_text};

/// The replacement for an unpaired surrogate, as in the decoder of records.
const LONE_SURROGATE: char = '?';

/// A value as a slice of a text that has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

/// The reason why a text is not JSON.
pub type Fault = String;

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag,
    /// A number without a decimal point or exponent.
    Integer,
    /// Any other number.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl<'a> Json<'a> {
    /// The value at the beginning of a text; none if the text is blank.
    pub fn parse(text: &'a str) -> Result<Option<Self>, Fault> {
        Ok(first_json_value(text)?.map(|place| Self(&text[place])))
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        match self.0.as_bytes()[0] {
            b'n' => Kind::Null,
            b't' | b'f' => Kind::Flag,
            b'"' => Kind::Text,
            b'[' => Kind::Array,
            b'{' => Kind::Object,
            _ if self.0.contains(['.', 'e', 'E']) => Kind::Number,
            _ => Kind::Integer,
        }
    }

    /// Its text, as written.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Calls a function for each element of an array.
    pub fn items(self, mut tell: impl FnMut(Json<'a>)) {
        let mut scan = Scan { text: self.0, at: 1 };
        while !scan.ends(b']') {
            tell(scan.value());
        }
    }

    /// Calls a function for each member of an object, whose name includes its quotes.
    pub fn members(self, mut tell: impl FnMut(Json<'a>, Json<'a>)) {
        let mut scan = Scan { text: self.0, at: 1 };
        while !scan.ends(b'}') {
            let name = scan.value();
            scan.space();
            // The colon.
            scan.at += 1;
            tell(name, scan.value());
        }
    }

    /// Appends a text without quotes and escapes, anything else as JSON.
    pub fn write_text(self, out: &mut String) {
        if self.kind() == Kind::Text { unescape(self.0, out) } else { self.write(out) }
    }

    /// Appends it as JSON without spaces.
    pub fn write(self, out: &mut String) {
        let mut scan = Scan { text: self.0, at: 0 };
        while let Some(byte) = scan.peek() {
            let start = scan.at;
            match byte {
                b'"' => {
                    scan.string();
                    let text = &self.0[start..scan.at];
                    if text.contains('\\') {
                        let mut plain = String::new();
                        unescape(text, &mut plain);
                        write_string(&plain, out);
                    } else {
                        out.push_str(text);
                    }
                }
                b' ' | b'\t' | b'\n' | b'\r' => scan.at += 1,
                b'-' | b'0'..=b'9' => {
                    let rest = &self.0[start..];
                    let in_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
                    let number = &rest[..rest.find(|c| !in_number(c)).unwrap_or(rest.len())];
                    scan.at += number.len();
                    match number.contains(['.', 'e', 'E']) {
                        true => write_number_text(number, out),
                        false => out.push_str(number),
                    }
                }
                _ => {
                    scan.at += 1;
                    out.push_str(&self.0[start..scan.at]);
                }
            }
        }
    }
}

/// Appends a text with quotes and escapes, as Jackson does.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends the decoded contents of a quoted string.
fn unescape(quoted: &str, out: &mut String) {
    let inner = &quoted[1..quoted.len() - 1];
    if !inner.contains('\\') {
        out.push_str(inner);
        return;
    }
    let mut units: Vec<u16> = Vec::new();
    let mut rest = inner;
    while let Some(char) = rest.chars().next() {
        let escape = rest.strip_prefix('\\');
        if let Some(digits) = escape.and_then(|escape| escape.strip_prefix('u')).and_then(|digits| digits.get(..4)) {
            units.push(u16::from_str_radix(digits, 16).unwrap_or(0xFFFD));
            rest = &rest[6..];
            continue;
        }
        out.extend(char::decode_utf16(units.drain(..)).map(|c| c.unwrap_or(LONE_SURROGATE)));
        let (char, length) = match escape.and_then(|escape| escape.chars().next()) {
            Some(escaped) => (plain(escaped), 1 + escaped.len_utf8()),
            None => (char, char.len_utf8()),
        };
        out.push(char);
        rest = &rest[length..];
    }
    out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(LONE_SURROGATE)));
}

fn plain(escaped: char) -> char {
    match escaped {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        other => other,
    }
}

/// A cursor over a text that has been checked.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// In an array or object: returns whether it ends, and skips the comma otherwise.
    fn ends(&mut self, closing: u8) -> bool {
        self.space();
        if self.peek() == Some(b',') {
            self.at += 1;
        }
        self.space();
        self.peek().is_none_or(|byte| byte == closing)
    }

    /// Skips a value and the whitespace before it.
    fn value(&mut self) -> Json<'a> {
        self.space();
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                _ if depth > 0 => self.at += 1,
                _ => self.word(),
            }
            if depth == 0 {
                break;
            }
        }
        Json(&self.text[start..self.at])
    }

    /// Skips a string; the cursor is at its opening quote.
    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }

    /// Skips a number or a word.
    fn word(&mut self) {
        while self.peek().is_some_and(|byte| !matches!(byte, b',' | b':' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'))
        {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<String, Fault> {
        let mut out = String::new();
        Json::parse(text)?.expect("not blank").write(&mut out);
        Ok(out)
    }

    #[test]
    fn what_is_json_is_written_without_spaces() {
        for (text, expected) in [
            (" [1 , 2.50, -0e+1 ] rest", "[1,2.50,0E+1]"),
            (r#"{"a b" : {"c": null, "d": [ ]}, "e": true}"#, r#"{"a b":{"c":null,"d":[]},"e":true}"#),
            (r#""\u0041\ud834\udd1e\/\n""#, "\"A𝄞/\\n\""),
            (r#"["\ud83d", "\ude00x\ud83d\ud83d\ude00"]"#, "[\"?\",\"?x?\u{1f600}\"]"),
            ("[1]]", "[1]"),
            ("null, 1", "null"),
        ] {
            assert_eq!(written(text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "{",
            "[1,]",
            "{a:1}",
            "01",
            "1a",
            "1,2",
            "nul",
            "nulll",
            "'a'",
            "\"a",
            "\"\\x\"",
            "-",
            "1.",
            "NaN",
            "]",
            "1e2147483648",
            "\u{feff}{}",
            "\"\t\"",
        ] {
            assert!(written(text).is_err(), "{text}");
        }
        assert!(written(&"[".repeat(100_000)).is_err());
        assert!(written(&("[".repeat(1001) + &"]".repeat(1001))).is_err());
        assert_eq!(Json::parse(" \n"), Ok(None));
    }

    #[test]
    fn nesting_to_the_limit_is_walked_without_recursion() {
        let deep = "[".repeat(999) + "7" + &"]".repeat(999);
        let text = format!("{{\"a]\\\"\": {deep}, \"b\": 1}}");
        let json = Json::parse(&text).expect("json").expect("a value");
        let mut values = Vec::new();
        json.members(|_, value| values.push(value.raw()));
        assert_eq!(values, [deep.as_str(), "1"]);
        assert_eq!(written(&text), Ok(text.replace(": ", ":").replace(", ", ",")));
    }

    #[test]
    fn members_and_items_are_told_in_order() {
        let mut seen = Vec::new();
        let json = Json::parse(r#"{ "a" : [1, [2]] , "b":{} }"#).expect("json").expect("a value");
        json.members(|name, value| {
            seen.push((name.raw(), value.raw()));
            if value.kind() == Kind::Array {
                value.items(|item| seen.push(("", item.raw())));
            }
        });
        assert_eq!(seen, [("\"a\"", "[1, [2]]"), ("", "1"), ("", "[2]"), ("\"b\"", "{}")]);
    }
}
