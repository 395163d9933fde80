//! Open files of this process, which the system limits: every query holds connections and pipes of librdkafka, about eight
//! while it rests, and one that gets none stalls without a word of its own.

use std::fs;

/// Share of the limit from which on it is said, in percent.
const NEAR_PERCENT: usize = 95;

/// What a query needs while it starts and works.
const WORKING_QUERY: usize = 25;

/// What is left for statements, and for queries that wake.
const RESERVED: usize = 30;

/// Says once that descriptors run out, and again when they did so after there were enough.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    is_near: bool,
}

/// How many queries more there are descriptors for now.
pub(super) fn room_for_queries() -> usize {
    let Some((used, limit)) = used_and_limit() else { return usize::MAX };
    limit.saturating_sub(used + RESERVED) / WORKING_QUERY
}

impl Descriptors {
    /// Looks how many there are, for so many queries that run and so many that wait to be started. Systems without `/proc`
    /// say nothing.
    pub(super) fn look(&mut self, queries: usize, waiting: usize) {
        let Some((used, limit)) = used_and_limit() else { return };
        let is_near = waiting > 0 || used.saturating_mul(100) >= limit.saturating_mul(NEAR_PERCENT);
        if is_near && !self.is_near {
            let hint = "queries wait until others rest, or stall; raise the hard limit (ulimit -Hn, LimitNOFILE=)";
            tracing::error!(used, limit, queries, waiting, hint, "open files have reached the limit of this process");
        }
        self.is_near = is_near;
    }
}

fn used_and_limit() -> Option<(usize, usize)> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    Some((fs::read_dir("/proc/self/fd").ok()?.count(), soft_limit(&limits)?))
}

/// The soft limit of open files; none when there is no limit.
fn soft_limit(limits: &str) -> Option<usize> {
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_as_the_kernel_writes_it() {
        let line = "Max open files            1024                 1048576              files     \n";
        assert_eq!(soft_limit(&format!("Limit  Soft Limit\n{line}")), Some(1024));
        assert_eq!(soft_limit("Max open files            unlimited            unlimited            files"), None);
        assert_eq!(soft_limit(""), None);
    }
}
