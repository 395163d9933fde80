//! Numbers of as many bytes as they need: 7 bits in each, the lowest first, and in all but the last the highest bit is set.
//! AVRO and PROTOBUF have them; with a sign they are folded, so that small numbers take few bytes whatever their sign.

/// The most bytes of a number that are looked at together.
pub(super) const SHORT_BYTES: usize = 8;
/// The bits of eight bytes that say that another one follows.
const MORE: u64 = 0x8080_8080_8080_8080;

/// A number of up to `BYTES` bytes, up to eight, and how many it has: all of them are looked at at once. `None` if it has
/// more.
#[inline]
pub(super) fn short_varint<const BYTES: usize>(eight: [u8; SHORT_BYTES]) -> Option<(u64, usize)> {
    let word = u64::from_le_bytes(eight);
    let ends = !word & (MORE >> (8 * (SHORT_BYTES - BYTES)));
    if ends == 0 {
        return None;
    }
    let bits = ends.trailing_zeros() + 1;
    Some((without_gaps(word & (u64::MAX >> (64 - bits))), bits as usize / 8))
}

/// A number of up to `BITS` bits, 32 or 64, and no more bytes than they need, and how many it has. `None` if the bytes end
/// within it, or if it is too long.
pub(super) fn any_varint<const BITS: u32>(bytes: &[u8]) -> Option<(u64, usize)> {
    let bytes_max = BITS.div_ceil(7) as usize;
    let mut number = 0;
    for (at, byte) in bytes.iter().take(bytes_max).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            let is_too_long = at + 1 == bytes_max && *byte >> (BITS % 7) != 0;
            return (!is_too_long).then_some((number, at + 1));
        }
    }
    None
}

/// Appends a number.
#[inline]
pub(super) fn put_varint(number: u64, out: &mut Vec<u8>) {
    match number {
        0..0x80 => out.push(number as u8),
        0x80..0x100_0000_0000_0000 => {
            let bits = u64::BITS - number.leading_zeros();
            let len = bits.div_ceil(7);
            // All eight bytes are appended, because so many take no loop.
            let word = with_gaps(number) | MORE & ((1 << (8 * (len - 1))) - 1);
            let end = out.len() + len as usize;
            out.extend_from_slice(&word.to_le_bytes());
            out.truncate(end);
        }
        _ => put_any_varint(number, out),
    }
}

fn put_any_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number with its sign in the lowest bit: 0, -1, 1, -2 and so on become 0, 1, 2, 3.
#[inline]
pub(super) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The number whose sign is in the lowest bit.
#[inline]
pub(super) fn unzigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

/// The lower seven bits of each byte, side by side.
#[inline]
fn without_gaps(word: u64) -> u64 {
    let word = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let word = (word & 0x0000_3fff_0000_3fff) | ((word & 0x3fff_0000_3fff_0000) >> 2);
    (word & 0x0fff_ffff) | ((word & 0x0fff_ffff_0000_0000) >> 4)
}

/// The lower 56 bits, seven in each byte.
#[inline]
fn with_gaps(number: u64) -> u64 {
    let word = (number & 0x0fff_ffff) | ((number << 4) & 0x0fff_ffff_0000_0000);
    let word = (word & 0x0000_3fff_0000_3fff) | ((word << 2) & 0x3fff_0000_3fff_0000);
    (word & 0x007f_007f_007f_007f) | ((word << 1) & 0x7f00_7f00_7f00_7f00)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_varint(number, &mut bytes);
        bytes
    }

    fn read_short<const BYTES: usize>(bytes: &[u8]) -> Option<(u64, usize)> {
        let mut eight = [0xff; 8];
        eight[..bytes.len().min(8)].copy_from_slice(&bytes[..bytes.len().min(8)]);
        short_varint::<BYTES>(eight)
    }

    #[test]
    fn numbers_of_every_length_are_read_back() {
        for shift in 0..64 {
            for number in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let bytes = written(number);
                let mut plain = Vec::new();
                put_any_varint(number, &mut plain);
                assert_eq!(bytes, plain);
                let read = Some((number, bytes.len()));
                assert_eq!(any_varint::<64>(&bytes), read);
                assert_eq!(any_varint::<64>(&[&bytes[..], &[0xff; 9]].concat()), read);
                assert_eq!(any_varint::<64>(&bytes[..bytes.len() - 1]), None, "it ends within the number");
                assert_eq!(any_varint::<32>(&bytes), read.filter(|_| u32::try_from(number).is_ok()));
                assert_eq!(read_short::<8>(&bytes), read.filter(|_| bytes.len() <= 8));
                assert_eq!(read_short::<5>(&bytes), read.filter(|_| bytes.len() <= 5));
            }
        }
    }

    #[test]
    fn zeros_may_lead_up_to_the_length_of_the_type() {
        for (zeros, is_int, is_long) in [(3, true, true), (4, false, true), (8, false, true), (9, false, false)] {
            let bytes = [&[0x81][..], &vec![0x80; zeros], &[0]].concat();
            assert_eq!(any_varint::<32>(&bytes), is_int.then_some((1, zeros + 2)));
            assert_eq!(read_short::<5>(&bytes), is_int.then_some((1, zeros + 2)));
            assert_eq!(any_varint::<64>(&bytes), is_long.then_some((1, zeros + 2)));
        }
        assert_eq!(any_varint::<64>(&[[0xff; 9].as_slice(), &[1]].concat()), Some((u64::MAX, 10)));
        assert_eq!(any_varint::<64>(&[[0xff; 9].as_slice(), &[2]].concat()), None);
        assert_eq!(any_varint::<32>(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some((u32::MAX.into(), 5)));
        assert_eq!(any_varint::<32>(&[0xff, 0xff, 0xff, 0xff, 0x10]), None);
    }

    #[test]
    fn signs_are_in_the_lowest_bit() {
        for (number, bits) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1), (i64::MIN, u64::MAX)] {
            assert_eq!((zigzag(number), unzigzag(bits)), (bits, number));
        }
    }
}
