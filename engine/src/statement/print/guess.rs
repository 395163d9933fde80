//! Guesses the format of a topic's payloads, and refines the guess with every record.

use std::fmt::Write;

use headwater_formats::format::FormatKind;

/// Formats that a payload may have, most specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PayloadFormat {
    /// One with registered schemas.
    Registered(FormatKind),
    Json,
    String,
    Int,
    BigInt,
    Double,
    Bytes,
}

/// The formats that fit every payload so far.
#[derive(Debug, Default)]
pub struct Guess {
    fitting: Option<Vec<PayloadFormat>>,
    /// Whether any payload was text.
    has_text: bool,
    reported: Option<String>,
}

impl Guess {
    /// Refines the guess with a payload, which is known to be `registered` if its schema was found. Returns the guess if it has
    /// changed.
    pub fn learn(&mut self, payload: Option<&[u8]>, registered: Option<FormatKind>) -> Option<String> {
        if let Some(payload) = payload {
            let fits = match registered {
                Some(format) => vec![PayloadFormat::Registered(format)],
                None => formats(payload),
            };
            self.has_text |= fits.contains(&PayloadFormat::String);
            let fitting = match self.fitting.take() {
                None => fits,
                Some(before) => before.into_iter().filter(|k| fits.contains(k)).collect(),
            };
            self.fitting = Some(fitting);
        }
        let now = self.describe();
        (self.reported.as_ref() != Some(&now)).then(|| self.reported.insert(now).clone())
    }

    /// The payload in the best format. If no format fits all payloads, as text if it is text, and in hexadecimal otherwise.
    pub fn show(&self, payload: Option<&[u8]>) -> String {
        let Some(payload) = payload else { return "<null>".to_owned() };
        let best = self.fitting.as_ref().and_then(|f| f.first()).copied();
        match best {
            None | Some(PayloadFormat::Bytes) if formats(payload).contains(&PayloadFormat::String) => {
                show(PayloadFormat::String, payload)
            }
            best => show(best.unwrap_or(PayloadFormat::Bytes), payload),
        }
    }

    fn describe(&self) -> String {
        match self.fitting.as_deref() {
            None => "¯\\_(ツ)_/¯ - no data processed".to_owned(),
            Some([]) => "MIXED".to_owned(),
            Some([PayloadFormat::Bytes]) if self.has_text => "MIXED".to_owned(),
            Some(formats) => formats
                .iter()
                .filter(|k| **k != PayloadFormat::Bytes || formats.len() == 1)
                .map(|k| name(*k))
                .collect::<Vec<_>>()
                .join(" or "),
        }
    }
}

fn name(format: PayloadFormat) -> String {
    let name = match format {
        PayloadFormat::Registered(format) => return format.to_string(),
        PayloadFormat::Json => "JSON",
        PayloadFormat::String => "KAFKA_STRING",
        PayloadFormat::Int => "KAFKA_INT",
        PayloadFormat::BigInt => "KAFKA_BIGINT",
        PayloadFormat::Double => "KAFKA_DOUBLE",
        PayloadFormat::Bytes => "BYTES",
    };
    name.to_owned()
}

fn formats(payload: &[u8]) -> Vec<PayloadFormat> {
    let text = std::str::from_utf8(payload).ok();
    let printable = text.is_some_and(|t| !t.chars().any(|c| c.is_control() && !c.is_whitespace()));
    let json = printable && serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok();
    let mut formats = Vec::new();
    let mut add = |fits: bool, format: PayloadFormat| formats.extend(fits.then_some(format));
    add(json, PayloadFormat::Json);
    add(printable, PayloadFormat::String);
    add(payload.len() == 4 && !printable, PayloadFormat::Int);
    add(payload.len() == 8 && !printable, PayloadFormat::BigInt);
    add(payload.len() == 8 && !printable, PayloadFormat::Double);
    add(true, PayloadFormat::Bytes);
    formats
}

fn show(format: PayloadFormat, payload: &[u8]) -> String {
    match format {
        PayloadFormat::Json | PayloadFormat::String => String::from_utf8_lossy(payload).into_owned(),
        PayloadFormat::Int => payload.try_into().map_or_else(|_| hex(payload), |b| i32::from_be_bytes(b).to_string()),
        PayloadFormat::BigInt => {
            payload.try_into().map_or_else(|_| hex(payload), |b| i64::from_be_bytes(b).to_string())
        }
        PayloadFormat::Double => {
            payload.try_into().map_or_else(|_| hex(payload), |b| f64::from_be_bytes(b).to_string())
        }
        PayloadFormat::Bytes | PayloadFormat::Registered(_) => hex(payload),
    }
}

fn hex(payload: &[u8]) -> String {
    payload.iter().fold(String::with_capacity(payload.len() * 2 + 2), |mut out, byte| {
        if out.is_empty() {
            out.push_str("0x");
        }
        // Writing to a String does not fail.
        let _ = write!(out, "{byte:02X}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_narrows_and_is_reported_once() {
        let mut guess = Guess::default();
        assert_eq!(guess.learn(Some(b"12"), None).as_deref(), Some("JSON or KAFKA_STRING"));
        assert_eq!(guess.learn(Some(b"13"), None), None);
        assert_eq!(guess.learn(Some(b"x y"), None).as_deref(), Some("KAFKA_STRING"));
        assert_eq!(guess.show(Some(b"x y")), "x y");
        assert_eq!(guess.show(None), "<null>");
    }

    #[test]
    fn numbers_and_mixtures() {
        let mut guess = Guess::default();
        guess.learn(Some(&7_i32.to_be_bytes()), None);
        assert_eq!(guess.show(Some(&7_i32.to_be_bytes())), "7");
        assert_eq!(guess.learn(Some(b"text"), None).as_deref(), Some("MIXED"));
        assert_eq!(guess.show(Some(b"text")), "text");
        assert_eq!(guess.show(Some(b"\x00\xff")), "0x00FF");
    }

    #[test]
    fn bytes_stay_bytes_until_there_is_a_text() {
        let mut guess = Guess::default();
        assert_eq!(guess.learn(Some(b"\x00\xff"), None).as_deref(), Some("BYTES"));
        assert_eq!(guess.learn(Some(b"\x80"), None), None);
        assert_eq!(guess.learn(Some(b"{}"), None).as_deref(), Some("MIXED"));
        assert_eq!((guess.show(Some(b"{}")), guess.show(Some(b"\x80"))), ("{}".to_owned(), "0x80".to_owned()));
    }
}
