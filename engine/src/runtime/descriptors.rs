//! The open files of this process, whose number the system limits. Each query holds connections and pipes of
//! librdkafka, about eight while it is suspended, and a query that gets none stalls silently.

use std::fs;

/// Share of the limit, in percent, at which to warn.
const NEAR_PERCENT: usize = 95;

/// Descriptors that a query needs while it starts and works.
const WORKING_QUERY: usize = 25;

/// Descriptors that are reserved for statements and for queries that wake up.
const RESERVED: usize = 30;

/// Logs once when descriptors run out, and again if that happens after there were enough.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    is_near: bool,
}

/// How many more queries there are descriptors for now.
pub(super) fn room_for_queries() -> usize {
    let Some((used, limit)) = used_and_limit() else { return usize::MAX };
    limit.saturating_sub(used + RESERVED) / WORKING_QUERY
}

impl Descriptors {
    /// Checks how many descriptors are in use, with this many queries that run and that wait to be started. Does nothing on
    /// systems without `/proc`.
    pub(super) fn look(&mut self, queries: usize, waiting: usize) {
        let Some((used, limit)) = used_and_limit() else { return };
        let is_near = waiting > 0 || used.saturating_mul(100) >= limit.saturating_mul(NEAR_PERCENT);
        if is_near && !self.is_near {
            let hint = "queries may wait or stall; raise the hard limit (ulimit -Hn, LimitNOFILE=)";
            tracing::error!(used, limit, queries, waiting, hint, "process has reached its limit of open files");
        }
        self.is_near = is_near;
    }
}

fn used_and_limit() -> Option<(usize, usize)> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    Some((fs::read_dir("/proc/self/fd").ok()?.count(), soft_limit(&limits)?))
}

/// The soft limit of open files; `None` if unlimited.
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
