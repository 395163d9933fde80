//! Values as the examples of the documentation show them.

use arrow::array::{Array, ArrayRef};
use arrow::util::display::array_value_to_string;
use headwater_functions::to_text;

/// The first value of an array as its text.
pub fn shown(value: &ArrayRef) -> String {
    if value.is_null(0) || value.data_type().is_null() {
        return "NULL".to_owned();
    }
    let mut out = String::new();
    match to_text::write(value.as_ref(), 0, &mut out) {
        Ok(()) => out,
        Err(_) => array_value_to_string(value, 0).expect("every value has a text"),
    }
}
