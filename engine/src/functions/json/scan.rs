//! JSON as pieces of its text: what is not asked for is checked and passed over, never copied.

/// Arrays and objects within each other at most.
const NESTING_MAX: u32 = 512;

/// A value as a piece of a text that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

/// Why a text is not JSON.
pub type Fault = String;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag,
    /// A number without a point or an exponent.
    Integer,
    /// Another number.
    Number,
    /// A text.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl<'a> Json<'a> {
    /// The value that a text begins with; none when it is blank.
    pub fn parse(text: &'a str) -> Result<Option<Self>, Fault> {
        let mut scan = Scan { text, at: 0 };
        scan.space();
        if scan.peek().is_none() {
            return Ok(None);
        }
        scan.value(0).map(Some)
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

    /// Its text, as it was written.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Tells each element of an array.
    pub fn items(self, mut tell: impl FnMut(Json<'a>)) {
        let mut scan = Scan { text: self.0, at: 1 };
        while !scan.ends(b']') {
            match scan.value(0) {
                Ok(item) => tell(item),
                Err(_) => return,
            }
        }
    }

    /// Tells each member of an object; the name has its quotes.
    pub fn members(self, mut tell: impl FnMut(Json<'a>, Json<'a>)) {
        let mut scan = Scan { text: self.0, at: 1 };
        while !scan.ends(b'}') {
            let Ok(name) = scan.value(0) else { return };
            scan.space();
            scan.at += 1;
            match scan.value(0) {
                Ok(value) => tell(name, value),
                Err(_) => return,
            }
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
                    let _ = scan.string();
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

/// Appends what a text in quotes says. Halves of characters without the other become U+FFFD.
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
        out.extend(char::decode_utf16(units.drain(..)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        let (char, length) = match escape.and_then(|escape| escape.chars().next()) {
            Some(escaped) => (plain(escaped), 1 + escaped.len_utf8()),
            None => (char, char.len_utf8()),
        };
        out.push(char);
        rest = &rest[length..];
    }
    out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
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

    /// Within a checked array or object: whether it ends, the comma passed over otherwise.
    fn ends(&mut self, closing: u8) -> bool {
        self.space();
        if self.peek() == Some(b',') {
            self.at += 1;
        }
        self.space();
        self.peek().is_none_or(|byte| byte == closing)
    }

    fn fault<T>(&self) -> Result<T, Fault> {
        Err(match self.text[self.at..].chars().next() {
            Some(char) => format!("not JSON: '{char}' at byte {}", self.at + 1),
            None => "not JSON: it ends too early".to_owned(),
        })
    }

    fn value(&mut self, depth: u32) -> Result<Json<'a>, Fault> {
        self.space();
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => self.container(b'}', depth)?,
            Some(b'[') => self.container(b']', depth)?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return self.fault(),
        }
        Ok(Json(&self.text[start..self.at]))
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        let whole = self.text[self.at..].starts_with(word)
            && !self.text.as_bytes().get(self.at + word.len()).is_some_and(u8::is_ascii_alphanumeric);
        if !whole {
            return self.fault();
        }
        self.at += word.len();
        Ok(())
    }

    fn container(&mut self, closing: u8, depth: u32) -> Result<(), Fault> {
        if depth >= NESTING_MAX {
            return Err(format!("not JSON: more than {NESTING_MAX} values within each other"));
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(closing) {
            self.at += 1;
            return Ok(());
        }
        loop {
            if closing == b'}' {
                self.space();
                if self.peek() != Some(b'"') {
                    return self.fault();
                }
                self.string()?;
                self.space();
                if self.peek() != Some(b':') {
                    return self.fault();
                }
                self.at += 1;
            }
            self.value(depth + 1)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == closing => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.fault(),
            }
        }
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0..=0x1F) | None => return self.fault(),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'u') => {
                let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return self.fault();
                }
                self.at += 5;
            }
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            _ => return self.fault(),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        // 01 and 1a are no numbers.
        if self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric()) { self.fault() } else { Ok(()) }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { self.fault() } else { Ok(()) }
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
            (" [1 , 2.50, -0e+1 ] rest", "[1,2.50,-0e+1]"),
            (r#"{"a b" : {"c": null, "d": [ ]}, "e": true}"#, r#"{"a b":{"c":null,"d":[]},"e":true}"#),
            (r#""\u0041\ud834\udd1e\/\n""#, "\"A𝄞/\\n\""),
        ] {
            assert_eq!(written(text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["{", "[1,]", "{a:1}", "01", "1a", "nul", "nulll", "'a'", "\"a", "\"\\x\"", "-", "1.", "NaN", "]"] {
            assert!(written(text).is_err(), "{text}");
        }
        assert!(written(&"[".repeat(100_000)).is_err());
        assert_eq!(Json::parse(" \n"), Ok(None));
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
