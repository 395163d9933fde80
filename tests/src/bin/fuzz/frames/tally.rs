//! How many frames were sent, and what became of them: counters that all senders share.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The counters.
#[derive(Debug, Default)]
pub struct Tally {
    /// Number of frames to send.
    target: u64,
    answered: AtomicU64,
    ended: AtomicU64,
    unanswered: AtomicU64,
    silent: AtomicU64,
    connections: AtomicU64,
    stopped: AtomicBool,
}

impl Tally {
    /// Nothing of this many frames.
    pub fn new(target: u64) -> Self {
        Self { target, ..Self::default() }
    }

    /// Number of frames that the broker has looked at.
    pub fn frames(&self) -> u64 {
        [&self.answered, &self.ended, &self.unanswered, &self.silent]
            .map(|count| count.load(Ordering::Relaxed))
            .iter()
            .sum()
    }

    /// Whether enough was sent, or something failed.
    pub fn is_complete(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.frames() >= self.target
    }

    /// Has all senders end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// A frame was answered.
    pub fn count_answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// A frame made the broker close its connection.
    pub fn count_ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Frames were not answered, and later ones were: they wanted no answer.
    pub fn count_unanswered(&self, frames: usize) {
        self.unanswered.fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// The broker was still busy with a frame, or waiting for something.
    pub fn count_silent(&self) {
        self.silent.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was opened.
    pub fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [answered, ended, unanswered, silent, connections] =
            [&self.answered, &self.ended, &self.unanswered, &self.silent, &self.connections]
                .map(|count| count.load(Ordering::Relaxed));
        write!(
            f,
            "{} frames: {answered} answered, {unanswered} wanted no answer, {ended} ended their connection, {silent} waited too \
             long; {connections} connections",
            self.frames()
        )
    }
}
