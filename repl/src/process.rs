//! System resources of this process: file descriptors, and whether standard output is open.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Raises the number of files that may be open to the maximum that the system permits: each query has several
/// connections and pipes. Nothing changes if the system refuses.
pub fn raise_descriptors() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// Whether standard output was closed at the start (`>&-`).
static OUTPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Runs before Rust replaces closed descriptors with `/dev/null`. Afterwards it would look the same as a service
/// manager or library that starts programs without output, which also opens `/dev/null` for reading.
#[ctor::ctor(unsafe)]
fn look_at_output() {
    let descriptors = Path::new("/proc/self/fd");
    let is_closed = descriptors.exists() && descriptors.join("1").symlink_metadata().is_err();
    OUTPUT_WAS_CLOSED.store(is_closed, Ordering::Relaxed);
}

/// Whether standard output was closed at the start (`>&-`), if the system reports it.
pub fn output_is_closed() -> bool {
    OUTPUT_WAS_CLOSED.load(Ordering::Relaxed)
}

/// Explains panics that mean that a thread could not be started, which also occur in libraries.
pub fn report_panics() {
    let standard = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let words = headwater_formats::panic::words(panic.payload());
        match words.contains("spawn") && words.contains("thread") {
            true => eprintln!(
                "headwater: could not start a thread: the system's limit is reached (ulimit -u, or available memory)"
            ),
            false => standard(panic),
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        raise_descriptors();
        let limits = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap();
        assert_eq!(limits.0, limits.1);
    }
}
