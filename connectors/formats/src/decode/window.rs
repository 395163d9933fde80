//! Windowed keys in the format of Kafka Streams: splits the window from the key's payload, and joins them.

use arrow::array::{Array, BinaryArray, BinaryBuilder, Int64Array, Int64Builder};
use arrow::error::ArrowError;

use super::spec::KeyWindow;
use crate::format::BadRow;

/// Keys without their windows, and the windows.
pub struct SplitKeys {
    /// The payloads.
    pub keys: BinaryArray,
    /// First ms of each window; null where the key is null or bad.
    pub starts: Int64Array,
    /// End of each window in ms; null where the key is null or bad.
    pub ends: Int64Array,
    /// Keys that are too short to contain a window.
    pub bad: Vec<BadRow>,
}

/// Splits the window from every key.
pub fn split_windowed_keys(keys: &BinaryArray, window: KeyWindow) -> Result<SplitKeys, ArrowError> {
    let mut payloads = BinaryBuilder::with_capacity(keys.len(), keys.value_data().len());
    let (mut starts, mut ends) = (Int64Builder::with_capacity(keys.len()), Int64Builder::with_capacity(keys.len()));
    let mut bad = Vec::new();
    for (row, key) in keys.iter().enumerate() {
        let split = key.and_then(|key| split(key, window));
        if let (Some(key), None) = (key, split) {
            bad.push(BadRow { row, reason: too_short(key.len(), window) });
        }
        payloads.append_option(split.map(|(payload, ..)| payload));
        starts.append_option(split.map(|(_, start, _)| start));
        ends.append_option(split.map(|(.., end)| end));
    }
    Ok(SplitKeys { keys: payloads.finish(), starts: starts.finish(), ends: ends.finish(), bad })
}

/// Appends a window to every key; a key without a window is null.
pub fn with_windows(keys: &BinaryArray, starts: &Int64Array, ends: &Int64Array, window: KeyWindow) -> BinaryArray {
    let mut out = BinaryBuilder::with_capacity(keys.len(), keys.value_data().len() + 16 * keys.len());
    let mut buffer = Vec::new();
    for (row, key) in keys.iter().enumerate() {
        let Some(key) = key.filter(|_| starts.is_valid(row) && ends.is_valid(row)) else {
            out.append_null();
            continue;
        };
        buffer.clear();
        buffer.extend_from_slice(key);
        if window == KeyWindow::Session {
            buffer.extend_from_slice(&ends.value(row).to_be_bytes());
        }
        buffer.extend_from_slice(&starts.value(row).to_be_bytes());
        out.append_value(&buffer);
    }
    out.finish()
}

fn split(key: &[u8], window: KeyWindow) -> Option<(&[u8], i64, i64)> {
    let (rest, last) = key.split_last_chunk::<8>()?;
    let last = i64::from_be_bytes(*last);
    match window {
        KeyWindow::Time { size_ms } => Some((rest, last, last.saturating_add(size_ms))),
        KeyWindow::Session => {
            let (payload, end) = rest.split_last_chunk::<8>()?;
            Some((payload, last, i64::from_be_bytes(*end)))
        }
    }
}

fn too_short(len: usize, window: KeyWindow) -> String {
    let need = if matches!(window, KeyWindow::Session) { 16 } else { 8 };
    format!("a windowed key ends with {need} bytes for its window, but this key has only {len} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_time_and_session_keys_and_rejects_short_ones() {
        let time = [b"k".as_slice(), &5_i64.to_be_bytes()].concat();
        let session = [b"k".as_slice(), &9_i64.to_be_bytes(), &5_i64.to_be_bytes()].concat();
        let keys = BinaryArray::from_opt_vec(vec![Some(&time), Some(b"short"), None]);
        let split = split_windowed_keys(&keys, KeyWindow::Time { size_ms: 10 }).unwrap();
        assert_eq!(split.keys.value(0), b"k");
        assert_eq!((split.starts.value(0), split.ends.value(0)), (5, 15));
        let again = with_windows(&split.keys, &split.starts, &split.ends, KeyWindow::Time { size_ms: 10 });
        assert_eq!(again, BinaryArray::from_opt_vec(vec![Some(&time), None, None]));
        assert_eq!(split.bad.len(), 1);
        assert!(split.keys.is_null(2));
        let keys = BinaryArray::from_opt_vec(vec![Some(session.as_slice())]);
        let split = split_windowed_keys(&keys, KeyWindow::Session).unwrap();
        assert_eq!((split.keys.value(0), split.starts.value(0), split.ends.value(0)), (b"k".as_slice(), 5, 9));
        assert_eq!(with_windows(&split.keys, &split.starts, &split.ends, KeyWindow::Session), keys);
    }
}
