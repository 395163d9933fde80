//! CONCAT and CONCAT_WS.

use arrow::array::ArrayRef;
use datafusion::error::Result;

use crate::call::Call;

/// CONCAT of texts.
pub fn concat_texts(call: &Call<'_>) -> Result<ArrayRef> {
    let texts: Vec<_> = (0..call.len()).map(|at| call.texts(at)).collect();
    call.each_text(|row, out| {
        texts.iter().filter_map(|text| text.get(row)).for_each(|text| out.push_str(text));
        Ok(Some(()))
    })
}

/// CONCAT of bytes.
pub fn concat_bytes(call: &Call<'_>) -> Result<ArrayRef> {
    let blobs: Vec<_> = (0..call.len()).map(|at| call.blobs(at)).collect();
    call.each_blob(|row, out| {
        blobs.iter().filter_map(|blob| blob.get(row)).for_each(|blob| out.extend_from_slice(blob));
        Ok(Some(()))
    })
}

/// CONCAT_WS of texts.
pub fn join_texts(call: &Call<'_>) -> Result<ArrayRef> {
    let separators = call.texts(0);
    let texts: Vec<_> = (1..call.len()).map(|at| call.texts(at)).collect();
    call.each_text(|row, out| {
        let Some(separator) = separators.get(row) else { return Ok(None) };
        for (at, text) in texts.iter().filter_map(|text| text.get(row)).enumerate() {
            out.push_str(if at > 0 { separator } else { "" });
            out.push_str(text);
        }
        Ok(Some(()))
    })
}

/// CONCAT_WS of bytes.
pub fn join_bytes(call: &Call<'_>) -> Result<ArrayRef> {
    let separators = call.blobs(0);
    let blobs: Vec<_> = (1..call.len()).map(|at| call.blobs(at)).collect();
    call.each_blob(|row, out| {
        let Some(separator) = separators.get(row) else { return Ok(None) };
        for (at, blob) in blobs.iter().filter_map(|blob| blob.get(row)).enumerate() {
            out.extend_from_slice(if at > 0 { separator } else { &[] });
            out.extend_from_slice(blob);
        }
        Ok(Some(()))
    })
}
