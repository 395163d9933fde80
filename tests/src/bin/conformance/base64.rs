//! Bytes as base64 text and back: how cases write the values of headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Text for bytes.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of a text; none when it is no base64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
