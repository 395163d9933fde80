//! What a store costs for each row of a COUNT per key: in memory, and beyond a limit.
//!
//! ```text
//! cargo bench -p headwater-disk -- --keys 10000000 [--memory 512] [--rows 10000000] [--batch 12000] [--commit 600000] [--distinct 1]
//! ```
//!
//! Keys have 16 bytes and values 40, as in the measurements of other stores. All keys are put once; then rows update keys at
//! random, and at last all keys are restored into another store in batches of `--batch`. With `--distinct 1`, no key is updated
//! twice in an epoch, however few keys there are: then an epoch writes as many keys to the changelog.
//!
//! Prints rows per second, CPU seconds per million rows (of all threads), the memory that the store reports, and the memory of the
//! process; and for each phase the CPU seconds of this thread per million rows in each call of the store, and the keys sealed.

use std::collections::BTreeMap;
use std::time::Instant;

use arrow::array::{Array, BinaryArray};
use headwater_state::{MemoryStore, Storage, Store};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Options {
    keys: u64,
    rows: u64,
    batch: u64,
    commit: u64,
    memory: Option<usize>,
    distinct: bool,
}

/// The CPU seconds of this thread in the calls of the store, and the keys that were sealed.
#[derive(Default)]
struct Costs {
    get: f64,
    put: f64,
    seal: f64,
    commit: f64,
    settle: f64,
    sealed: usize,
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
        distinct: value("--distinct", 0) > 0,
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
fn count(store: &mut MemoryStore, numbers: &[u64], costs: &mut Costs) {
    let keys = BinaryArray::from_iter_values(numbers.iter().map(|number| key(*number)));
    let before = timed(&mut costs.get, || store.get(0, &keys).expect("the disk works"));
    let values = (0..keys.len()).map(|row| {
        let mut value = [0_u8; 40];
        let rows =
            if before.is_valid(row) { before.value(row)[..8].try_into().map_or(0, u64::from_be_bytes) } else { 0 };
        value[..8].copy_from_slice(&(rows + 1).to_be_bytes());
        value
    });
    let values = BinaryArray::from_iter_values(values);
    timed(&mut costs.put, || store.put(0, &keys, &values));
}

/// Calls `call` and adds the CPU seconds of this thread.
fn timed<T>(cpu: &mut f64, call: impl FnOnce() -> T) -> T {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("it is always known").num_nanoseconds();
    let start = now();
    let result = call();
    *cpu += (now() - start) as f64 / 1e9;
    result
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

fn commit(store: &mut MemoryStore, costs: &mut Costs) {
    costs.sealed += timed(&mut costs.seal, || store.seal().expect("the disk works").keys.len());
    timed(&mut costs.commit, || store.commit());
    timed(&mut costs.settle, || store.settle());
}

/// Processes rows whose keys `next` returns.
fn phase(name: &str, store: &mut MemoryStore, options: &Options, rows: u64, mut next: impl FnMut(u64) -> u64) {
    let (start, cpu, mut open, mut slowest) = (Instant::now(), cpu_s(), 0, 0.0_f64);
    let mut costs = Costs::default();
    for from in (0..rows).step_by(options.batch as usize) {
        let mut numbers: Vec<u64> = (from..rows.min(from + options.batch)).map(&mut next).collect();
        numbers.sort_unstable();
        numbers.dedup();
        count(store, &numbers, &mut costs);
        open += options.batch;
        if open >= options.commit || store.is_full() {
            let begin = Instant::now();
            commit(store, &mut costs);
            slowest = slowest.max(begin.elapsed().as_secs_f64());
            open = 0;
        }
    }
    commit(store, &mut costs);
    report(name, rows, (start.elapsed().as_secs_f64(), cpu_s() - cpu), store);
    let [get, put, seal, commit, settle] =
        [costs.get, costs.put, costs.seal, costs.commit, costs.settle].map(|cpu| cpu / (rows as f64 / 1e6));
    println!(
        "         get {get:.3}  put {put:.3}  seal {seal:.3}  commit {commit:.3}  settle {settle:.3}   {:.3} keys sealed per row   \
         slowest commit {slowest:.2} s",
        costs.sealed as f64 / rows as f64
    );
}

/// Restores all keys, in the order in which they were created, into another store.
fn restore(options: &Options, storage: &Storage) {
    let mut store = MemoryStore::within(storage);
    let (start, cpu) = (Instant::now(), cpu_s());
    let (mut rows, mut inside) = (0, 0.0);
    while rows < options.keys {
        let numbers = rows..options.keys.min(rows + options.batch);
        rows = numbers.end;
        let window = [0; size_of::<i64>()];
        let keys = BinaryArray::from_iter_values(numbers.clone().map(|number| [&key(number)[..], &window].concat()));
        let values = BinaryArray::from_iter_values(numbers.map(|_| [7; 40]));
        timed(&mut inside, || store.restore(&keys, &values).expect("the keys are right, and the disk works"));
    }
    report("restore", rows, (start.elapsed().as_secs_f64(), cpu_s() - cpu), &store);
    println!("         restore {:.3}", inside / (rows as f64 / 1e6));
}

fn report(name: &str, rows: u64, (seconds, cpu): (f64, f64), store: &MemoryStore) {
    let (million, megabytes) = (rows as f64 / 1e6, store.bytes() >> 20);
    println!(
        "{name:8} {:>10.0} rows/s {:>7.3} CPU-s/M   store {megabytes:>5} MB   process {:>5} MB",
        rows as f64 / seconds,
        cpu / million,
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
    for (name, seed) in [("update", 0x5555), ("again", 0xAAAA)] {
        let random = |row: u64| mixed(row ^ seed) % keys;
        // A step that is prime passes all keys before one comes again.
        let distinct = |row: u64| (row.wrapping_mul(1_000_000_007) + seed) % keys;
        phase(
            name,
            &mut store,
            &options,
            options.rows,
            |row| if options.distinct { distinct(row) } else { random(row) },
        );
    }
    println!("{} keys in the store", store.len());
    drop(store);
    restore(&options, &storage);
}
