//! Queries: sqlparser's tree, and beside it the clauses that only streams have.

use super::{Expr, Spanned};
use crate::diagnostic::Span;

/// A query: standard SQL, and beside it the clauses that only streams have.
///
/// Those clauses belong to the outermost SELECT; a query with set operations can have EMIT only.
#[derive(Clone, Debug)]
pub struct Query {
    /// The query without the clauses below.
    pub body: Box<sqlparser::ast::Query>,
    /// `WINDOW TUMBLING (…)` and the like; a named SQL window is part of `body`.
    pub window: Option<Spanned<Window>>,
    /// `PARTITION BY …` of the outermost SELECT.
    pub partition_by: Option<Spanned<Vec<Expr>>>,
    /// `WITHIN …` of joins, by rising join.
    pub within: Vec<Spanned<Within>>,
    /// `EMIT CHANGES` or `EMIT FINAL`; none for a bounded query.
    pub emit: Option<Spanned<Emit>>,
    /// The whole of it.
    pub span: Span,
}

/// When a continuous query shows its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// Each change as it happens.
    Changes,
    /// Each window once, when it closes.
    Final,
}

/// `WINDOW …` of a grouped query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How records fall into windows.
    pub kind: WindowKind,
    /// `RETENTION`: how long a window stays readable.
    pub retention: Option<Duration>,
    /// `GRACE PERIOD`: how late a record may be.
    pub grace: Option<Duration>,
}

/// How records fall into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// Windows of one size side by side.
    Tumbling {
        /// Length of each.
        size: Duration,
    },
    /// Windows of one size that overlap.
    Hopping {
        /// Length of each.
        size: Duration,
        /// From the start of one to the start of the next.
        advance: Duration,
    },
    /// Windows that end after a silence.
    Session {
        /// Length of that silence.
        gap: Duration,
    },
}

/// `WITHIN …` of a join of two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    /// Index of the join in the outermost SELECT, from 0 in text order.
    pub join: usize,
    /// How much earlier than the left record the right one may be.
    pub before: Duration,
    /// How much later.
    pub after: Duration,
    /// `GRACE PERIOD`: how late a record may be.
    pub grace: Option<Duration>,
}

/// A length of time such as `5 MINUTES`, as it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration {
    /// How many units.
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
    /// True without EMIT: it ends where its topics ended when it began.
    pub fn is_bounded(&self) -> bool {
        self.emit.is_none()
    }
}

impl Duration {
    /// Its length in milliseconds; none when that exceeds 63 bits.
    pub fn ms(&self) -> Option<i64> {
        self.count.checked_mul(self.unit.ms()).and_then(|ms| i64::try_from(ms).ok())
    }
}

impl TimeUnit {
    /// Milliseconds in one unit.
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
