//! How much memory the state of a process may have.

use std::fs::read_to_string;

use headwater_language::config::parse_percent;

/// What the machine has if the system does not say, in bytes.
const ASSUMED: usize = 4 << 30;

/// The value of a limit in bytes: a number of bytes, or a part of the memory in percent. `limit` is valid.
pub(super) fn memory_max(limit: &str, bytes: usize) -> usize {
    match parse_percent(limit) {
        Some(percent) => (machine() / 100).saturating_mul(percent.into()),
        None => bytes,
    }
}

/// The memory of the machine or, if that is less, of the container.
fn machine() -> usize {
    let of_container = read_to_string("/sys/fs/cgroup/memory.max")
        .or_else(|_| read_to_string("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let of_machine = read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    of_machine.unwrap_or(ASSUMED).min(of_container.unwrap_or(usize::MAX))
}

/// The total in the system's description of its memory.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_of_bytes_or_a_part_of_the_memory() {
        assert_eq!(memory_max("64MB", 64 << 20), 64 << 20);
        assert_eq!(memory_max("50%", 0), machine() / 100 * 50);
        assert!(machine() > 64 << 20);
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
        assert_eq!(total("nothing"), None);
    }
}
