//! Bytes as texts and back: hexadecimal digits, UTF-8, ASCII, base64.

use arrow::array::ArrayRef;
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use datafusion::error::Result;
use headwater_formats::decode_utf8;

use crate::call::Call;

/// Reads base64 as Java does: padding may be left out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Clone, Copy)]
enum Encoding {
    Hex,
    Utf8,
    Ascii,
    Base64,
}

impl Encoding {
    fn of(name: &str) -> Result<Self, String> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match () {
            () if is("hex") => Ok(Self::Hex),
            () if is("utf8") => Ok(Self::Utf8),
            () if is("ascii") => Ok(Self::Ascii),
            () if is("base64") => Ok(Self::Base64),
            () => Err(format!("the encoding must be 'hex', 'utf8', 'ascii' or 'base64', not '{name}'")),
        }
    }

    fn decode(self, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::Hex => decode_hex(text, out),
            Self::Utf8 => {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            Self::Ascii => {
                out.extend(text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }));
                Ok(())
            }
            Self::Base64 => LENIENT.decode_vec(text, out).map_err(|_| format!("'{text}' is not base64")),
        }
    }

    fn encode(self, bytes: &[u8], digits: &[u8; 16], out: &mut String) {
        match self {
            Self::Hex => encode_hex(bytes, digits, out),
            Self::Utf8 => out.push_str(&decode_utf8(bytes)),
            Self::Ascii => {
                out.extend(bytes.iter().map(|b| if b.is_ascii() { *b as char } else { char::REPLACEMENT_CHARACTER }));
            }
            Self::Base64 => write_base64(bytes, out),
        }
    }
}

fn encode_hex(bytes: &[u8], digits: &[u8; 16], out: &mut String) {
    let mut pairs = [0; 64];
    for some in bytes.chunks(pairs.len() / 2) {
        for (pair, byte) in pairs.chunks_exact_mut(2).zip(some) {
            pair.copy_from_slice(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
        }
        out.push_str(std::str::from_utf8(&pairs[..some.len() * 2]).expect("digits are ASCII"));
    }
}

/// Appends bytes as base64.
pub fn write_base64(bytes: &[u8], out: &mut String) {
    STANDARD.encode_string(bytes, out);
}

/// ENCODE writes lower-case digits and FROM_BYTES upper-case ones, as in ksqlDB.
const SMALL: &[u8; 16] = b"0123456789abcdef";
const CAPITAL: &[u8; 16] = b"0123456789ABCDEF";

/// Hexadecimal digits in either case, as they are, in X'…', or behind 0x, where their number may be odd.
fn decode_hex(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let quoted = ["X'", "x'"].iter().find_map(|open| text.strip_prefix(open)?.strip_suffix('\''));
    let number = text.strip_prefix("0x");
    let digits = quoted.or(number).unwrap_or(text).as_bytes();
    let bad = || format!("'{text}' is not hexadecimal");
    let odd = digits.len() % 2;
    if odd > 0 && number.is_none() {
        return Err(bad());
    }
    let value = |digit: u8| (digit as char).to_digit(16).ok_or_else(bad);
    if odd > 0 {
        out.push(value(digits[0])? as u8);
    }
    for pair in digits[odd..].chunks_exact(2) {
        out.push((value(pair[0])? * 16 + value(pair[1])?) as u8);
    }
    Ok(())
}

/// ENCODE.
pub fn encode(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, from, to) = (call.texts(0), call.texts(1), call.texts(2));
    let mut bytes = Vec::new();
    call.each_text(|row, out| {
        let (from, to) = (Encoding::of(from.value(row))?, Encoding::of(to.value(row))?);
        bytes.clear();
        from.decode(texts.value(row), &mut bytes)?;
        to.encode(&bytes, SMALL, out);
        Ok(Some(()))
    })
}

/// TO_BYTES.
pub fn to_bytes(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, encodings) = (call.texts(0), call.texts(1));
    call.each_blob(|row, out| Encoding::of(encodings.value(row))?.decode(texts.value(row), out).map(Some))
}

/// FROM_BYTES.
pub fn from_bytes(call: &Call<'_>) -> Result<ArrayRef> {
    let (blobs, encodings) = (call.blobs(0), call.texts(1));
    call.each_text(|row, out| {
        Encoding::of(encodings.value(row))?.encode(blobs.value(row), CAPITAL, out);
        Ok(Some(()))
    })
}
