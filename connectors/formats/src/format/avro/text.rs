//! Scalars as texts, for columns of type STRING: in the form of Java's `String.valueOf`.

use super::super::column::Bytes;
use super::super::number::write_double;
use super::super::text::COLUMN_FULL;
use super::cursor::Cursor;
use super::plan::Text;
use crate::format::fault::Outcome;

/// Reads a scalar and adds its text.
pub(super) fn push_text(cursor: &mut Cursor<'_>, text: Text, bytes: &mut Bytes) -> Outcome<()> {
    let out = &mut bytes.data;
    match text {
        Text::Boolean => out.extend_from_slice(if cursor.boolean()? { b"true" } else { b"false" }),
        Text::Int => out.extend_from_slice(itoa::Buffer::new().format(cursor.int()?).as_bytes()),
        Text::Long => out.extend_from_slice(itoa::Buffer::new().format(cursor.long()?).as_bytes()),
        Text::Float => write_float(cursor.float()?, out),
        Text::Double => write_double(cursor.double()?, out),
        Text::Uuid => {
            let mut id = [0; 16];
            id.copy_from_slice(cursor.take(16)?);
            let mut text = uuid::Uuid::encode_buffer();
            out.extend_from_slice(uuid::Uuid::from_bytes(id).hyphenated().encode_lower(&mut text).as_bytes());
        }
    }
    bytes.close().map_err(|_| cursor.fault(COLUMN_FULL))
}

/// Writes a float like `Float.toString`: the shortest digits, in scientific notation below 0.001 and from ten million
/// on.
fn write_float(float: f32, out: &mut Vec<u8>) {
    let size = float.abs();
    if !float.is_finite() || float == 0.0 {
        write_double(float.into(), out);
    } else if (1e-3..1e7).contains(&size) {
        out.extend_from_slice(format!("{float:?}").as_bytes());
    } else {
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let fraction = if mantissa.contains('.') { "" } else { ".0" };
        out.extend_from_slice(format!("{mantissa}{fraction}E{exponent}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_in_java() {
        for (float, text) in [
            (1.1, "1.1"),
            (100.0, "100.0"),
            (1e7, "1.0E7"),
            (1.5e-5, "1.5E-5"),
            (-0.0, "-0.0"),
            (f32::INFINITY, "Infinity"),
            (f32::MAX, "3.4028235E38"),
        ] {
            let mut out = Vec::new();
            write_float(float, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
