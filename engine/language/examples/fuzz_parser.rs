//! Fuzzes the parser from a seed: `cargo run --release -p headwater-language --example fuzz_parser -- SEED COUNT`.
//!
//! A panic ends it with the input that caused it; the same seed finds it again.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures")]

#[path = "../tests/fuzz/mod.rs"]
mod fuzz;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fuzz::{Rng, check, input};

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|it| it.parse().ok()).collect();
    let [seed, count] = numbers[..] else {
        eprintln!("usage: fuzz_parser SEED COUNT");
        return ExitCode::FAILURE;
    };
    let begun = Instant::now();
    let (mut rng, mut read, mut bytes, mut slowest) = (Rng(seed), 0, 0, (Duration::ZERO, String::new()));
    for _ in 0..count {
        let text = input(&mut rng);
        let one = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| check(&text))) {
            Ok(statements) => read += statements,
            Err(_) => {
                eprintln!("input: {text:?}");
                return ExitCode::FAILURE;
            }
        }
        bytes += text.len();
        if one.elapsed() > slowest.0 {
            slowest = (one.elapsed(), text);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{count} inputs, {read} statements read, {:.1} MB, no panic", bytes as f64 / 1e6);
    println!("{:.0} inputs/s; slowest {:?}: {:?}", count as f64 / seconds, slowest.0, slowest.1);
    ExitCode::SUCCESS
}
