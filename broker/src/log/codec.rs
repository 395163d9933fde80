//! The compression codecs of batches.
//!
//! Separate because no other file needs to know that there are four of them.

use std::io::{self, BufRead, BufReader, Read, Write};

use super::batch::{BatchHeader, HEADER_BYTES};

/// The maximum number of bytes decompressed from one batch. A batch is decompressed as a stream, so this limits the
/// time rather than the memory.
pub(crate) const UNPACKED_BYTES_MAX: u64 = 128 << 20;
/// The maximum ratio of a decompressed snappy block to its input.
const SNAPPY_GROWTH_MAX: u64 = 64;
/// How the snappy frames of the Java client begin: eight bytes of magic, followed by two version numbers.
const XERIAL_MAGIC: &[u8] = &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;
/// The two version numbers: the frames' own, and the lowest that can read them.
const XERIAL_VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// The number of bytes in a frame before it is compressed, as in the Java client.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;

/// A reader of the records of a batch; `None` if there is no such codec.
pub(crate) fn unpack<'a>(header: &BatchHeader, batch: &'a [u8]) -> Option<Box<dyn BufRead + 'a>> {
    let packed = batch.get(HEADER_BYTES..)?;
    Some(match header.codec() {
        0 => Box::new(packed),
        1 => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(packed))),
        2 => Box::new(BufReader::new(Snappy::new(packed))),
        3 => Box::new(BufReader::new(lz4_flex::frame::FrameDecoder::new(packed))),
        4 => Box::new(BufReader::new(zstd::stream::read::Decoder::new(packed).ok()?)),
        _ => return None,
    })
}

/// Compresses with the codec of a batch what `write` writes.
pub(crate) fn pack(header: &BatchHeader, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    match header.codec() {
        0 => write(&mut packed)?,
        1 => {
            let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::default());
            write(&mut encoder)?;
            encoder.finish()?;
        }
        2 => {
            let mut plain = Vec::new();
            write(&mut plain)?;
            packed = xerial(&plain)?;
        }
        3 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(&mut packed);
            write(&mut encoder)?;
            encoder.finish().map_err(io::Error::other)?;
        }
        4 => {
            let mut encoder = zstd::stream::write::Encoder::new(&mut packed, zstd::DEFAULT_COMPRESSION_LEVEL)?;
            write(&mut encoder)?;
            encoder.finish()?;
        }
        codec => return Err(io::Error::other(format!("there is no codec {codec}"))),
    }
    Ok(packed)
}

/// Snappy frames, which all clients can read, while few read a raw block of more than one frame.
fn xerial(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut framed = [XERIAL_MAGIC, &XERIAL_VERSIONS].concat();
    for block in plain.chunks(XERIAL_BLOCK_BYTES) {
        let packed = snap::raw::Encoder::new().compress_vec(block).map_err(io::Error::other)?;
        framed.extend((packed.len() as u32).to_be_bytes());
        framed.extend(packed);
    }
    Ok(framed)
}

/// A reader of snappy data, which is either one raw block or the frames of the Java client. A block is decompressed
/// once the previous one has been read.
struct Snappy<'a> {
    packed: &'a [u8],
    framed: bool,
    block: io::Cursor<Vec<u8>>,
}

impl<'a> Snappy<'a> {
    fn new(packed: &'a [u8]) -> Snappy<'a> {
        let framed = packed.starts_with(XERIAL_MAGIC) && packed.len() >= XERIAL_HEADER_BYTES;
        let packed = if framed { &packed[XERIAL_HEADER_BYTES..] } else { packed };
        Snappy { packed, framed, block: io::Cursor::default() }
    }

    fn next_block(&mut self) -> io::Result<()> {
        let (block, remaining) = match self.framed {
            true => {
                let (length, remaining) = self.packed.split_first_chunk::<4>().ok_or(io::ErrorKind::InvalidData)?;
                let length = u32::from_be_bytes(*length) as usize;
                remaining.split_at_checked(length).ok_or(io::ErrorKind::InvalidData)?
            }
            false => (self.packed, &[][..]),
        };
        self.packed = remaining;
        self.block = io::Cursor::new(unpack_snappy_block(block).ok_or(io::ErrorKind::InvalidData)?);
        Ok(())
    }
}

impl Read for Snappy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.block.position() == self.block.get_ref().len() as u64 && !self.packed.is_empty() {
            self.next_block()?;
        }
        self.block.read(buffer)
    }
}

fn unpack_snappy_block(block: &[u8]) -> Option<Vec<u8>> {
    let length = snap::raw::decompress_len(block).ok()? as u64;
    if length > UNPACKED_BYTES_MAX.min(SNAPPY_GROWTH_MAX * block.len() as u64) {
        return None; // never allocate more than the block can contain, whatever it claims
    }
    snap::raw::Decoder::new().decompress_vec(block).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what is packed is unpacked again, over several frames. Method: each codec, with bytes that compress little and much.
    #[test]
    fn what_is_packed_is_unpacked_again() {
        let noise: Vec<u8> = (0..100_000_u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        for (codec, plain) in (0..=4).flat_map(|codec| [&[][..], &[7; 100_000], &noise].map(|plain| (codec, plain))) {
            let plain_header = super::super::batch::testing::plain(1, 0);
            let header = BatchHeader { attributes: codec, ..BatchHeader::parse(&plain_header).expect("a header") };
            let packed = pack(&header, |writer| writer.write_all(plain)).expect("packs");
            let batch = [&plain_header[..HEADER_BYTES], &packed].concat();
            let mut unpacked = Vec::new();
            unpack(&header, &batch).expect("is known").read_to_end(&mut unpacked).expect("unpacks");
            assert!(unpacked == plain, "codec {codec}, {} bytes", plain.len());
        }
    }
}
