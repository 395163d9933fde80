//! Walking over a request before it is decoded, to see that its arrays are as long as they say.
//!
//! Apart because the codecs make room for as many elements as an array claims, and a claim of two thousand
//! million would end the process. Here nothing is allocated: the walk ends where the bytes do.

use super::shapes::{Field, Kind, Shape};

/// Bytes of the shortest array length.
const VARINT_BYTES_MAX: usize = 5;

/// Whether a body holds everything that its version's shape has.
pub(super) fn is_whole(shape: &Shape, version: i16, body: &[u8]) -> bool {
    let mut walk = Walk { rest: body, version, flexible: version >= shape.flexible_from };
    walk.fields(shape.fields).is_some()
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Option<()> {
        let version = self.version;
        for field in fields.iter().filter(|field| field.versions.contains(&version)) {
            self.value(&field.kind)?;
        }
        if self.flexible { self.tagged() } else { Some(()) }
    }

    fn value(&mut self, kind: &Kind) -> Option<()> {
        match kind {
            Kind::Fixed(bytes) => self.skip(*bytes),
            Kind::Text => {
                let length = if self.flexible { self.compact_length()? } else { self.short_length()? };
                self.skip(length)
            }
            Kind::Bytes => {
                let length = self.length()?;
                self.skip(length)
            }
            Kind::List(element) => (0..self.length()?).try_for_each(|_| self.value(element)),
            Kind::Structs(fields) => (0..self.length()?).try_for_each(|_| self.fields(fields)),
        }
    }

    /// A length; nothing at all counts as zero.
    fn length(&mut self) -> Option<usize> {
        if self.flexible {
            return self.compact_length();
        }
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        nothing_or(i64::from(i32::from_be_bytes(*length)))
    }

    fn short_length(&mut self) -> Option<usize> {
        let (length, rest) = self.rest.split_first_chunk::<2>()?;
        self.rest = rest;
        nothing_or(i64::from(i16::from_be_bytes(*length)))
    }

    fn compact_length(&mut self) -> Option<usize> {
        Some((self.varint()? as usize).saturating_sub(1))
    }

    fn tagged(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()? as usize;
            self.skip(length)?;
        }
        Some(())
    }

    fn varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for at in 0..VARINT_BYTES_MAX {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u32::from(byte & 0x7f) << (at * 7);
            if *byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }
}

/// -1 says that there is nothing; no other negative number says anything.
fn nothing_or(length: i64) -> Option<usize> {
    if length == -1 { Some(0) } else { usize::try_from(length).ok() }
}

#[cfg(test)]
mod tests {
    use super::super::shapes::shape;
    use super::*;
    use kafka_protocol::messages::ApiKey;

    #[test]
    fn arrays_must_be_as_long_as_they_say() {
        let shape = shape(ApiKey::Metadata).expect("is offered");
        for (body, whole) in [
            (&b"\x00\x00\x00\x01\x00\x01t"[..], true),
            (b"\xff\xff\xff\xff", true),
            (b"\x7f\xff\xff\xff\x00\x01t", false),
            (b"\x00\x00\x00\x02\x00\x01t", false),
            (b"\xff\xff\xff\xfe", false),
            (b"\x00\x00\x00\x01\x00\x05t", false),
            (b"", false),
        ] {
            assert_eq!(is_whole(shape, 1, body), whole, "{body:?}");
        }
        assert!(is_whole(shape, 9, b"\x02\x02t\x00\x01\x00\x00\x00"));
        assert!(!is_whole(shape, 9, b"\xff\xff\xff\xff\x0f\x02t\x00\x01\x00\x00\x00"));
    }
}
