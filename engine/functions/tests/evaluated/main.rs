//! The functions as queries call them: every example of their documentation, and calls at random. Apart from the crate's
//! own tests because expressions are planned above it.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types, reason = "a test moves")]

mod aggregates;
mod fuzz;
mod scalars;

use arrow::array::{Array, ArrayRef};
use arrow::util::display::array_value_to_string;
use headwater_functions::to_text;

/// The first value of an array as its text.
fn shown(value: &ArrayRef) -> String {
    if value.is_null(0) || value.data_type().is_null() {
        return "NULL".to_owned();
    }
    let mut out = String::new();
    match to_text::write(value.as_ref(), 0, &mut out) {
        Ok(()) => out,
        Err(_) => array_value_to_string(value, 0).expect("every value has a text"),
    }
}
