//! JSON payloads to columns.

use arrow::array::{Array, BinaryArray};

use super::fault::{Fault, Read};
use super::record::Record;
use super::scan::Scan;
use super::value::{self, Plan};
use crate::format::batch::{Rows, Selected};
use crate::format::column::Column;
use crate::format::{Decoded, Decoder};

/// Decodes JSON; see [`super`].
pub(crate) struct JsonDecoder {
    columns: Vec<Column>,
    root: Root,
}

/// What a payload is.
enum Root {
    Record(Record),
    /// A bare value for the only column.
    Bare(Plan),
    /// A bare value that nobody asked for.
    Skipped,
}

impl JsonDecoder {
    /// A decoder of the columns selected; `record` is false where the payload is a bare value.
    pub(crate) fn new(selected: Selected, record: bool) -> Self {
        let Selected { names, columns, .. } = selected;
        let root = if record {
            Root::Record(Record::new(names.into_iter().zip(columns.iter().map(Plan::new))))
        } else {
            columns.first().map_or(Root::Skipped, |column| Root::Bare(Plan::new(column)))
        };
        Self { columns, root }
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        let ascii = payloads.values().is_ascii();
        let mut absent = Vec::new();
        let mut rows = Rows::new(&mut self.columns);
        for row in 0..payloads.len() {
            rows.decode(row, payloads, |payload, columns| {
                if !ascii {
                    check_utf8(payload)?;
                }
                let present = self.root.read(payload, columns, row).map_err(|fault| fault.to_string())?;
                if !present {
                    absent.push(row);
                }
                Ok(())
            });
        }
        Decoded { absent, ..rows.finish() }
    }
}

impl Root {
    /// Reads one payload; false when it says `null`.
    fn read(&mut self, payload: &[u8], columns: &mut [Column], row: usize) -> Read<bool> {
        let mut scan = Scan::new(payload);
        scan.skip_space();
        let first = scan.peek();
        match self {
            _ if first == Some(b'n') => {
                scan.literal("null")?;
                columns.iter_mut().for_each(Column::push_null);
            }
            _ if first.is_none() => return Err(Fault::syntax(scan.at(), "the payload is empty")),
            Self::Record(record) if first == Some(b'{') => record.read(&mut scan, columns, row)?,
            Self::Record(_) => return Err(no_object(scan)),
            Self::Bare(plan) => read_bare(&mut scan, plan, &mut columns[0])?,
            Self::Skipped => scan.skip_value()?,
        }
        scan.end()?;
        Ok(first != Some(b'n'))
    }
}

/// What to say of a payload that is not an object: that it is no JSON, if it is not.
#[cold]
fn no_object(mut scan: Scan<'_>) -> Box<Fault> {
    let at = scan.at();
    match scan.skip_value().and_then(|()| scan.end()) {
        Ok(()) => Fault::misfit(at, "the payload is no JSON object"),
        Err(fault) => fault,
    }
}

/// Reads the only value. A misfit gives way to a fault in the syntax after it.
fn read_bare(scan: &mut Scan<'_>, plan: &mut Plan, column: &mut Column) -> Read<()> {
    let start = scan.place();
    let misfit = match value::read(scan, plan, column) {
        Err(fault) if fault.is_misfit() => fault,
        other => return other,
    };
    scan.return_to(start);
    scan.skip_value().and_then(|()| scan.end())?;
    Err(misfit)
}

fn check_utf8(payload: &[u8]) -> Result<(), String> {
    match std::str::from_utf8(payload) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("not UTF-8 at byte {}", error.valid_up_to())),
    }
}
