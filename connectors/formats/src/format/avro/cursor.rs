//! Reads Avro's primitive values from a payload. Nothing is read, and no room is reserved, beyond its end.

use crate::format::fault::{Fault, Outcome};
use crate::format::varint::{SHORT_BYTES, any_varint, short_varint, unzigzag};

/// The most bytes that an int takes.
pub(super) const INT_BYTES: usize = 5;

/// A position in a payload.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// The length of the whole payload.
    len: usize,
    /// How many items without any bytes may still come. A payload has at most one such item for each of its bytes, so
    /// that a few bytes cannot ask for billions of nulls.
    empty_left: usize,
}

/// A position to return to.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    rest: &'a [u8],
    empty_left: usize,
}

/// A block of an array or a map.
pub(super) struct Block {
    /// The number of its items.
    pub(super) items: usize,
    /// The number of its bytes, if the writer gave it.
    pub(super) bytes: Option<usize>,
}

impl<'a> Cursor<'a> {
    /// A cursor at byte `start`, which must not be beyond the end.
    pub(super) fn new(payload: &'a [u8], start: usize) -> Self {
        Self { rest: &payload[start..], len: payload.len(), empty_left: payload.len() }
    }

    /// The byte of the payload that comes next.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.len - self.rest.len()
    }

    /// The position, to return to with [`Cursor::return_to`].
    pub(super) fn place(&self) -> Place<'a> {
        Place { rest: self.rest, empty_left: self.empty_left }
    }

    /// Continues at an earlier position.
    pub(super) fn return_to(&mut self, place: Place<'a>) {
        (self.rest, self.empty_left) = (place.rest, place.empty_left);
    }

    /// An error at the next byte.
    #[cold]
    pub(super) fn fault(&self, what: impl Into<std::borrow::Cow<'static, str>>) -> Box<Fault> {
        Fault::at(self.at(), what)
    }

    #[cold]
    fn ends(&self) -> Box<Fault> {
        Fault::at(self.len, "the payload ends within a value")
    }

    /// Fails if anything follows the value.
    pub(super) fn end(&self) -> Outcome<()> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(self.fault(format!("{bytes} bytes follow the value"))),
        }
    }

    /// Continues where `pass` says; false if it says nothing, in which case the position stays.
    #[inline]
    pub(super) fn pass(&mut self, pass: impl FnOnce(&'a [u8]) -> Option<&'a [u8]>) -> bool {
        match pass(self.rest) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A number of bytes.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> Outcome<&'a [u8]> {
        match self.rest.split_at_checked(bytes) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.beyond(bytes)),
        }
    }

    #[cold]
    fn beyond(&self, bytes: usize) -> Box<Fault> {
        self.fault(format!("a value of {bytes} bytes does not fit in the {} bytes that are left", self.rest.len()))
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let Some((chunk, rest)) = self.rest.split_first_chunk() else { return Err(self.ends()) };
        self.rest = rest;
        Ok(*chunk)
    }

    #[inline]
    pub(super) fn boolean(&mut self) -> Outcome<bool> {
        match *self.rest {
            [byte @ (0 | 1), ref rest @ ..] => {
                self.rest = rest;
                Ok(byte == 1)
            }
            [byte, ..] => Err(self.fault(format!("a boolean is 0 or 1, not {byte}"))),
            [] => Err(self.ends()),
        }
    }

    #[inline]
    pub(super) fn float(&mut self) -> Outcome<f32> {
        self.chunk().map(f32::from_le_bytes)
    }

    #[inline]
    pub(super) fn double(&mut self) -> Outcome<f64> {
        self.chunk().map(f64::from_le_bytes)
    }

    #[inline]
    pub(super) fn int(&mut self) -> Outcome<i32> {
        if let [byte @ 0..0x80, ref rest @ ..] = *self.rest {
            self.rest = rest;
            return Ok(i32::from(byte >> 1) ^ -i32::from(byte & 1));
        }
        match first_varint::<INT_BYTES>(self.rest) {
            Some((number, rest)) if number <= u32::MAX.into() => {
                self.rest = rest;
                Ok(unzigzag(number) as i32)
            }
            _ => self.varint::<32>("an int").map(|number| unzigzag(number) as i32),
        }
    }

    #[inline]
    pub(super) fn long(&mut self) -> Outcome<i64> {
        if let [byte @ 0..0x80, ref rest @ ..] = *self.rest {
            self.rest = rest;
            return Ok(i64::from(byte >> 1) ^ -i64::from(byte & 1));
        }
        match first_varint::<SHORT_BYTES>(self.rest) {
            Some((number, rest)) => {
                self.rest = rest;
                Ok(unzigzag(number))
            }
            None => self.varint::<64>("a long").map(unzigzag),
        }
    }

    fn varint<const BITS: u32>(&mut self, what: &'static str) -> Outcome<u64> {
        match any_varint::<BITS>(self.rest) {
            Some((number, len)) => {
                self.rest = &self.rest[len..];
                Ok(number)
            }
            None => Err(self.no_varint(BITS.div_ceil(7) as usize, what)),
        }
    }

    #[cold]
    fn no_varint(&self, bytes_max: usize, what: &'static str) -> Box<Fault> {
        match self.rest.len() < bytes_max {
            true => self.ends(),
            false => self.fault(format!("the number is too long for {what}")),
        }
    }

    /// A length and as many bytes.
    #[inline]
    pub(super) fn bytes(&mut self) -> Outcome<&'a [u8]> {
        let start = self.place();
        let length = self.long()?;
        match usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length)) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.no_length(start, length)),
        }
    }

    #[cold]
    fn no_length(&mut self, start: Place<'a>, length: i64) -> Box<Fault> {
        let left = self.rest.len();
        self.return_to(start);
        self.fault(match length {
            ..0 => format!("the length {length} is negative"),
            _ => format!("a value of {length} bytes does not fit in the {left} bytes that are left"),
        })
    }

    /// A length and as many bytes of UTF-8.
    #[inline]
    pub(super) fn text(&mut self) -> Outcome<&'a [u8]> {
        let bytes = self.bytes()?;
        // Most texts are ASCII, which is quicker to see.
        if bytes.is_ascii() { Ok(bytes) } else { self.utf8(bytes) }
    }

    fn utf8(&self, bytes: &'a [u8]) -> Outcome<&'a [u8]> {
        std::str::from_utf8(bytes).map(|_| bytes).map_err(|error| self.no_text(bytes.len(), error))
    }

    #[cold]
    fn no_text(&self, len: usize, error: std::str::Utf8Error) -> Box<Fault> {
        Fault::at(self.at() - len + error.valid_up_to(), "the text is not UTF-8")
    }

    /// Whether the branch of a union of two is null, which is its branch of this number.
    #[inline]
    pub(super) fn is_null(&mut self, null: usize) -> Outcome<bool> {
        if let [byte @ (0 | 2), ref rest @ ..] = *self.rest {
            self.rest = rest;
            return Ok(usize::from(byte >> 1) == null);
        }
        self.branch(2).map(|branch| branch == null)
    }

    /// The number of a union's branch.
    pub(super) fn branch(&mut self, branches: usize) -> Outcome<usize> {
        self.index(branches, "branch", "a union")
    }

    /// The number of an enum's symbol.
    pub(super) fn symbol(&mut self, symbols: usize) -> Outcome<usize> {
        self.index(symbols, "symbol", "an enum")
    }

    fn index(&mut self, count: usize, what: &'static str, of: &'static str) -> Outcome<usize> {
        let start = self.place();
        let index = self.long()?;
        match usize::try_from(index) {
            Ok(index) if index < count => Ok(index),
            _ => {
                self.return_to(start);
                Err(self.fault(format!("{what} {index} does not exist in {of} of {count}")))
            }
        }
    }

    /// The next block of an array or a map; `None` after the last one. `empty` says that an item takes no bytes.
    #[inline]
    pub(super) fn block(&mut self, empty: bool) -> Outcome<Option<Block>> {
        let start = self.place();
        let count = self.long()?;
        if count == 0 {
            return Ok(None);
        }
        let bytes = if count < 0 { Some(self.block_bytes()?) } else { None };
        let items = count.unsigned_abs();
        let left = if empty { self.empty_left } else { self.rest.len() };
        let Some(items) = usize::try_from(items).ok().filter(|items| *items <= left) else {
            self.return_to(start);
            return Err(self.fault(format!("a block of {items} items does not fit in the payload")));
        };
        if empty {
            self.empty_left -= items;
        }
        Ok(Some(Block { items, bytes }))
    }

    /// The bytes of the next block of items that take none, however many it has; `None` after the last one.
    pub(super) fn empty_block(&mut self) -> Outcome<Option<usize>> {
        Ok(match self.long()? {
            0 => None,
            ..0 => Some(self.block_bytes()?),
            _ => Some(0),
        })
    }

    fn block_bytes(&mut self) -> Outcome<usize> {
        let start = self.place();
        let bytes = self.long()?;
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= self.rest.len() => Ok(bytes),
            _ => {
                self.return_to(start);
                Err(self.fault(format!("a block of {bytes} bytes does not fit in the payload")))
            }
        }
    }
}

/// A number of up to `BYTES` bytes with what follows it, if there are eight bytes to look at.
#[inline]
pub(super) fn first_varint<const BYTES: usize>(rest: &[u8]) -> Option<(u64, &[u8])> {
    let (number, len) = short_varint::<BYTES>(*rest.first_chunk()?)?;
    Some((number, &rest[len..]))
}

#[cfg(test)]
mod tests {
    use super::super::write::write_long;
    use super::*;

    /// Numbers of each length are read, whether or not there are enough bytes to look at all of them at once.
    #[test]
    fn numbers_are_read_at_the_end_and_before_it() {
        let powers = (0..63).flat_map(|bit| [1_i64 << bit, (1 << bit) - 1, -(1 << bit)]);
        for number in powers.chain([i64::MAX, i64::MIN]) {
            let mut bytes = Vec::new();
            write_long(number, &mut bytes);
            for after in [0, 3, 10] {
                let payload = [bytes.clone(), vec![0xff; after]].concat();
                let mut cursor = Cursor::new(&payload, 0);
                assert_eq!(cursor.long().unwrap(), number);
                assert_eq!(cursor.at(), bytes.len());
                let int = Cursor::new(&payload, 0).int();
                assert_eq!(int.ok(), i32::try_from(number).ok(), "{number}, {after} bytes after it");
            }
        }
    }
}
