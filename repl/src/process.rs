//! What this process has of the system: descriptors, and a standard output that is open.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Raises the number of files that may be open to what the system permits: each query holds several connections
/// and pipes. A system that refuses leaves it as it is.
pub fn raise_descriptors() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// Whether standard output was closed before the start (`>&-`).
static OUTPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks before Rust puts `/dev/null` in the place of what is closed: from then on it is the same as with a service manager
/// or a library that starts programs without output, which open `/dev/null` for reading, too.
#[ctor::ctor(unsafe)]
fn look_at_output() {
    let descriptors = Path::new("/proc/self/fd");
    let is_closed = descriptors.exists() && descriptors.join("1").symlink_metadata().is_err();
    OUTPUT_WAS_CLOSED.store(is_closed, Ordering::Relaxed);
}

/// True when standard output was closed before the start (`>&-`), where the system tells.
pub fn output_is_closed() -> bool {
    OUTPUT_WAS_CLOSED.load(Ordering::Relaxed)
}

/// Says in words why a thread could not be started, where that is what a panic says: libraries start threads, too.
pub fn report_panics() {
    let standard = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let words = headwater_formats::panic::words(panic.payload());
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
    fn the_limit_is_raised_to_the_hard_one() {
        raise_descriptors();
        let limits = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap();
        assert_eq!(limits.0, limits.1);
    }
}
