//! Reads a JSON object into the columns of a record. Fields that are not requested are checked too, so that whether a
//! record is bad does not depend on the requested columns; members that are not fields are skipped.
//!
//! **Guessing names.** Producers write the fields of every record in the same order. So the reader remembers how each
//! member of earlier records began, from the quote of its name to the first byte of its value (`"price":`), and which
//! field it belongs to. If the next member begins with the same bytes, its name does not have to be parsed. A guess
//! is compared as a whole, so it is never wrong; if no guess matches, the name is parsed and remembered.
//!
//! **Duplicates.** The last one wins. So if a column cannot hold a value, its fault is kept aside; the record is bad
//! only if no later duplicate replaces the value.

use std::collections::{HashMap, HashSet};

use super::check::Check;
use super::fault::{Fault, Read};
use super::ignored::Ignored;
use super::scan::Scan;
use super::token::Token;
use super::value::{self, Plan};
use crate::format::column::Column;

/// The number of members that are remembered, in addition to two for each field. If there are more, the names have no
/// fixed order, and all are forgotten.
const SHAPE_MAX: usize = 256;
/// The maximum length, in bytes, of a beginning that is remembered.
const LEAD_MAX: usize = 96;
/// The number of members that may be missing before guessing stops.
const GUESSES_MAX: usize = 4;

/// Reads objects into columns, remembering the order of members from one object to the next.
pub(super) struct Record {
    fields: Vec<Field>,
    /// The field of each name.
    by_name: HashMap<String, usize>,
    /// Names that match no field whose name they are only in upper case.
    ignored: HashSet<String>,
    shape: Vec<Known>,
    /// How the value of each field in the current object was matched.
    found: Vec<Match>,
    /// The fields whose last value does not fit, in the order of the payload.
    misfits: Vec<(usize, Box<Fault>)>,
    /// A buffer for a name with its escapes resolved.
    name: Vec<u8>,
}

/// What happens to the values of a field.
pub(super) struct Field {
    name: String,
    reader: Reader,
}

enum Reader {
    /// They go into the column of this index.
    Build(usize, Plan),
    /// They are checked, but not kept.
    Check(Check),
}

impl Field {
    /// A field whose values go into the column of this index.
    pub(super) fn built(name: &str, column: usize, plan: Plan) -> Self {
        Self { name: name.to_owned(), reader: Reader::Build(column, plan) }
    }

    /// A field whose values are checked, but not kept.
    pub(super) fn checked(name: &str, check: Check) -> Self {
        Self { name: name.to_owned(), reader: Reader::Check(check) }
    }

    fn column<'a>(&self, columns: &'a mut [Column]) -> Option<&'a mut Column> {
        match self.reader {
            Reader::Build(column, _) => Some(&mut columns[column]),
            Reader::Check(_) => None,
        }
    }
}

/// The remembered beginnings of members.
struct Known {
    lead: Vec<u8>,
    target: Target,
}

/// What a member's value belongs to.
#[derive(Clone, Copy)]
enum Target {
    /// No field.
    Nothing,
    /// A field.
    One(usize, Match),
    /// A field that is only checked, and accepts every string.
    AnyString(usize, Match),
    /// A field that is only checked, and accepts every number.
    AnyNumber(usize, Match),
    /// The field with exactly that name, and the one whose name is the member's in upper case.
    Both { exact: usize, folded: usize },
}

/// How a field's name was matched; a better match is never replaced by a worse one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    None,
    Folded,
    Exact,
}

impl Record {
    /// A reader for objects with these fields.
    pub(super) fn new(fields: Vec<Field>) -> Self {
        let found = vec![Match::None; fields.len()];
        // The first of several equal names wins.
        let by_name = fields.iter().enumerate().rev().map(|(at, field)| (field.name.clone(), at)).collect();
        let (ignored, shape, misfits, name) = (HashSet::new(), Vec::new(), Vec::new(), Vec::new());
        Self { fields, by_name, ignored, shape, found, misfits, name }
    }

    /// Reads TIMEs and TIMESTAMPs from texts with an offset, too.
    pub(super) fn read_zoned(&mut self) {
        for field in &mut self.fields {
            match &mut field.reader {
                Reader::Build(_, plan) => plan.read_zoned(),
                Reader::Check(check) => check.read_zoned(),
            }
        }
    }

    /// Skips these members from now on.
    pub(super) fn ignore(&mut self, ignored: &Ignored) {
        self.shape.clear();
        self.ignored.extend(ignored.names.iter().cloned());
        for (field, ignored) in self.fields.iter_mut().zip(&ignored.within) {
            match &mut field.reader {
                Reader::Build(_, plan) => plan.ignore(ignored),
                Reader::Check(check) => check.ignore(ignored),
            }
        }
    }

    /// Reads the object at the cursor, adding one row to each column. After a fault, the columns contain partial
    /// values, which the caller must truncate.
    pub(super) fn read(&mut self, scan: &mut Scan<'_>, columns: &mut [Column], row: usize) -> Read<()> {
        self.found.fill(Match::None);
        self.misfits.clear();
        self.read_members(scan, columns, row)?;
        for (found, field) in self.found.iter().zip(&self.fields) {
            if let (Match::None, Some(column)) = (found, field.column(columns)) {
                column.push_null();
            }
        }
        match self.misfits.is_empty() {
            true => Ok(()),
            false => Err(self.misfits.swap_remove(0).1),
        }
    }

    fn read_members(&mut self, scan: &mut Scan<'_>, columns: &mut [Column], row: usize) -> Read<()> {
        if scan.open(b'}')? {
            return Ok(());
        }
        let mut next = 0;
        loop {
            let target = self.member(scan, &mut next)?;
            self.read_target(scan, target, columns, row)?;
            if !scan.another(b'}')? {
                return Ok(());
            }
        }
    }

    /// Skips the name of the member at the cursor and returns what its value belongs to.
    #[inline]
    fn member(&mut self, scan: &mut Scan<'_>, next: &mut usize) -> Read<Target> {
        let tries = self.shape.iter().enumerate().skip(*next).take(GUESSES_MAX);
        for (at, known) in tries {
            if scan.eat(&known.lead) {
                scan.skip_space();
                *next = at + 1;
                return Ok(known.target);
            }
        }
        self.new_member(scan, next)
    }

    fn new_member(&mut self, scan: &mut Scan<'_>, next: &mut usize) -> Read<Target> {
        let start = scan.at();
        let name = scan.name()?;
        let target = self.target(name);
        let lead = scan.since(start);
        if lead.len() <= LEAD_MAX {
            if self.shape.len() >= SHAPE_MAX + 2 * self.fields.len() {
                self.shape.clear();
            }
            *next = (*next).min(self.shape.len());
            self.shape.insert(*next, Known { lead: lead.to_vec(), target });
            *next += 1;
        }
        Ok(target)
    }

    /// The fields that a name matches: the one with exactly this name, and the one with this name in upper case.
    fn target(&mut self, name: Token<'_>) -> Target {
        self.name.clear();
        name.write(&mut self.name);
        let name = String::from_utf8_lossy(&self.name);
        let exact = self.by_name.get(name.as_ref()).copied();
        let folded = self.by_name.get(&name.to_uppercase()).copied();
        let folded = folded.filter(|_| !self.ignored.contains(name.as_ref()));
        match (exact, folded) {
            (None, None) => Target::Nothing,
            (Some(exact), Some(folded)) if exact != folded => Target::Both { exact, folded },
            (Some(field), _) => self.one(field, Match::Exact),
            (None, Some(field)) => self.one(field, Match::Folded),
        }
    }

    fn one(&self, field: usize, quality: Match) -> Target {
        match &self.fields[field].reader {
            Reader::Check(check) if check.takes_any_string() => Target::AnyString(field, quality),
            Reader::Check(check) if check.takes_any_number() => Target::AnyNumber(field, quality),
            _ => Target::One(field, quality),
        }
    }

    #[inline]
    fn read_target(&mut self, scan: &mut Scan<'_>, target: Target, columns: &mut [Column], row: usize) -> Read<()> {
        match target {
            Target::Nothing => scan.skip_value(),
            // Most values that are not requested only have to be skipped.
            Target::AnyString(field, quality) if self.is_new(field) && scan.peek() == Some(b'"') => {
                self.found[field] = quality;
                scan.string().map(drop)
            }
            Target::AnyNumber(field, quality)
                if self.is_new(field) && matches!(scan.peek(), Some(b'-' | b'0'..=b'9')) =>
            {
                self.found[field] = quality;
                scan.number().map(drop)
            }
            Target::AnyString(field, quality) | Target::AnyNumber(field, quality) | Target::One(field, quality) => {
                self.read_field(scan, field, quality, columns, row)
            }
            Target::Both { exact, folded } => self.read_both(scan, exact, folded, columns, row),
        }
    }

    #[inline]
    fn is_new(&self, field: usize) -> bool {
        self.found[field] == Match::None
    }

    #[cold]
    fn read_both(
        &mut self,
        scan: &mut Scan<'_>,
        exact: usize,
        folded: usize,
        columns: &mut [Column],
        row: usize,
    ) -> Read<()> {
        let start = scan.place();
        self.read_field(scan, folded, Match::Folded, columns, row)?;
        scan.return_to(start);
        self.read_field(scan, exact, Match::Exact, columns, row)
    }

    #[inline]
    fn read_field(
        &mut self,
        scan: &mut Scan<'_>,
        field: usize,
        quality: Match,
        columns: &mut [Column],
        row: usize,
    ) -> Read<()> {
        if !self.is_new(field) && !self.replace(field, quality, columns, row) {
            return scan.skip_value();
        }
        self.found[field] = quality;
        let start = scan.place();
        let read = match &mut self.fields[field].reader {
            Reader::Build(column, plan) => value::read(scan, plan, &mut columns[*column]),
            Reader::Check(check) => check.read(scan),
        };
        match read {
            Err(fault) if fault.is_misfit() => {
                scan.return_to(start);
                self.set_aside(field, fault, columns, row);
                scan.skip_value()
            }
            read => read,
        }
    }

    /// Removes the value of an earlier duplicate, unless its name matched better.
    #[cold]
    fn replace(&mut self, field: usize, quality: Match, columns: &mut [Column], row: usize) -> bool {
        if self.found[field] > quality {
            return false;
        }
        self.misfits.retain(|(misfit, _)| *misfit != field);
        if let Some(column) = self.fields[field].column(columns) {
            column.truncate(row);
        }
        true
    }

    /// Keeps a fault until it is clear that no duplicate replaces the value, and writes null in the meantime.
    #[cold]
    fn set_aside(&mut self, field: usize, fault: Box<Fault>, columns: &mut [Column], row: usize) {
        if let Some(column) = self.fields[field].column(columns) {
            column.truncate(row);
            column.push_null();
        }
        self.misfits.push((field, fault.within(format!(".{}", self.fields[field].name))));
    }
}
