//! `application/x-www-form-urlencoded`: the encoding of parameters in a query.

use arrow::array::ArrayRef;
use datafusion::error::Result;
use headwater_formats::decode_utf8;

use super::uri::percent;
use crate::call::Call;

/// URL_ENCODE_PARAM.
pub fn encode(call: &Call<'_>) -> Result<ArrayRef> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let texts = call.texts(0);
    call.each_text(|row, out| {
        for byte in texts.value(row).bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(byte as char),
                b' ' => out.push('+'),
                _ => out.extend(['%', DIGITS[usize::from(byte >> 4)] as char, DIGITS[usize::from(byte & 15)] as char]),
            }
        }
        Ok(Some(()))
    })
}

/// URL_DECODE_PARAM.
pub fn decode(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    let mut bytes = Vec::new();
    call.each_text(|row, out| {
        bytes.clear();
        let text = texts.value(row).as_bytes();
        let mut at = 0;
        while at < text.len() {
            let (byte, length) = match text[at] {
                b'+' => (b' ', 1),
                b'%' => match percent(text, at) {
                    Some(byte) => (byte, 3),
                    None => return Err("% must be followed by two hexadecimal digits".to_owned()),
                },
                byte => (byte, 1),
            };
            bytes.push(byte);
            at += length;
        }
        out.push_str(&decode_utf8(&bytes));
        Ok(Some(()))
    })
}
