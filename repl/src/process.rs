//! What this process has of the system: descriptors, and a standard output that is open.

/// Raises the number of files that may be open to what the system permits: each query holds about a dozen connections
/// and pipes. A system that refuses leaves it as it is.
pub fn raise_descriptors() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// True when standard output was closed before the start (`>&-`). Rust puts `/dev/null` in its place, open for reading, too,
/// which no shell does.
pub fn output_is_closed() -> bool {
    let target = std::fs::read_link("/proc/self/fd/1").ok();
    let is_null = target.is_some_and(|path| path.as_os_str() == "/dev/null");
    is_null && std::fs::read_to_string("/proc/self/fdinfo/1").is_ok_and(|info| is_read_write(&info))
}

/// Whether the flags of a descriptor, in octal, say `O_RDWR`.
fn is_read_write(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & 0o3 == 0o2)
}

/// Says in words why a thread could not be started, where that is what a panic says: libraries start threads, too.
pub fn report_panics() {
    let standard = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let words = headwater_connectors::panic::words(panic.payload());
        match words.contains("spawn") && words.contains("thread") {
            true => eprintln!(
                "headwater: could not start a thread: the system permits no more (ulimit -u, or the memory that is left)"
            ),
            false => standard(panic),
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read() {
        assert!(is_read_write("pos:\t0\nflags:\t0100002\nmnt_id:\t5\n"));
        assert!(!is_read_write("pos:\t0\nflags:\t0100001\n") && !is_read_write(""));
    }

    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        raise_descriptors();
        let limits = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap();
        assert_eq!(limits.0, limits.1);
    }
}
