//! Encodes columns to Avro payloads by a given schema: one that [`super::schema_of`] made, or one that exists, whose
//! fields are matched with the columns by name.

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;

use super::super::batch::{Payloads, conform, is_present};
use super::super::framing::header;
use super::super::kind::FormatError;
use super::super::{Encoded, Encoder, Layout};
use super::cells::Cells;
use super::schema::{AvroSchema, Branches, Kind, NodeId};
use super::write::{Part, Slot, write_length, write_parts};
use super::write_plan::WritePlanner;
use crate::format::fault::Outcome;
use crate::schema::SchemaId;

/// An encoder for all fields of a layout. Payloads begin with the schema's id if it is given, and are bare otherwise.
///
/// Fields of the schema without a column get their default or null. Fails if there is neither, if a column has no
/// field, or if the schema cannot hold a column.
pub fn encoder(layout: &Layout, schema: &AvroSchema, id: Option<SchemaId>) -> Result<Box<dyn Encoder>, FormatError> {
    encoder_of(layout, schema, None, id)
}

/// An encoder as [`encoder`] makes it, for the record with this full name.
pub(in super::super) fn encoder_of(
    layout: &Layout,
    schema: &AvroSchema,
    full_name: Option<&str>,
    id: Option<SchemaId>,
) -> Result<Box<dyn Encoder>, FormatError> {
    super::check_types(layout)?;
    let header = id.map(|id| header(id).to_vec()).unwrap_or_default();
    let unfit = |reason: String| FormatError::Unfit(format!("the schema does not fit the columns: {reason}"));
    // A bare value has no name.
    let full_name = full_name.filter(|_| layout.is_record());
    let record = full_name.map(|name| schema.named(name)).transpose().map_err(unfit)?;
    let root = Root::try_new(layout, schema, record).map_err(unfit)?;
    Ok(Box::new(AvroEncoder { layout: layout.clone(), header, root }))
}

struct AvroEncoder {
    layout: Layout,
    /// What is in front of each payload.
    header: Vec<u8>,
    root: Root,
}

/// The form of payloads.
enum Root {
    /// A record, which may be a branch of a union.
    Record(Option<usize>, Vec<Part>),
    /// The bare value of the only column.
    Bare(Slot),
}

impl Root {
    /// The form for a schema. `chosen` is the record of a union; without it, it is the first one.
    fn try_new(layout: &Layout, schema: &AvroSchema, chosen: Option<NodeId>) -> Result<Self, String> {
        let mut planner = WritePlanner::new(schema);
        match (layout.fields.as_slice(), schema.kind(schema.root)) {
            ([bare], _) if !layout.is_record() => Ok(Self::Bare(planner.slot(schema.root, bare.data_type())?)),
            (columns, Kind::Record(record)) => Ok(Self::Record(None, planner.parts(record, columns)?)),
            (columns, Kind::Union(branches)) => {
                let mut others = Branches::of(schema, branches).others.into_iter();
                let record = others.find_map(|(branch, id)| match schema.kind(id) {
                    Kind::Record(record) if chosen.is_none_or(|chosen| chosen == id) => Some((branch, record)),
                    _ => None,
                });
                let (branch, record) = record.ok_or("it is a union without a record")?;
                Ok(Self::Record(Some(branch), planner.parts(record, columns)?))
            }
            _ => Err(format!("it is {}, not a record", schema.name(schema.root))),
        }
    }

    fn write(&self, cells: &[Cells<'_>], row: usize, out: &mut Vec<u8>) -> Outcome<()> {
        match self {
            Self::Record(branch, parts) => {
                branch.iter().for_each(|branch| write_length(*branch, out));
                write_parts(parts, cells, row, out)
            }
            Self::Bare(slot) => slot.write(&cells[0], row, out),
        }
    }
}

impl AvroEncoder {
    fn write_batch(&self, cells: &[Cells<'_>], rows: usize, null_rows: Option<&NullBuffer>) -> Encoded {
        let mut payloads = Payloads::new(rows);
        for row in 0..rows {
            // A bare null has no payload.
            let is_null = matches!(self.root, Root::Bare(_)) && cells[0].is_null(row);
            if is_null || !is_present(null_rows, row) {
                payloads.push_null();
                continue;
            }
            payloads.push(|out| {
                out.extend_from_slice(&self.header);
                self.root.write(cells, row, out).map_err(|fault| fault.reason("$"))
            });
        }
        payloads.finish()
    }
}

impl Encoder for AvroEncoder {
    fn encode(&mut self, columns: &[ArrayRef], rows: usize, null_rows: Option<&NullBuffer>) -> Encoded {
        let columns = match conform(columns, &self.layout) {
            Ok(columns) => columns,
            Err(reason) => return Payloads::refuse(rows, &reason),
        };
        match columns.iter().map(Cells::try_new).collect::<Option<Vec<_>>>() {
            Some(cells) => self.write_batch(&cells, rows, null_rows),
            None => Payloads::refuse(rows, "format AVRO cannot hold the columns"),
        }
    }
}
