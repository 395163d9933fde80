//! Reading frames: memory is allocated for bytes that have arrived, never for a length that is merely announced.
//!
//! Separate because a length is only a client's claim. The buffer of a frame grows as it fills; beyond a small size,
//! its growth is taken from a budget that all connections share. A frame that stops arriving is abandoned.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::wire::{LENGTH_BYTES, WireError};
use crate::config::{REQUEST_BYTES_IN_FLIGHT_MAX, REQUEST_BYTES_MAX, REQUEST_PAUSE_MAX};

/// The number of bytes of a frame that need no budget, so that small requests such as heartbeats are never held up.
const FREE_BYTES: usize = 16 << 10;
/// The factor by which a full buffer grows.
const GROWTH: usize = 4;
/// The minimum number of bytes (or the rest of the frame) that must arrive within [`REQUEST_PAUSE_MAX`].
const PROGRESS_BYTES_MIN: usize = 64 << 10;

/// The memory for requests that all connections share, and how long a frame that uses it may make no progress.
#[derive(Debug)]
pub(super) struct Budget {
    pause_max: Duration,
    shared: Semaphore,
    /// Lets one frame at a time continue although the shared memory is used up; otherwise frames that have arrived in
    /// part would wait for each other.
    beyond: Semaphore,
}

/// A frame's share of the budget, held until this is dropped.
#[derive(Debug, Default)]
pub(super) struct Held<'a> {
    shared: Option<SemaphorePermit<'a>>,
    beyond: Option<SemaphorePermit<'a>>,
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget::of(REQUEST_BYTES_IN_FLIGHT_MAX, REQUEST_PAUSE_MAX)
    }

    fn of(bytes: usize, pause_max: Duration) -> Budget {
        Budget { pause_max, shared: Semaphore::new(bytes), beyond: Semaphore::new(1) }
    }

    async fn grow<'a>(&'a self, held: &mut Held<'a>, bytes: usize) {
        if held.beyond.is_some() {
            return;
        }
        let bytes = bytes as u32; // at most REQUEST_BYTES_MAX
        let permit = match self.shared.try_acquire_many(bytes) {
            Ok(permit) => Ok(permit),
            Err(_) => tokio::select! {
                permit = self.shared.acquire_many(bytes) => permit,
                beyond = self.beyond.acquire() => {
                    held.beyond = beyond.ok();
                    return;
                }
            },
        };
        match (permit, &mut held.shared) {
            (Ok(permit), Some(shared)) => shared.merge(permit),
            (permit, shared) => *shared = permit.ok(), // the semaphore is never closed
        }
    }
}

/// The length of the next frame; `None` at the end of the connection. There is no time limit between frames.
pub(super) async fn read_length(
    socket: &mut (impl AsyncRead + Unpin),
    budget: &Budget,
) -> Result<Option<usize>, WireError> {
    let mut prefix = [0; LENGTH_BYTES];
    let first = socket.read(&mut prefix).await?;
    if first == 0 {
        return Ok(None);
    }
    timeout(budget.pause_max, socket.read_exact(&mut prefix[first..]))
        .await
        .map_err(|_| WireError::RequestTimeout)??;
    match usize::try_from(i32::from_be_bytes(prefix)) {
        Ok(bytes) if bytes <= REQUEST_BYTES_MAX => Ok(Some(bytes)),
        _ => Err(WireError::length(prefix)),
    }
}

/// The frame, with its share of the budget.
pub(super) async fn read_frame<'a>(
    socket: &mut (impl AsyncRead + Unpin),
    length: usize,
    budget: &'a Budget,
) -> Result<(Bytes, Held<'a>), WireError> {
    let mut held = Held::default();
    let mut room = length.min(FREE_BYTES);
    let mut frame = BytesMut::with_capacity(room);
    while frame.len() < length {
        if frame.len() == room {
            let grown = length.min(room * GROWTH);
            budget.grow(&mut held, grown - room).await;
            frame.reserve(grown - room);
            room = grown;
        }
        fill(socket, &mut frame, room, budget.pause_max).await?;
    }
    Ok((frame.freeze(), held))
}

/// Reads until the frame has `room` bytes.
async fn fill(
    socket: &mut (impl AsyncRead + Unpin),
    frame: &mut BytesMut,
    room: usize,
    pause_max: Duration,
) -> Result<(), WireError> {
    let (mut until, mut arrived) = (Instant::now() + pause_max, 0);
    while frame.len() < room {
        let missing = room - frame.len();
        let mut remaining = (&mut *frame).limit(missing);
        match timeout_at(until, socket.read_buf(&mut remaining)).await {
            Ok(read) => match read? {
                0 => return Err(WireError::Io(std::io::ErrorKind::UnexpectedEof.into())),
                bytes => arrived += bytes,
            },
            Err(_) if arrived < PROGRESS_BYTES_MIN => return Err(WireError::RequestTimeout),
            Err(_) => (until, arrived) = (Instant::now() + pause_max, 0),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn what_is_announced_takes_nothing_and_what_arrives_does() {
        let budget = Budget::new();
        let (mut client, mut server) = tokio::io::duplex(1 << 20);
        let length = 90 << 20;
        let reading = read_frame(&mut server, length, &budget);
        let sending = async {
            client.write_all(&vec![7; 100_000]).await.expect("writes");
            tokio::time::sleep(Duration::from_millis(50)).await;
            let taken = REQUEST_BYTES_IN_FLIGHT_MAX - budget.shared.available_permits();
            assert!(taken <= 100_000 * GROWTH, "{taken}");
            let remaining = vec![7; length - 100_000];
            client.write_all(&remaining).await.expect("writes");
        };
        let ((), read) = tokio::join!(sending, reading);
        let (frame, held) = read.expect("arrives");
        assert!(frame.len() == length && frame.iter().all(|byte| *byte == 7));
        assert_eq!(budget.shared.available_permits(), REQUEST_BYTES_IN_FLIGHT_MAX - length + FREE_BYTES);
        drop(held);
        assert_eq!(budget.shared.available_permits(), REQUEST_BYTES_IN_FLIGHT_MAX);
    }

    /// Goal: frames that have arrived in part do not block each other forever. Method: a budget that is too small for
    /// two frames, and several are sent.
    #[tokio::test]
    async fn one_frame_always_goes_on() {
        let budget = Budget::of(1 << 20, REQUEST_PAUSE_MAX);
        let length = 900_000;
        let send_and_read = || async {
            let (mut client, mut server) = tokio::io::duplex(1 << 10);
            let sent = vec![7; length];
            let (read, written) = tokio::join!(read_frame(&mut server, length, &budget), client.write_all(&sent));
            written.expect("writes");
            assert_eq!(read.expect("arrives").0.len(), length);
        };
        let both = async { tokio::join!(send_and_read(), send_and_read(), send_and_read()) };
        tokio::time::timeout(Duration::from_secs(20), both).await.expect("nobody waits for ever");
    }

    #[tokio::test]
    async fn a_frame_that_stops_or_trickles_is_not_waited_for() {
        let budget = Budget::of(1 << 20, Duration::from_millis(200));
        let (mut client, mut server) = tokio::io::duplex(1 << 10);
        client.write_all(&[0, 0]).await.expect("writes");
        assert!(matches!(read_length(&mut server, &budget).await, Err(WireError::RequestTimeout)));
        client.write_all(&[1; 10]).await.expect("writes");
        assert!(matches!(read_frame(&mut server, 11, &budget).await, Err(WireError::RequestTimeout)));
        let trickling = tokio::spawn(async move {
            while client.write_all(&[1]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(matches!(read_frame(&mut server, 1_000, &budget).await, Err(WireError::RequestTimeout)));
        drop(server);
        trickling.await.expect("ends");
    }
}
