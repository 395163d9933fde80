//! Reads the JSON of payloads into columns.
//!
//! Separate from [`super::decode`] because in JSON_SR it begins behind the id of a schema.

use arrow::array::{Array, BinaryArray};
use arrow::datatypes::FieldRef;

use super::check::Check;
use super::dialect::{Dialect, Times};
use super::encoding::{mark_len, wide_to_utf8};
use super::fault::{Fault, Read};
use super::ignored::Ignored;
use super::record::{Field, Record};
use super::scan::Scan;
use super::value::{self, Plan};
use crate::format::Decoded;
use crate::format::batch::{Rows, Selected};
use crate::format::column::Column;

/// Reads payloads; it remembers the order of members from one to the next.
pub(crate) struct JsonReader {
    root: Root,
}

/// The form of payloads.
enum Root {
    Record(Record),
    /// A bare value for the only column.
    Bare(Plan),
    /// A bare value that is not requested.
    Unread(Check),
}

impl JsonReader {
    /// A reader for the selected columns; `record` is false if the payload is a bare value.
    pub(crate) fn new(selected: &Selected, record: bool, dialect: Dialect, times: Times) -> Self {
        let Selected { fields, columns, by_field } = selected;
        let root = match &fields[..] {
            [bare] if !record => columns.first().map_or_else(
                || Root::Unread(Check::new(bare.data_type(), dialect)),
                |column| Root::Bare(Plan::new(column, dialect)),
            ),
            fields => {
                let field = |(field, column): (&FieldRef, &Option<usize>)| match *column {
                    Some(column) => Field::built(field.name(), column, Plan::new(&columns[column], dialect)),
                    None => Field::checked(field.name(), Check::new(field.data_type(), dialect)),
                };
                Root::Record(Record::new(fields.iter().zip(by_field).map(field).collect()))
            }
        };
        let mut reader = Self { root };
        if times == Times::Zoned {
            reader.read_zoned();
        }
        reader
    }

    /// Reads TIMEs and TIMESTAMPs from texts with an offset, too.
    fn read_zoned(&mut self) {
        match &mut self.root {
            Root::Record(record) => record.read_zoned(),
            Root::Bare(plan) => plan.read_zoned(),
            Root::Unread(check) => check.read_zoned(),
        }
    }

    /// Skips these members from now on.
    pub(crate) fn ignore(&mut self, ignored: &Ignored) {
        match &mut self.root {
            Root::Record(record) => record.ignore(ignored),
            Root::Bare(plan) => plan.ignore(ignored),
            Root::Unread(check) => check.ignore(ignored),
        }
    }

    /// Decodes all payloads: each by the reader and from the byte that `begin` gives, or bad for the reason that it gives.
    #[inline]
    pub(crate) fn decode(
        readers: &mut [Self],
        payloads: &BinaryArray,
        columns: &mut [Column],
        begin: impl Fn(&[u8]) -> Result<(usize, usize), String>,
    ) -> Decoded {
        let ascii = payloads.values().is_ascii();
        let mut absent = Vec::new();
        let mut rows = Rows::new(columns);
        for row in 0..payloads.len() {
            rows.decode(row, payloads, |payload, columns| {
                let (reader, start) = begin(payload)?;
                if !readers[reader].read(payload, start, ascii, columns, row)? {
                    absent.push(row);
                }
                Ok(())
            });
        }
        Decoded { absent, ..rows.finish() }
    }

    /// Reads the payload from byte `start` on; returns false if it is `null`. `ascii` says that it is known to be.
    #[inline]
    fn read(
        &mut self,
        payload: &[u8],
        start: usize,
        ascii: bool,
        columns: &mut [Column],
        row: usize,
    ) -> Result<bool, String> {
        let present = match wide_to_utf8(&payload[start..]) {
            Some(text) => self.root.read(&text, 0, columns, row),
            None if ascii => self.root.read(payload, start, columns, row),
            None => self.root.read(check_utf8(payload, start)?, start, columns, row),
        };
        present.map_err(|fault| fault.to_string())
    }
}

impl Root {
    /// Reads one payload; returns false if it is `null`.
    fn read(&mut self, payload: &[u8], start: usize, columns: &mut [Column], row: usize) -> Read<bool> {
        let mut scan = begin(payload, start);
        let Some(first) = scan.peek() else { return Err(Fault::syntax(scan.at(), "the payload is empty")) };
        match self {
            _ if first == b'n' => {
                scan.literal("null")?;
                columns.iter_mut().for_each(Column::push_null);
            }
            Self::Record(record) if first == b'{' => record.read(&mut scan, columns, row)?,
            Self::Record(_) => return Err(no_object(scan, first)),
            Self::Bare(plan) => read_bare(&mut scan, first, |scan| value::read(scan, plan, &mut columns[0]))?,
            Self::Unread(check) => read_bare(&mut scan, first, |scan| check.read(scan))?,
        }
        scan.root_end(first)?;
        Ok(first != b'n')
    }
}

/// A cursor at the first byte of the value that begins at byte `start` or behind the space there.
fn begin(payload: &[u8], start: usize) -> Scan<'_> {
    let mut scan = Scan::new(payload);
    scan.skip(start + mark_len(&payload[start..]));
    scan.skip_space();
    scan
}

/// The error for a payload that is not an object: a syntax error if it is not JSON at all.
#[cold]
fn no_object(mut scan: Scan<'_>, first: u8) -> Box<Fault> {
    let at = scan.at();
    match scan.skip_value().and_then(|()| scan.root_end(first)) {
        Ok(()) => Fault::misfit(at, "the payload is not a JSON object"),
        Err(fault) => fault,
    }
}

/// Reads the only value. A syntax error later in the value takes precedence over a misfit.
fn read_bare(scan: &mut Scan<'_>, first: u8, read: impl FnOnce(&mut Scan<'_>) -> Read<()>) -> Read<()> {
    let start = scan.place();
    let misfit = match read(scan) {
        Err(fault) if fault.is_misfit() => fault,
        other => return other,
    };
    scan.return_to(start);
    scan.skip_value().and_then(|()| scan.root_end(first))?;
    Err(misfit)
}

/// The payload up to where it is valid UTF-8 from byte `start` on, which must contain its whole value.
fn check_utf8(payload: &[u8], start: usize) -> Result<&[u8], String> {
    match std::str::from_utf8(&payload[start..]) {
        Ok(_) => Ok(payload),
        Err(error) => up_to_value(payload, start, start + error.valid_up_to()),
    }
}

#[cold]
fn up_to_value(payload: &[u8], start: usize, valid: usize) -> Result<&[u8], String> {
    let text = &payload[..valid];
    let mut scan = begin(text, start);
    let is_closed = matches!(scan.peek(), Some(b'{' | b'[' | b'"'));
    let is_whole = scan.skip_value().is_ok() && (is_closed || scan.at() < valid);
    if is_whole { Ok(text) } else { Err(format!("not UTF-8 at byte {valid}")) }
}
