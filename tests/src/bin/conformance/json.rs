//! JSON with literal numbers: `1.10` stays `1.10`, and members keep their order.
//!
//! It is a separate module because serde_json converts numbers to binary unless a feature is enabled that would affect
//! the whole program.

use std::fmt::{self, Write as _};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number as it was written.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object: its members in order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses one value and nothing after it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value()?;
        reader.blank();
        if reader.at == text.len() { Ok(value) } else { Err(reader.fault("the end")) }
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The elements of an array; empty for anything else.
    pub fn items(&self) -> &[Self] {
        if let Self::Array(items) = self { items } else { &[] }
    }

    /// The value of a string.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The value of an integer.
    pub fn integer(&self) -> Option<i64> {
        if let Self::Number(text) = self { text.parse().ok() } else { None }
    }

    /// The same value with every string changed, including the names of members.
    pub fn map_text(&self, change: &impl Fn(&str) -> String) -> Self {
        match self {
            Self::Text(text) => Self::Text(change(text)),
            Self::Array(items) => Self::Array(items.iter().map(|item| item.map_text(change)).collect()),
            Self::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (change(name), value.map_text(change))).collect())
            }
            other => other.clone(),
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => write_text(text, f),
            Self::Array(items) => {
                f.write_char('[')?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if at > 0 { "," } else { "" })?;
                }
                f.write_char(']')
            }
            Self::Object(members) => {
                f.write_char('{')?;
                for (at, (name, value)) in members.iter().enumerate() {
                    f.write_str(if at > 0 { "," } else { "" })?;
                    write_text(name, f)?;
                    write!(f, ":{value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

fn write_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let quoted = serde_json::to_string(text).map_err(|_| fmt::Error)?;
    f.write_str(&quoted)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn fault(&self, expected: &str) -> String {
        format!("byte {}: expected {expected}", self.at)
    }

    fn blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        self.blank();
        if self.take(word) { Ok(()) } else { Err(self.fault(word)) }
    }

    fn value(&mut self) -> Result<Json, String> {
        self.blank();
        match self.rest().bytes().next() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(Json::Text),
            _ if self.take("null") => Ok(Json::Null),
            _ if self.take("true") => Ok(Json::Bool(true)),
            _ if self.take("false") => Ok(Json::Bool(false)),
            _ => self.number(),
        }
    }

    fn object(&mut self) -> Result<Json, String> {
        self.expect("{")?;
        let mut members = Vec::new();
        self.blank();
        if self.take("}") {
            return Ok(Json::Object(members));
        }
        loop {
            self.blank();
            let name = self.string()?;
            self.expect(":")?;
            members.push((name, self.value()?));
            self.blank();
            if !self.take(",") {
                break;
            }
        }
        self.expect("}")?;
        Ok(Json::Object(members))
    }

    fn array(&mut self) -> Result<Json, String> {
        self.expect("[")?;
        let mut items = Vec::new();
        self.blank();
        if self.take("]") {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.blank();
            if !self.take(",") {
                break;
            }
        }
        self.expect("]")?;
        Ok(Json::Array(items))
    }

    /// Only the end of a string is found here; serde_json handles its escapes.
    fn string(&mut self) -> Result<String, String> {
        let mut escaped = false;
        let close = self.rest().char_indices().skip(1).find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        let Some((close, _)) = close.filter(|_| self.rest().starts_with('"')) else {
            return Err(self.fault("a string"));
        };
        let quoted = &self.rest()[..=close];
        // The strings of a record that a query wrote may contain control characters.
        let text = serde_json::from_str(quoted).map_err(|e| format!("byte {}: {e}", self.at))?;
        self.at += close + 1;
        Ok(text)
    }

    fn number(&mut self) -> Result<Json, String> {
        let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let length = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        let text = self.rest()[..length].to_owned();
        if text.parse::<f64>().is_err() {
            return Err(self.fault("a value"));
        }
        self.at += length;
        Ok(Json::Number(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_literally() {
        let text = r#"{"a":[1.10,-2E+3,true,null],"b":"x\"\n","c":{}}"#;
        assert_eq!(Json::parse(text).expect("good").to_string(), text);
        assert_eq!(Json::parse(r#"[1, "é\u00e9"]"#).expect("good").items()[1].text(), Some("éé"));
    }

    #[test]
    fn invalid_json_is_an_error() {
        for text in ["", "{", "[1,]", "{\"a\"}", "nul", "1 2", "\"abc", "-"] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
    }
}
