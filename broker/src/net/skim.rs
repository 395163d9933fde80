//! Checks a request before it is decoded: its arrays must be as long as they claim, and not too long.
//!
//! Separate because the codecs allocate memory for as many elements as an array claims, and a claim of two billion
//! would end the process. An element of two bytes also takes hundreds of bytes once it is decoded and answered. Nothing
//! is allocated here: the check ends with the bytes, or at the maximum number of elements.

use super::shapes::{Field, FieldType, Shape};
use crate::config::REQUEST_ELEMENTS_MAX;

/// The maximum length of a varint, in bytes.
const VARINT_BYTES_MAX: usize = 5;

/// Why a request is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MalformedRequest {
    #[error("it is shorter than its lengths claim")]
    Short,
    #[error("its arrays have more than {REQUEST_ELEMENTS_MAX} elements in total")]
    Elements,
}

/// Checks that a body contains all fields of its version, and not too many elements.
pub(super) fn check_body(shape: &Shape, version: i16, body: &[u8]) -> Result<(), MalformedRequest> {
    let mut walk = Walk::over(body, version, version >= shape.flexible_from);
    walk.fields(shape.fields)
}

/// Checks the header of a request from the client id on; a flexible header has tagged fields.
pub(super) fn check_header(flexible: bool, header: &[u8]) -> Result<(), MalformedRequest> {
    let mut walk = Walk::over(header, 0, flexible);
    let length = walk.short_length()?;
    walk.skip(length)?;
    if flexible { walk.tagged() } else { Ok(()) }
}

struct Walk<'a> {
    remaining: &'a [u8],
    version: i16,
    flexible: bool,
    /// The number of elements that are still allowed.
    elements_left: usize,
}

impl<'a> Walk<'a> {
    fn over(remaining: &'a [u8], version: i16, flexible: bool) -> Walk<'a> {
        Walk { remaining, version, flexible, elements_left: REQUEST_ELEMENTS_MAX }
    }
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Result<(), MalformedRequest> {
        let version = self.version;
        for field in fields.iter().filter(|field| field.versions.contains(&version)) {
            self.value(&field.field_type)?;
        }
        if self.flexible { self.tagged() } else { Ok(()) }
    }

    fn value(&mut self, field_type: &FieldType) -> Result<(), MalformedRequest> {
        match field_type {
            FieldType::Fixed(bytes) => self.skip(*bytes),
            FieldType::Text => {
                let length = if self.flexible { self.compact_length()? } else { self.short_length()? };
                self.skip(length)
            }
            FieldType::Bytes => {
                let length = self.length()?;
                self.skip(length)
            }
            FieldType::List(element) => {
                let length = self.length()?;
                self.count(length)?;
                (0..length).try_for_each(|_| self.value(element))
            }
            FieldType::Structs(fields) => {
                let length = self.length()?;
                self.count(length)?;
                (0..length).try_for_each(|_| self.fields(fields))
            }
        }
    }

    /// Counts the elements that a request claims. If the remaining bytes cannot hold them, the request is too short,
    /// whatever the limit is.
    fn count(&mut self, elements: usize) -> Result<(), MalformedRequest> {
        if elements > self.remaining.len() {
            return Err(MalformedRequest::Short);
        }
        self.elements_left = self.elements_left.checked_sub(elements).ok_or(MalformedRequest::Elements)?;
        Ok(())
    }

    /// The length of an array or of bytes; null counts as 0.
    fn length(&mut self) -> Result<usize, MalformedRequest> {
        if self.flexible {
            return self.compact_length();
        }
        let (length, remaining) = self.remaining.split_first_chunk::<4>().ok_or(MalformedRequest::Short)?;
        self.remaining = remaining;
        length_or_null(i64::from(i32::from_be_bytes(*length)))
    }

    fn short_length(&mut self) -> Result<usize, MalformedRequest> {
        let (length, remaining) = self.remaining.split_first_chunk::<2>().ok_or(MalformedRequest::Short)?;
        self.remaining = remaining;
        length_or_null(i64::from(i16::from_be_bytes(*length)))
    }

    fn compact_length(&mut self) -> Result<usize, MalformedRequest> {
        Ok((self.varint()? as usize).saturating_sub(1))
    }

    fn tagged(&mut self) -> Result<(), MalformedRequest> {
        let fields = self.varint()? as usize;
        self.count(fields)?;
        for _ in 0..fields {
            self.varint()?;
            let length = self.varint()? as usize;
            self.skip(length)?;
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u32, MalformedRequest> {
        let mut value = 0;
        for at in 0..VARINT_BYTES_MAX {
            let (byte, remaining) = self.remaining.split_first().ok_or(MalformedRequest::Short)?;
            self.remaining = remaining;
            value |= u32::from(byte & 0x7f) << (at * 7);
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(MalformedRequest::Short)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), MalformedRequest> {
        self.remaining = self.remaining.get(bytes..).ok_or(MalformedRequest::Short)?;
        Ok(())
    }
}

/// A length of -1 means null; other negative lengths are invalid.
fn length_or_null(length: i64) -> Result<usize, MalformedRequest> {
    if length == -1 { Ok(0) } else { usize::try_from(length).map_err(|_| MalformedRequest::Short) }
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
            assert_eq!(check_body(shape, 1, body).is_ok(), whole, "{body:?}");
        }
        assert_eq!(check_body(shape, 9, b"\x02\x02t\x00\x01\x00\x00\x00"), Ok(()));
        let claims = b"\xff\xff\xff\xff\x0f\x02t\x00\x01\x00\x00\x00";
        assert_eq!(check_body(shape, 9, claims), Err(MalformedRequest::Short));
    }

    /// However they are distributed: over one array, over nested arrays, over tagged fields, or in the header.
    #[test]
    fn elements_are_counted_over_the_whole_request() {
        let many = |count: usize, element: &[u8]| [&(count as i32).to_be_bytes()[..], &element.repeat(count)].concat();
        let metadata = shape(ApiKey::Metadata).expect("is offered");
        for (count, expected) in
            [(REQUEST_ELEMENTS_MAX, Ok(())), (REQUEST_ELEMENTS_MAX + 1, Err(MalformedRequest::Elements))]
        {
            assert_eq!(check_body(metadata, 1, &many(count, &[0, 0])), expected);
        }
        let offsets = shape(ApiKey::ListOffsets).expect("is offered");
        let topic = [&[0, 1, b't'][..], &many(1_000, &[0; 12])].concat();
        let nested = |topics| [&[0; 4][..], &many(topics, &topic)].concat();
        assert_eq!(check_body(offsets, 1, &nested(100)), Ok(()));
        assert_eq!(check_body(offsets, 1, &nested(200)), Err(MalformedRequest::Elements));
        let tagged = [&[0xc1, 0x9a, 0x0c][..], &[5, 0].repeat(REQUEST_ELEMENTS_MAX + 1)].concat();
        assert_eq!(check_body(metadata, 9, &[&[0, 0, 0, 0][..], &tagged].concat()), Err(MalformedRequest::Elements));
        assert_eq!(check_header(true, &[&[0, 1, b'c'][..], &tagged].concat()), Err(MalformedRequest::Elements));
        assert_eq!(check_header(false, b"\xff\xffbody"), Ok(()));
        assert_eq!(check_header(false, b"\x00\x09cl"), Err(MalformedRequest::Short));
    }
}
