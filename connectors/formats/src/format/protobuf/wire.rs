//! Protobuf's wire format: tags, varints, lengths, fixed-width numbers and groups, read and written.
//!
//! Separate because it knows bytes only: neither messages nor columns. A cursor never looks beyond the message it was
//! made for, and nothing is allocated for a length that a payload announces.

use std::borrow::Cow;

use crate::format::fault::{Fault, Outcome};

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

/// The maximum depth of groups, which are only skipped.
const GROUPS_MAX: usize = 100;
/// The continuation bits of eight bytes.
const MORE: u64 = 0x8080_8080_8080_8080;

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
        let Some(eight) = self.bytes[self.at..].first_chunk::<8>() else { return self.any_varint() };
        let word = u64::from_le_bytes(*eight);
        let stop = !word & MORE;
        if stop == 0 {
            return self.any_varint();
        }
        let bits = stop.trailing_zeros() + 1;
        self.at += bits as usize / 8;
        Ok(without_continuation(word & (u64::MAX >> (64 - bits))))
    }

    fn any_varint(&mut self) -> Outcome<u64> {
        let start = self.at;
        let mut value = 0;
        for (index, byte) in self.bytes[start..].iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.at += index + 1;
                return if index == 9 && *byte > 1 { Err(self.no_varint(start)) } else { Ok(value) };
            }
        }
        match self.bytes.len() - start {
            0..10 => Err(self.ends("a varint")),
            _ => Err(self.no_varint(start)),
        }
    }

    #[cold]
    fn no_varint(&mut self, start: usize) -> Box<Fault> {
        self.at = start;
        self.fault("a varint has more than 64 bits")
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

/// The lower seven bits of each byte, side by side.
#[inline]
fn without_continuation(word: u64) -> u64 {
    let word = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let word = (word & 0x0000_3fff_0000_3fff) | ((word & 0x3fff_0000_3fff_0000) >> 2);
    (word & 0x0fff_ffff) | ((word & 0x0fff_ffff_0000_0000) >> 4)
}

/// The number with its sign in the lowest bit, as `sint32` and `sint64` have it.
#[inline]
pub(super) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The number whose sign is in the lowest bit.
#[inline]
pub(super) fn unzigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

/// Appends a varint.
#[inline]
pub(super) fn put_varint(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0x80 => out.push(value as u8),
        0x80..0x100_0000_0000_0000 => {
            let bits = u64::BITS - value.leading_zeros();
            let len = bits.div_ceil(7);
            // All eight bytes are appended, because so many take no loop.
            let word = with_gaps(value) | MORE & ((1 << (8 * (len - 1))) - 1);
            let end = out.len() + len as usize;
            out.extend_from_slice(&word.to_le_bytes());
            out.truncate(end);
        }
        _ => put_any_varint(value, out),
    }
}

fn put_any_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The lower 56 bits, seven in each byte.
#[inline]
fn with_gaps(value: u64) -> u64 {
    let word = (value & 0x0fff_ffff) | ((value << 4) & 0x0fff_ffff_0000_0000);
    let word = (word & 0x0000_3fff_0000_3fff) | ((word << 2) & 0x3fff_0000_3fff_0000);
    (word & 0x007f_007f_007f_007f) | ((word << 1) & 0x7f00_7f00_7f00_7f00)
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

fn put_long_length(out: &mut Vec<u8>, start: usize, len: usize) {
    let mut prefix = Vec::with_capacity(10);
    put_varint(len as u64, &mut prefix);
    out.splice(start..=start, prefix);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_length_are_read_back() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                put_varint(value, &mut bytes);
                let mut plain = Vec::new();
                put_any_varint(value, &mut plain);
                assert_eq!(bytes, plain);
                for tail in [0, 9] {
                    let padded = [&bytes[..], &vec![0xff; tail]].concat();
                    let mut input = Input::new(&padded);
                    assert_eq!(input.varint().unwrap(), value);
                    assert_eq!(input.at, bytes.len());
                }
            }
        }
        for padded in [&[0x81, 0x00][..], &[0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]] {
            assert_eq!(Input::new(padded).varint().unwrap(), 1, "leading zeros are allowed");
        }
    }

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
