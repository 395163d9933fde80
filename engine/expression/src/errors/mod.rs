//! DataFusion's errors as diagnostics, in the words of the dialect and with the most precise location that is known.
//!
//! `diagnose` reads the kind of an error, `wording` and `clause` reword the errors that users meet, `foreign` keeps
//! internals out of messages, and `pinpoint` finds the location. This module does not know what was planned.

mod clause;
mod diagnose;
mod foreign;
mod our_types;
mod pinpoint;
mod wording;

pub use diagnose::{diagnose, place, reason, unknown_column_of};
pub use pinpoint::{diagnose as diagnose_in, diagnose_optimized, in_expression, widen};
pub use wording::{correlated, too_far};
