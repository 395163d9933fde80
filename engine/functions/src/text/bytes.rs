//! Numbers and UUIDs from bytes.

use arrow::array::ArrayRef;
use arrow::datatypes::{ArrowPrimitiveType, Float64Type, Int32Type, Int64Type};
use datafusion::error::Result;
use uuid::Uuid;

use crate::call::{Call, Row};
use crate::delegate::delegate;

/// BIGINT_FROM_BYTES.
pub fn bigint(call: &Call<'_>) -> Result<ArrayRef> {
    number::<Int64Type, 8>(call, i64::from_be_bytes)
}

/// INT_FROM_BYTES.
pub fn int(call: &Call<'_>) -> Result<ArrayRef> {
    number::<Int32Type, 4>(call, i32::from_be_bytes)
}

/// DOUBLE_FROM_BYTES.
pub fn double(call: &Call<'_>) -> Result<ArrayRef> {
    number::<Float64Type, 8>(call, f64::from_be_bytes)
}

fn number<P: ArrowPrimitiveType, const N: usize>(call: &Call<'_>, of: fn([u8; N]) -> P::Native) -> Result<ArrayRef> {
    let values = call.blobs(0);
    let orders = (call.len() > 1).then(|| call.texts(1));
    call.each::<P>(|row| -> Row<P::Native> {
        let bytes = values.value(row);
        let mut number: [u8; N] = bytes.try_into().map_err(|_| format!("{N} bytes are needed, not {}", bytes.len()))?;
        match orders.as_ref().map_or("BIG_ENDIAN", |orders| orders.value(row)) {
            big if big.eq_ignore_ascii_case("BIG_ENDIAN") => {}
            little if little.eq_ignore_ascii_case("LITTLE_ENDIAN") => number.reverse(),
            other => return Err(format!("the byte order must be BIG_ENDIAN or LITTLE_ENDIAN, not '{other}'")),
        }
        Ok(Some(of(number)))
    })
}

/// UUID(): DataFusion's.
pub fn uuid(call: &Call<'_>) -> Result<ArrayRef> {
    delegate(call, &datafusion::functions::string::uuid())
}

/// UUID(bytes).
pub fn uuid_of_bytes(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.blobs(0);
    call.each_text(|row, out| {
        let Ok(uuid) = Uuid::from_slice(values.value(row)) else { return Ok(None) };
        out.push_str(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        Ok(Some(()))
    })
}
