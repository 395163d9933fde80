//! Damages requests: from one wrong bit to noise, and frames whose announced length is wrong.
//!
//! Everything comes from a seed. The correlation id is put back after a mutation, because it says which frame an answer belongs to.

use std::ops::Range;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Bytes of the length at the start of a frame.
pub const LENGTH_BYTES: usize = 4;
/// Where the correlation id is in the body, after API and version.
pub const CORRELATION_ID: Range<usize> = 4..8;
const ROUTE_BYTES: usize = 8;
/// One in this many frames has a wrong length or is not sent as a whole: it is the last one of its connection.
const MISFRAMED_ONE_IN: u32 = 24;
/// One in this many requests is damaged anywhere; the others have other values, and are mostly read.
const DAMAGED_ONE_IN: u32 = 4;
/// One in this many mutations may also meet the API and the version.
const ROUTE_ONE_IN: u32 = 24;
/// Maximum number of bytes that are added to a request.
const ADDED_MAX: usize = 200;
/// The largest request that a broker accepts; what is announced may be more.
const REQUEST_BYTES_MAX: i32 = 100 << 20;
/// Bytes of most numbers.
const NUMBER_BYTES: usize = 4;
/// Numbers that are often not expected.
const EXTREMES: [i64; 14] = [
    i64::MIN,
    i64::MAX,
    i32::MIN as i64,
    i32::MAX as i64,
    i16::MIN as i64,
    i16::MAX as i64,
    u32::MAX as i64,
    -2,
    -1,
    0,
    1,
    2,
    127,
    128,
];
/// Bytes of a record batch before those that its checksum covers, and where the checksum is.
const BATCH_CHECKED_FROM: usize = 21;
const BATCH_CHECKSUM: Range<usize> = 17..21;
/// Bytes of the header of a batch.
const BATCH_HEADER_BYTES: usize = 61;

/// A damaged frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What is sent, with the length.
    pub bytes: Vec<u8>,
    /// Whether nothing can be sent after it, because the broker waits for more or takes it for several frames.
    pub is_last: bool,
}

/// Makes damaged frames from valid requests.
#[derive(Debug)]
pub struct Mutator {
    valid: Vec<Bytes>,
    chance: StdRng,
}

impl Mutator {
    /// A mutator of these requests.
    pub fn new(valid: Vec<Bytes>, seed: u64) -> Self {
        Self { valid, chance: StdRng::seed_from_u64(seed) }
    }

    /// The next frame.
    pub fn next(&mut self, correlation_id: i32) -> Frame {
        let mut body = self.pick();
        match self.chance.random_ratio(1, DAMAGED_ONE_IN) {
            true => self.damage(&mut body),
            false => self.change_values(&mut body),
        }
        if let Some(id) = body.get_mut(CORRELATION_ID) {
            id.copy_from_slice(&correlation_id.to_be_bytes());
        }
        match self.chance.random_ratio(1, MISFRAMED_ONE_IN) {
            true => self.misframe(&body),
            false => Frame { bytes: framed(body.len() as i32, &body), is_last: false },
        }
    }

    fn pick(&mut self) -> Vec<u8> {
        self.valid.choose(&mut self.chance).map(|body| body.to_vec()).unwrap_or_default()
    }

    fn damage(&mut self, body: &mut Vec<u8>) {
        match self.chance.random_range(0..12) {
            0..2 => self.flip_bits(body),
            2..4 => {
                let (at, bytes) = (self.place(body), 1 << self.chance.random_range(1..=3));
                self.put_number(body, at, bytes);
            }
            4 => self.put_varint(body),
            5 => self.put_bytes(body),
            6 => body.truncate(self.place(body)),
            7 => self.extend(body),
            8 => self.insert_or_remove(body),
            9 => self.splice(body),
            10 => self.reseal(body),
            _ => self.noise(body),
        }
    }

    /// Changes letters of names, and numbers that are not followed by letters and so are mostly no lengths: most of these requests
    /// can still be read, and reach a handler.
    fn change_values(&mut self, body: &mut [u8]) {
        for _ in 0..self.chance.random_range(1..=3) {
            let at = self.chance.random_range(ROUTE_BYTES.min(body.len())..=body.len());
            let ahead = &body[at..body.len().min(at + NUMBER_BYTES)];
            match ahead.iter().position(|byte| byte.is_ascii_lowercase()) {
                Some(0) => body[at] = self.chance.random_range(b'a'..=b'z'),
                Some(_) => {}
                None => self.put_number(body, at, NUMBER_BYTES),
            }
        }
    }

    /// A place in a body, mostly after the API and the version.
    fn place(&mut self, body: &[u8]) -> usize {
        let from = if self.chance.random_ratio(1, ROUTE_ONE_IN) { 0 } else { ROUTE_BYTES.min(body.len()) };
        self.chance.random_range(from..=body.len())
    }

    fn flip_bits(&mut self, body: &mut [u8]) {
        for _ in 0..self.chance.random_range(1..=4) {
            let (at, bit) = (self.place(body), self.chance.random_range(0..8));
            body.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
        }
    }

    /// Overwrites a number, which may be a length or a count.
    fn put_number(&mut self, body: &mut [u8], at: usize, bytes: usize) {
        let number = match self.chance.random_range(0..4) {
            0 => self.chance.random(),
            1 => self.chance.random_range(0..=body.len() as i64 * 2),
            _ => EXTREMES.choose(&mut self.chance).copied().unwrap_or_default(),
        };
        overwrite(body, at, &number.to_be_bytes()[8 - bytes..]);
    }

    fn put_varint(&mut self, body: &mut [u8]) {
        let (at, continued) = (self.place(body), self.chance.random_range(0..=9));
        let mut varint = vec![self.chance.random_range(0x80..=0xff); continued];
        varint.push(self.chance.random_range(0..0x80));
        overwrite(body, at, &varint);
    }

    fn put_bytes(&mut self, body: &mut [u8]) {
        let at = self.place(body);
        let bytes = self.random_bytes(8);
        overwrite(body, at, &bytes);
    }

    fn extend(&mut self, body: &mut Vec<u8>) {
        let added = self.random_bytes(ADDED_MAX);
        body.extend(added);
    }

    fn insert_or_remove(&mut self, body: &mut Vec<u8>) {
        let at = self.place(body);
        if self.chance.random() {
            let bytes = self.random_bytes(8);
            body.splice(at..at, bytes);
        } else {
            let end = (at + self.chance.random_range(1..=8)).min(body.len());
            body.drain(at..end);
        }
    }

    /// The beginning of this request and the end of another one.
    fn splice(&mut self, body: &mut Vec<u8>) {
        let other = self.pick();
        let from = self.place(&other);
        body.truncate(self.place(body));
        body.extend(&other[from..]);
    }

    /// Damages the batch in a request and corrects its checksum, so that the broker looks further.
    fn reseal(&mut self, body: &mut [u8]) {
        let Some(batch) = find_batch(body) else { return self.flip_bits(body) };
        let batch = &mut body[batch];
        for _ in 0..self.chance.random_range(1..=3) {
            let (at, byte) = (self.chance.random_range(BATCH_CHECKED_FROM..batch.len()), self.chance.random());
            batch[at] = byte;
        }
        let checksum = crc32c::crc32c(&batch[BATCH_CHECKED_FROM..]);
        batch[BATCH_CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    }

    /// Replaces everything after the API and the version; small bytes are often valid lengths.
    fn noise(&mut self, body: &mut Vec<u8>) {
        let mask = [0xff, 0x7f, 0x03, 0x01].choose(&mut self.chance).copied().unwrap_or(0xff);
        let noise = self.random_bytes(ADDED_MAX);
        body.truncate(ROUTE_BYTES);
        body.extend(noise.into_iter().map(|byte| byte & mask));
    }

    fn random_bytes(&mut self, max: usize) -> Vec<u8> {
        let length = self.chance.random_range(1..=max);
        (0..length).map(|_| self.chance.random()).collect()
    }

    /// A frame that announces another length than it has, or ends early.
    fn misframe(&mut self, body: &[u8]) -> Frame {
        let length = body.len() as i32;
        let announced = match self.chance.random_range(0..6) {
            0 => self.chance.random_range(i32::MIN..0),
            1 => self.chance.random_range(REQUEST_BYTES_MAX..=i32::MAX),
            2 => self.chance.random_range(length..=REQUEST_BYTES_MAX),
            3 => self.chance.random_range(0..=length),
            _ => length,
        };
        let mut bytes = framed(announced, body);
        if announced == length {
            bytes.truncate(self.chance.random_range(0..bytes.len()));
        }
        Frame { bytes, is_last: true }
    }
}

/// A frame that announces a length.
pub fn framed(announced: i32, body: &[u8]) -> Vec<u8> {
    [&announced.to_be_bytes()[..], body].concat()
}

fn overwrite(body: &mut [u8], at: usize, bytes: &[u8]) {
    body.iter_mut().skip(at).zip(bytes).for_each(|(to, byte)| *to = *byte);
}

/// Where a batch is whose checksum is right.
fn find_batch(body: &[u8]) -> Option<Range<usize>> {
    (0..body.len().saturating_sub(BATCH_HEADER_BYTES)).find_map(|from| {
        let length = body.get(from + 8..from + 12)?.try_into().ok().map(i32::from_be_bytes)?;
        let to = from.checked_add(usize::try_from(length).ok()?)?.checked_add(12)?;
        let batch = body.get(from..to).filter(|batch| batch.len() >= BATCH_HEADER_BYTES)?;
        let checksum = crc32c::crc32c(&batch[BATCH_CHECKED_FROM..]).to_be_bytes();
        (batch[BATCH_CHECKSUM] == checksum).then_some(from..to)
    })
}

#[cfg(test)]
mod tests {
    use super::super::requests::{TOPIC, batch, encode, produce_request, text};
    use super::*;
    use kafka_protocol::messages::TopicName;

    fn valid() -> Vec<Bytes> {
        let request = produce_request(TopicName(text(TOPIC)), batch(3, None, false).unwrap());
        vec![encode(9, &request).unwrap()]
    }

    #[test]
    fn the_same_seed_makes_the_same_frames() {
        let frames = |seed| {
            let mut mutator = Mutator::new(valid(), seed);
            (0..1_000).map(|id| mutator.next(id).bytes).collect::<Vec<_>>()
        };
        assert_eq!(frames(1), frames(1));
        assert_ne!(frames(1), frames(2));
    }

    #[test]
    fn whole_frames_announce_their_length_and_keep_their_number() {
        let mut mutator = Mutator::new(valid(), 1);
        for id in 0..10_000 {
            let frame = mutator.next(id);
            if !frame.is_last {
                assert_eq!(frame.bytes[..4], ((frame.bytes.len() - LENGTH_BYTES) as i32).to_be_bytes());
                assert!(frame.bytes.get(8..12).is_none_or(|found| found == id.to_be_bytes()));
            }
        }
    }

    #[test]
    fn a_batch_is_found_and_has_the_right_checksum_after_the_damage() {
        let (mut mutator, body) = (Mutator::new(valid(), 1), valid().remove(0));
        let found = find_batch(&body).expect("there is one");
        let mut damaged = body.to_vec();
        mutator.reseal(&mut damaged);
        assert!(damaged != body);
        assert_eq!(find_batch(&damaged), Some(found));
    }
}
