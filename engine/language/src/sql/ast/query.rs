//! Queries: sqlparser's tree, and the clauses that only exist for streams.

use super::{Expr, Spanned};
use crate::diagnostic::Span;

/// A query: standard SQL, and the clauses that only exist for streams.
///
/// These clauses belong to the outermost SELECT; of them, a query with set operations can only have EMIT.
#[derive(Clone, Debug)]
pub struct Query {
    /// The query without the clauses below.
    pub body: Box<sqlparser::ast::Query>,
    /// `WINDOW TUMBLING (…)` and the like; a named SQL window is part of `body`.
    pub window: Option<Spanned<Window>>,
    /// `PARTITION BY …` of the outermost SELECT.
    pub partition_by: Option<Spanned<Vec<Expr>>>,
    /// `WITHIN …` of joins, in the order of the joins.
    pub within: Vec<Spanned<Within>>,
    /// `EMIT CHANGES` or `EMIT FINAL`; none for a bounded query.
    pub emit: Option<Spanned<Emit>>,
    /// The position of the whole query.
    pub span: Span,
}

/// When a continuous query emits its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// Every change, as it happens.
    Changes,
    /// Each window's final result, when it closes.
    Final,
}

/// `WINDOW …` of a grouped query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How records are assigned to windows.
    pub kind: WindowKind,
    /// `RETENTION`: how long a window can be read.
    pub retention: Option<Duration>,
    /// `GRACE PERIOD`: how late a record may be.
    pub grace: Option<Duration>,
}

/// How records are assigned to windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// Adjacent windows of one size.
    Tumbling {
        /// The length of a window.
        size: Duration,
    },
    /// Overlapping windows of one size.
    Hopping {
        /// The length of a window.
        size: Duration,
        /// The time from the start of one window to the start of the next.
        advance: Duration,
    },
    /// Windows that end after a period without records.
    Session {
        /// The length of that period.
        gap: Duration,
    },
}

/// `WITHIN …` of a join of two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    /// Index of the join in the outermost SELECT, from 0 in text order.
    pub join: usize,
    /// How much earlier than the left record the right record may be.
    pub before: Duration,
    /// How much later than the left record the right record may be.
    pub after: Duration,
    /// `GRACE PERIOD`: how late a record may be.
    pub grace: Option<Duration>,
}

/// A length of time such as `5 MINUTES`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration {
    /// The number of units.
    pub count: u64,
    /// The unit.
    pub unit: TimeUnit,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// 1 ms.
    Milliseconds,
    /// 1,000 ms.
    Seconds,
    /// 60 s.
    Minutes,
    /// 60 min.
    Hours,
    /// 24 h.
    Days,
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body
            && self.window == other.window
            && self.partition_by == other.partition_by
            && self.within == other.within
            && self.emit == other.emit
    }
}

impl Query {
    /// True without EMIT: the query reads up to the ends that its topics had when it started.
    pub fn is_bounded(&self) -> bool {
        self.emit.is_none()
    }
}

impl Duration {
    /// Its length in milliseconds; none if that exceeds 63 bits.
    pub fn ms(&self) -> Option<i64> {
        self.count.checked_mul(self.unit.ms()).and_then(|ms| i64::try_from(ms).ok())
    }
}

impl TimeUnit {
    /// The number of milliseconds in one unit.
    pub fn ms(self) -> u64 {
        match self {
            Self::Milliseconds => 1,
            Self::Seconds => 1_000,
            Self::Minutes => 60_000,
            Self::Hours => 3_600_000,
            Self::Days => 86_400_000,
        }
    }
}
