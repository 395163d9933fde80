//! How many files and sockets this process can open, and how the broker divides them.
//!
//! Separate because both the listener and the cache of segment files depend on it. The limit is read from `/proc`,
//! which needs neither unsafe code nor another dependency; without `/proc` the usual limit is assumed.

/// The limit to assume if it cannot be read: the usual soft limit.
const LIMIT_ASSUMED: usize = 1_024;
/// The minimum number of connections, however low the limit is.
const CONNECTIONS_MIN: usize = 16;
/// The minimum and maximum number of segment files that are kept open.
const SEGMENT_FILES: std::ops::RangeInclusive<usize> = 16..=4_000;

/// The broker's share of the file descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// The soft limit of the process.
    pub(crate) limit: usize,
    /// The maximum number of connections.
    pub(crate) connections_max: usize,
    /// The maximum number of open segment files.
    pub(crate) segment_files_max: usize,
}

impl Descriptors {
    /// Divides the current limit of this process.
    pub(crate) fn of_process() -> Descriptors {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Descriptors::divided(soft_limit(&limits).unwrap_or(LIMIT_ASSUMED))
    }

    /// Half for connections and a quarter for segments. The rest is left to the other parts of the process, which may
    /// include clients of this broker.
    fn divided(limit: usize) -> Descriptors {
        Descriptors {
            limit,
            connections_max: (limit / 2).max(CONNECTIONS_MIN),
            segment_files_max: (limit / 4).clamp(*SEGMENT_FILES.start(), *SEGMENT_FILES.end()),
        }
    }
}

/// The soft limit from the contents of `/proc/self/limits`.
fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX / 2),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit  Hard Limit  Units\nMax open files            {soft}        524288      files\n"
            )
        };
        assert_eq!(soft_limit(&limits("1024")), Some(1_024));
        assert!(soft_limit(&limits("unlimited")).is_some_and(|limit| limit > 1 << 40));
        assert_eq!(soft_limit(""), None);
    }

    #[test]
    fn more_descriptors_are_more_connections() {
        let connections = |limit| Descriptors::divided(limit).connections_max;
        assert_eq!([8, 64, 1_024, 1 << 20].map(connections), [16, 32, 512, 1 << 19]);
        for limit in [64, 1_024, 4_096] {
            let Descriptors { connections_max, segment_files_max, .. } = Descriptors::divided(limit);
            assert!(connections_max + segment_files_max <= limit * 3 / 4);
        }
    }
}
