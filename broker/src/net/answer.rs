//! Sending responses: frames in pieces, of which some are still in files.
//!
//! Separate because a response may be large, and its client slow: bytes in files are sent from there, without a copy in
//! memory, on a thread that may wait for the disk.

use std::fs::File;
use std::future::Future;
use std::io;

use bytes::{Buf, Bytes};
use tokio::io::Interest;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::timeout;

use super::wire::WireError;
use crate::api::on_disk;
use crate::config::ANSWER_PAUSE_MAX;
use crate::core::Core;
use crate::log::{FileRange, Slice};

/// The pieces of a frame, in order.
#[derive(Debug)]
pub(super) struct Answer {
    pieces: Vec<Slice>,
}

impl Answer {
    pub(super) fn new(pieces: Vec<Slice>) -> Answer {
        Answer { pieces }
    }

    /// All of its bytes.
    #[cfg(test)]
    pub(super) fn read(self) -> bytes::BytesMut {
        self.pieces.into_iter().flat_map(Slice::read).collect()
    }

    /// The number of bytes in memory.
    fn bytes(&self) -> usize {
        let bytes = |piece: &Slice| if let Slice::Bytes(bytes) = piece { bytes.len() } else { 0 };
        self.pieces.iter().map(bytes).sum()
    }

    /// Sends it. The client may read it slowly, as long as it reads at all.
    pub(super) async fn send(self, mut socket: OwnedWriteHalf, core: &Core) -> Result<OwnedWriteHalf, WireError> {
        let _held = core.answers.hold(self.bytes());
        let mut pieces = self.pieces.into_iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                Slice::Bytes(bytes) => send_bytes(&socket, bytes, pieces.peek().is_some()).await?,
                Slice::File(range) => socket = send_file(socket, range, core).await?,
            }
        }
        Ok(socket)
    }
}

/// Sends bytes; with `more`, the operating system may keep them until the next piece.
async fn send_bytes(socket: &OwnedWriteHalf, mut bytes: Bytes, more: bool) -> Result<(), WireError> {
    while !bytes.is_empty() {
        within_pause(socket.writable()).await?;
        match socket.as_ref().try_io(Interest::WRITABLE, || system::send(socket, &bytes, more)) {
            Ok(sent) => bytes.advance(sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn send_file(mut socket: OwnedWriteHalf, mut range: FileRange, core: &Core) -> Result<OwnedWriteHalf, WireError> {
    while !range.is_empty() {
        within_pause(socket.writable()).await?;
        let sent;
        (socket, range, sent) = on_disk(core, move || {
            let sent = send_what_fits(&socket, &mut range);
            (socket, range, sent)
        })
        .await;
        sent?;
    }
    Ok(socket)
}

/// Sends until all is sent or the client has to read first.
fn send_what_fits(socket: &OwnedWriteHalf, range: &mut FileRange) -> Result<(), WireError> {
    let send = |file: &File, position: &mut u64, length| system::send_file(socket, file, position, length);
    while !range.is_empty() {
        match socket.as_ref().try_io(Interest::WRITABLE, || range.advance(send)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // EIO is of the file: a connection has other errors.
            Err(error) if error.raw_os_error() == Some(system::EIO) || is_cut(&error) => {
                return Err(WireError::Segment(error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn is_cut(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// Waits for a client that reads.
async fn within_pause<T>(waiting: impl Future<Output = io::Result<T>>) -> Result<T, WireError> {
    Ok(timeout(ANSWER_PAUSE_MAX, waiting).await.map_err(|_| WireError::ResponseTimeout)??)
}

/// The calls of the operating system.
mod system {
    use std::fs::File;
    use std::io;

    use rustix::net::SendFlags;
    use tokio::net::tcp::OwnedWriteHalf;

    pub(super) const EIO: i32 = rustix::io::Errno::IO.raw_os_error();

    /// That more follows is only told where it can be.
    #[cfg(target_os = "linux")]
    const MORE: SendFlags = SendFlags::MORE;
    #[cfg(not(target_os = "linux"))]
    const MORE: SendFlags = SendFlags::empty();

    pub(super) fn send(socket: &OwnedWriteHalf, bytes: &[u8], more: bool) -> io::Result<usize> {
        let flags = if more { MORE } else { SendFlags::empty() };
        Ok(rustix::net::send(socket.as_ref(), bytes, flags)?)
    }

    #[cfg(target_os = "linux")]
    pub(super) fn send_file(
        socket: &OwnedWriteHalf,
        file: &File,
        position: &mut u64,
        length: usize,
    ) -> io::Result<usize> {
        Ok(rustix::fs::sendfile(socket.as_ref(), file, Some(position), length)?)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn send_file(
        socket: &OwnedWriteHalf,
        file: &File,
        position: &mut u64,
        length: usize,
    ) -> io::Result<usize> {
        let mut bytes = vec![0; length.min(64 << 10)];
        let read = std::os::unix::fs::FileExt::read_at(file, &mut bytes, *position)?;
        send(socket, &bytes[..read], false)
    }
}
