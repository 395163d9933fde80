//! How long look-ups took.

use std::time::{Duration, Instant};

/// How long look-ups took, and how much CPU time.
pub struct Latencies {
    begun: Instant,
    seconds: f64,
    micros: Vec<f64>,
    cpu_seconds: f64,
}

impl Latencies {
    /// None yet.
    pub fn new() -> Self {
        Self { begun: Instant::now(), seconds: 0.0, micros: Vec::new(), cpu_seconds: 0.0 }
    }

    /// When the first of them began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.micros.len()
    }

    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.micros.push(latency.as_secs_f64() * 1e6);
    }

    /// They ended now.
    pub fn ended(mut self) -> Self {
        self.seconds = self.begun.elapsed().as_secs_f64();
        self.micros.sort_by(f64::total_cmp);
        self
    }

    /// Adds those of another session that looked up at the same time.
    pub fn join(&mut self, other: Self) {
        self.seconds = self.seconds.max(other.seconds);
        self.micros.extend(other.micros);
        self.micros.sort_by(f64::total_cmp);
    }

    /// All of them took this much CPU time.
    pub fn cost(&mut self, cpu_seconds: f64) {
        self.cpu_seconds = cpu_seconds;
    }

    /// The CPU time of one, in microseconds.
    pub fn cpu_micros(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.count() as f64
    }

    /// How many per second.
    pub fn rate(&self) -> f64 {
        self.count() as f64 / self.seconds
    }

    /// The time in microseconds that this share of them did not exceed.
    pub fn percentile(&self, percent: usize) -> f64 {
        self.micros.get(self.micros.len() * percent / 100).copied().unwrap_or(f64::NAN)
    }
}
