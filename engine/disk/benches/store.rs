//! What a store costs for each row of a COUNT per key: in memory, and beyond a limit.
//!
//! ```text
//! cargo bench -p headwater-disk -- --keys 10000000 [--memory 512] [--rows 10000000] [--batch 12000] [--commit 600000]
//! ```
//!
//! Keys have 16 bytes and values 40, as in the measurements of other stores. All keys are put once; then rows update keys at
//! random. Prints rows per second, CPU seconds per million rows (of all threads), the memory that the store reports, and the
//! memory of the process.

use std::collections::BTreeMap;
use std::time::Instant;

use arrow::array::{Array, BinaryArray};
use headwater_state::{MemoryStore, Storage, Store};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Options {
    keys: u64,
    rows: u64,
    batch: u64,
    commit: u64,
    memory: Option<usize>,
}

fn options() -> Options {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let given: BTreeMap<&str, u64> =
        arguments.chunks(2).filter_map(|pair| Some((pair[0].as_str(), pair.get(1)?.parse().ok()?))).collect();
    let value = |name: &str, default| given.get(name).copied().unwrap_or(default);
    Options {
        keys: value("--keys", 1_000_000),
        rows: value("--rows", 10_000_000),
        batch: value("--batch", 12_000),
        commit: value("--commit", 600_000),
        memory: given.get("--memory").map(|megabytes| (*megabytes as usize) << 20),
    }
}

/// A number that looks random, and different for different numbers.
fn mixed(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    mixed ^ mixed >> 32
}

fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mixed(number).to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Reads the values of keys, and puts them back with one more row counted.
fn count(store: &mut MemoryStore, numbers: &[u64]) {
    let keys = BinaryArray::from_iter_values(numbers.iter().map(|number| key(*number)));
    let before = store.get(0, &keys).expect("the disk works");
    let values = (0..keys.len()).map(|row| {
        let mut value = [0_u8; 40];
        let rows =
            if before.is_valid(row) { before.value(row)[..8].try_into().map_or(0, u64::from_be_bytes) } else { 0 };
        value[..8].copy_from_slice(&(rows + 1).to_be_bytes());
        value
    });
    store.put(0, &keys, &BinaryArray::from_iter_values(values));
}

fn cpu_s() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it is always known");
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}

/// The memory of the process, in MB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or(0) >> 10
}

fn commit(store: &mut MemoryStore) {
    store.seal().expect("the disk works");
    store.commit();
}

/// Processes rows whose keys `next` returns.
fn phase(name: &str, store: &mut MemoryStore, options: &Options, rows: u64, mut next: impl FnMut(u64) -> u64) {
    let (start, cpu, mut open, mut slowest) = (Instant::now(), cpu_s(), 0, 0.0_f64);
    for from in (0..rows).step_by(options.batch as usize) {
        let mut numbers: Vec<u64> = (from..rows.min(from + options.batch)).map(&mut next).collect();
        numbers.sort_unstable();
        numbers.dedup();
        count(store, &numbers);
        open += options.batch;
        if open >= options.commit || store.is_full() {
            let begin = Instant::now();
            commit(store);
            slowest = slowest.max(begin.elapsed().as_secs_f64());
            open = 0;
        }
    }
    commit(store);
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_s() - cpu);
    let million = rows as f64 / 1e6;
    println!(
        "{name:8} {:>10.0} rows/s {:>7.3} CPU-s/M   slowest commit {slowest:.2} s   store {:>5} MB   process {:>5} MB",
        rows as f64 / seconds,
        cpu / million,
        store.bytes() >> 20,
        resident()
    );
}

fn main() {
    let options = options();
    let folder = std::env::temp_dir();
    let storage = options.memory.map_or_else(Storage::default, |bytes| headwater_disk::storage(bytes, &folder));
    let mut store = MemoryStore::within(&storage);
    let keys = options.keys;
    println!("{keys} keys, limit {:?} MB, process {} MB", options.memory.map(|bytes| bytes >> 20), resident());
    phase("insert", &mut store, &options, keys, |row| row);
    phase("update", &mut store, &options, options.rows, |row| mixed(row ^ 0x5555) % keys);
    phase("again", &mut store, &options, options.rows, |row| mixed(row ^ 0xAAAA) % keys);
    println!("{} keys in the store", store.len());
}
