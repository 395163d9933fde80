//! A connection that sends damaged frames, many at a time, and counts what became of each.
//!
//! The broker answers the requests of a connection in order, and closes it at the first frame that it cannot read. What was sent
//! after that frame was not looked at, and is sent again on the next connection.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::mutation::{CORRELATION_ID, Frame, LENGTH_BYTES, Mutator, framed};
use super::tally::Tally;

/// Number of frames that are sent before their answers are read. All of them fit into the buffers of a socket.
const AHEAD: usize = 32;
/// How long to wait for an answer. Some requests may wait much longer, such as a fetch of records to come; their connection is
/// given up.
const PATIENCE: Duration = Duration::from_millis(20);
const BUFFER_BYTES: usize = 64 << 10;

/// Sends frames to a broker.
#[derive(Debug)]
pub struct Sender<'a> {
    address: SocketAddr,
    mutator: Mutator,
    /// A request that is always answered; it follows the others, some of which want no answer.
    question: Vec<u8>,
    tally: &'a Tally,
    /// Frames that the broker has not looked at, with their correlation ids.
    pending: VecDeque<(i32, Frame)>,
    next_id: i32,
    /// What has arrived of answers.
    buffer: Vec<u8>,
}

/// Why no more answers come.
enum End {
    /// The question after the frames was answered.
    Answered,
    /// The broker has closed the connection.
    Closed,
    /// There was no answer for a while.
    Silent,
}

impl<'a> Sender<'a> {
    /// A sender; `question` is the body of a request that is always answered.
    pub fn new(address: SocketAddr, mutator: Mutator, question: &[u8], tally: &'a Tally) -> Self {
        let (question, buffer) = (question.to_vec(), vec![0; BUFFER_BYTES]);
        Self { address, mutator, question, tally, pending: VecDeque::new(), next_id: 0, buffer }
    }

    /// Sends until all senders together have sent enough. Fails when the broker accepts no connection or answers what was not
    /// asked.
    pub fn send(&mut self) -> io::Result<()> {
        while !self.tally.is_complete() {
            let mut socket = TcpStream::connect(self.address)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            self.tally.count_connection();
            while !self.tally.is_complete() && self.send_some(&mut socket)? {}
        }
        Ok(())
    }

    /// Sends a number of frames and reads their answers. Returns whether the connection can be used further.
    fn send_some(&mut self, socket: &mut TcpStream) -> io::Result<bool> {
        let (bytes, ends_with, is_last) = self.prepare();
        // When the broker closes the connection before it has read everything, this fails, and there may be answers.
        let _ = socket.write_all(&bytes);
        if is_last {
            let _ = socket.shutdown(Shutdown::Write);
        }
        match self.receive(socket, ends_with)? {
            End::Answered => {
                self.tally.count_unanswered(self.pending.len());
                self.pending.clear();
                return Ok(true);
            }
            End::Closed => self.tally.count_ended(),
            End::Silent => self.tally.count_silent(),
        }
        self.pending.pop_front();
        Ok(false)
    }

    /// The bytes of the next frames, the id of the question after them, and whether the last one ends the connection; then there is
    /// no question.
    fn prepare(&mut self) -> (Vec<u8>, i32, bool) {
        while self.pending.len() < AHEAD && self.pending.back().is_none_or(|(_, frame)| !frame.is_last) {
            let id = self.fresh_id();
            self.pending.push_back((id, self.mutator.next(id)));
        }
        let is_last = self.pending.back().is_some_and(|(_, frame)| frame.is_last);
        let mut bytes = self.pending.iter().flat_map(|(_, frame)| &frame.bytes).copied().collect::<Vec<u8>>();
        let id = self.fresh_id();
        if !is_last {
            self.question[CORRELATION_ID].copy_from_slice(&id.to_be_bytes());
            bytes.extend(framed(self.question.len() as i32, &self.question));
        }
        (bytes, id, is_last)
    }

    fn fresh_id(&mut self) -> i32 {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.next_id
    }

    /// Reads answers until the one with the id `ends_with`, and removes the frames before and at each answer.
    fn receive(&mut self, socket: &mut TcpStream, ends_with: i32) -> io::Result<End> {
        let mut filled = 0;
        loop {
            match socket.read(&mut self.buffer[filled..]) {
                Ok(0) => return Ok(End::Closed),
                Ok(bytes) => filled += bytes,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(End::Silent);
                }
                Err(_) => return Ok(End::Closed),
            }
            let mut from = 0;
            while let Some((id, length)) = answer(&self.buffer[from..filled]) {
                if id == ends_with {
                    return Ok(End::Answered);
                }
                self.answered(id)?;
                from += length;
            }
            self.buffer.copy_within(from..filled, 0);
            filled -= from;
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
        }
    }

    fn answered(&mut self, id: i32) -> io::Result<()> {
        let Some(at) = self.pending.iter().position(|(pending, _)| *pending == id) else {
            // What follows the frame with a wrong length is a request of its own.
            let may_be = self.pending.back().is_some_and(|(_, frame)| frame.is_last);
            return if may_be {
                Ok(())
            } else {
                Err(io::Error::other(format!("an answer to {id}, which nobody has asked")))
            };
        };
        self.tally.count_answered();
        self.tally.count_unanswered(at);
        self.pending.drain(..=at);
        Ok(())
    }
}

/// The id and the length of the first answer in a buffer, if all of it is there.
fn answer(bytes: &[u8]) -> Option<(i32, usize)> {
    let length = bytes.first_chunk().map(|length| u32::from_be_bytes(*length) as usize + LENGTH_BYTES)?;
    let id = bytes.get(LENGTH_BYTES..LENGTH_BYTES * 2)?.try_into().ok().map(i32::from_be_bytes)?;
    (length <= bytes.len()).then_some((id, length))
}
