//! A program: how the payloads of one writer's schema become rows of one decoder.

use std::sync::Arc;

use super::super::Layout;
use super::super::column::Column;
use super::check::check;
use super::cursor::Cursor;
use super::plan::{Fields, Plan, Planner};
use super::read::{Run, read, read_fields};
use super::reader::ReaderType;
use super::schema::{AvroSchema, Branches, Kind, NodeId};
use crate::format::fault::Outcome;

/// A writer's schema, compiled for a layout and the requested fields.
pub(super) struct Program {
    schema: Arc<AvroSchema>,
    /// The branch of the root that means that there is no row.
    null_branch: Option<(usize, usize)>,
    root: Root,
}

/// The form of payloads.
enum Root {
    Record(Fields),
    Union(Vec<Root>),
    /// A bare value for the only column.
    Bare(Plan),
    /// A bare value that is not requested.
    Unread(Plan),
    /// Nothing: the payload means null.
    Null,
    /// The layout has fields, and the value none.
    Misfit(String),
}

impl Program {
    /// Compiles a schema. `by_field` has the index of the column of each field that is requested; `reader` is the schema that
    /// the columns were taken from.
    pub(super) fn new(
        schema: Arc<AvroSchema>,
        reader: Option<&Arc<AvroSchema>>,
        layout: &Layout,
        by_field: &[Option<usize>],
    ) -> Self {
        let null_branch = match &schema.root().kind {
            Kind::Union(branches) => Branches::of(&schema, branches).null.map(|null| (null, branches.len())),
            _ => None,
        };
        let (reader, planner) = (ReaderType::root(reader), Planner::new(&schema));
        let root = Compiler { schema: &schema, reader, layout, by_field, planner }.root(schema.root);
        Self { root, null_branch, schema }
    }

    /// Reads the payload from byte `start` on, adding a row to each column. Returns false for a null.
    pub(super) fn read(&self, payload: &[u8], start: usize, columns: &mut [Column]) -> Outcome<bool> {
        let mut run = Run { cursor: Cursor::new(payload, start), schema: &self.schema };
        if self.null_branch.is_some() && self.is_null(&mut run)? {
            run.cursor.end()?;
            columns.iter_mut().for_each(Column::push_null);
            return Ok(false);
        }
        let is_present = self.root.read(&mut run, columns)?;
        run.cursor.end()?;
        Ok(is_present)
    }

    /// True if the root is a union and its null branch comes next, which is taken.
    fn is_null(&self, run: &mut Run<'_>) -> Outcome<bool> {
        let Some((null, branches)) = self.null_branch else { return Ok(false) };
        let start = run.cursor.place();
        let is_null = run.cursor.branch(branches)? == null;
        if !is_null {
            run.cursor.return_to(start);
        }
        Ok(is_null)
    }
}

impl Root {
    #[inline]
    fn read(&self, run: &mut Run<'_>, columns: &mut [Column]) -> Outcome<bool> {
        match self {
            Self::Record(fields) => read_fields(run, fields, columns)?,
            Self::Bare(plan) => read(run, plan, &mut columns[0])?,
            Self::Unread(plan) => check(run, plan)?,
            Self::Union(branches) => {
                let branch = run.cursor.branch(branches.len())?;
                return branches[branch].read(run, columns);
            }
            Self::Null => {
                columns.iter_mut().for_each(Column::push_null);
                return Ok(false);
            }
            Self::Misfit(reason) => return Err(run.cursor.fault(reason.clone())),
        }
        Ok(true)
    }
}

struct Compiler<'a> {
    schema: &'a AvroSchema,
    reader: ReaderType<'a>,
    layout: &'a Layout,
    by_field: &'a [Option<usize>],
    planner: Planner<'a>,
}

impl Compiler<'_> {
    fn root(&mut self, id: NodeId) -> Root {
        let schema = self.schema;
        match (self.layout.fields.as_slice(), schema.kind(id)) {
            (_, Kind::Null) => Root::Null,
            ([bare], _) if !self.layout.is_record() => {
                let plan = self.planner.value(id, bare.data_type(), self.reader);
                if self.by_field[0].is_some() { Root::Bare(plan) } else { Root::Unread(plan) }
            }
            (_, Kind::Union(branches)) => Root::Union(branches.iter().map(|branch| self.root(*branch)).collect()),
            (columns, Kind::Record(record)) => {
                Root::Record(self.planner.fields(record, columns, self.by_field, self.reader))
            }
            _ => Root::Misfit(format!("the payload is {}, not a record", with_article(&schema.name(id)))),
        }
    }
}

fn with_article(name: &str) -> String {
    let article = if name.starts_with(['a', 'e', 'i']) { "an" } else { "a" };
    format!("{article} {name}")
}
