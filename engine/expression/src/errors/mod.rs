//! DataFusion's errors as diagnostics: in words of the dialect, with the smallest place that is known.
//!
//! `diagnose` reads what kind of error it is, `retold` and `clause` have our words for what users meet, `foreign` says which
//! words may not pass, and `pinpoint` finds the place. What was planned is not known here.

mod clause;
mod diagnose;
mod foreign;
mod our_types;
mod pinpoint;
mod retold;

pub use diagnose::{diagnose, place, reason, unknown_column_of};
pub use pinpoint::{diagnose as diagnose_in, diagnose_optimized, in_expression, widen};
pub use retold::{correlated, too_far};
