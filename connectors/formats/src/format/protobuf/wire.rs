//! Protobuf's wire format: tags, varints, lengths, fixed-width numbers and groups, read and written.
//!
//! Separate because it knows bytes only: neither messages nor columns. A cursor never looks beyond the message it was
//! made for, and nothing is allocated for a length that a payload announces.

use std::borrow::Cow;

use crate::format::fault::{Fault, Outcome};
use crate::format::varint::{SHORT_BYTES, any_varint, put_varint, short_varint};

/// A varint.
pub(super) const VARINT: u32 = 0;
/// Eight bytes.
pub(super) const FIXED64: u32 = 1;
/// A length and as many bytes.
pub(super) const BYTES: u32 = 2;
/// The start of a group.
const GROUP: u32 = 3;
/// The end of a group.
const GROUP_END: u32 = 4;
/// Four bytes.
pub(super) const FIXED32: u32 = 5;

/// The most bytes of a length.
const LENGTH_BYTES_MAX: usize = 10;
/// The maximum depth of groups, which are only skipped.
const GROUPS_MAX: usize = 100;

/// A cursor over the bytes of one message.
#[derive(Clone)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The byte of the payload at which the message begins; not known if it was put together from several parts.
    base: Option<usize>,
}

impl<'a> Input<'a> {
    /// A cursor over a whole payload.
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { bytes: payload, at: 0, base: Some(0) }
    }

    /// A cursor over bytes that are not a part of the payload in one piece.
    pub(super) fn detached(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, base: None }
    }

    /// A cursor over a part of the message, which [`Input::value`] has read.
    #[inline]
    pub(super) fn inner(&self, part: u64) -> Self {
        let base = self.base.map(|base| base + (part >> 32) as usize);
        Self { bytes: self.part(part), at: 0, base }
    }

    /// The bytes of a part of the message, which [`Input::value`] has read.
    #[inline]
    pub(super) fn part(&self, part: u64) -> &'a [u8] {
        let (start, len) = ((part >> 32) as usize, (part & 0xffff_ffff) as usize);
        &self.bytes[start..start + len]
    }

    /// The bytes that were not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// A cursor over the part of a payload from byte `start` on.
    #[inline]
    pub(super) fn behind(payload: &'a [u8], start: usize) -> Self {
        Self { bytes: &payload[start..], at: 0, base: Some(start) }
    }

    /// Reads bytes of a known number.
    #[inline]
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.bytes[self.at..].first_chunk()?;
        self.at += N;
        Some(bytes)
    }

    /// The same message, from its beginning.
    pub(super) fn again(&self) -> Self {
        Self { at: 0, ..self.clone() }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    #[cold]
    pub(super) fn fault(&self, what: impl Into<Cow<'static, str>>) -> Box<Fault> {
        Fault::new(self.base.map(|base| base + self.at), what)
    }

    /// Reads the tag of a field: its number in the upper 29 bits, its wire type in the lower 3.
    #[inline]
    pub(super) fn tag(&mut self) -> Outcome<u32> {
        let start = self.at;
        let tag = self.varint()?;
        match u32::try_from(tag) {
            Ok(tag) if tag >> 3 != 0 => Ok(tag),
            _ => {
                self.at = start;
                Err(self.fault(format!("{} is not a valid field number", tag >> 3)))
            }
        }
    }

    /// Reads a value of a wire type: the bits of a number, or the place of bytes as a part.
    #[inline]
    pub(super) fn value(&mut self, wire: u32) -> Outcome<u64> {
        match wire {
            VARINT => self.varint(),
            BYTES => self.length_and_bytes(),
            FIXED64 => self.fixed::<8>().map(u64::from_le_bytes),
            FIXED32 => self.fixed::<4>().map(|bytes| u32::from_le_bytes(bytes).into()),
            _ => Err(self.fault(format!("wire type {wire} has no value"))),
        }
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Outcome<u64> {
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok((*byte).into())
            }
            _ => self.long_varint(),
        }
    }

    /// Reads a varint of up to eight bytes at once, if there are eight.
    #[inline]
    fn long_varint(&mut self) -> Outcome<u64> {
        let Some(eight) = self.bytes[self.at..].first_chunk() else { return self.last_varint() };
        let Some((value, len)) = short_varint::<SHORT_BYTES>(*eight) else { return self.last_varint() };
        self.at += len;
        Ok(value)
    }

    fn last_varint(&mut self) -> Outcome<u64> {
        match any_varint::<64>(&self.bytes[self.at..]) {
            Some((value, len)) => {
                self.at += len;
                Ok(value)
            }
            None => Err(self.no_varint()),
        }
    }

    #[cold]
    fn no_varint(&self) -> Box<Fault> {
        match self.bytes.len() - self.at {
            0..10 if self.bytes[self.at..].iter().all(|byte| *byte >= 0x80) => self.ends("a varint"),
            _ => self.fault("a varint has more than 64 bits"),
        }
    }

    #[cold]
    fn ends(&self, what: &str) -> Box<Fault> {
        self.fault(format!("the payload ends within {what}"))
    }

    #[inline]
    fn length_and_bytes(&mut self) -> Outcome<u64> {
        let start = self.at;
        let len = self.varint()?;
        let rest = (self.bytes.len() - self.at) as u64;
        if len > rest {
            self.at = start;
            return Err(self.fault(format!("a length of {len} bytes, but {rest} follow")));
        }
        let part = (self.at as u64) << 32 | len;
        self.at += len as usize;
        Ok(part)
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        match self.take() {
            Some(bytes) => Ok(bytes),
            None => Err(self.ends("a number")),
        }
    }

    /// Skips the value of a field whose tag was read.
    #[inline]
    pub(super) fn skip(&mut self, tag: u32) -> Outcome<()> {
        match tag & 7 {
            wire @ (VARINT | FIXED64 | BYTES | FIXED32) => self.value(wire).map(drop),
            _ => self.skip_group(tag, 0),
        }
    }

    fn skip_group(&mut self, tag: u32, depth: usize) -> Outcome<()> {
        if tag & 7 != GROUP {
            return Err(self.fault(match tag & 7 {
                GROUP_END => "the end of a group that did not begin".to_owned(),
                wire => format!("wire type {wire} does not exist"),
            }));
        }
        if depth == GROUPS_MAX {
            return Err(self.fault(format!("more than {GROUPS_MAX} groups within each other")));
        }
        while !self.is_empty() {
            let inner = self.tag()?;
            match inner & 7 {
                GROUP_END if inner >> 3 == tag >> 3 => return Ok(()),
                GROUP => self.skip_group(inner, depth + 1)?,
                _ => self.skip(inner)?,
            }
        }
        Err(self.ends("a group"))
    }
}

/// Appends bytes after their length.
#[inline]
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends what `write` appends after its length. Most lengths take one byte, so the bytes are moved only if it takes
/// more.
#[inline]
pub(super) fn put_message(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Outcome<()>) -> Outcome<()> {
    let start = out.len();
    out.push(0);
    write(out)?;
    let len = out.len() - start - 1;
    match u8::try_from(len) {
        Ok(len) if len < 0x80 => out[start] = len,
        _ => put_long_length(out, start, len),
    }
    Ok(())
}

/// Puts the length of what was appended in front of it, in place of one byte.
fn put_long_length(out: &mut Vec<u8>, start: usize, len: usize) {
    let end = out.len();
    put_varint(len as u64, out);
    let mut prefix = [0; LENGTH_BYTES_MAX];
    let prefix_len = out.len() - end;
    prefix[..prefix_len].copy_from_slice(&out[end..]);
    // What was appended moves behind its length, over the length at the end.
    out.copy_within(start + 1..end, start + prefix_len);
    out[start..start + prefix_len].copy_from_slice(&prefix[..prefix_len]);
    out.truncate(end + prefix_len - 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_follow_their_length() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            let mut out = vec![7];
            put_message(&mut out, |out| {
                out.resize(out.len() + len, 1);
                Ok(())
            })
            .unwrap();
            let mut input = Input::new(&out[1..]);
            let part = input.value(BYTES).unwrap();
            assert_eq!((input.part(part).len(), input.is_empty()), (len, true));
        }
    }
}
