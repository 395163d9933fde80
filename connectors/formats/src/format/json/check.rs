//! Checks a JSON value for a column that is not requested: whether the column could hold it.
//!
//! Whether a record is bad does not depend on the columns that a query reads. So what [`super::value`] rejects is
//! rejected here with the same message, but nothing is kept: a string is skipped, and a number is only parsed for
//! types that do not accept every number. A property test compares the two (`connectors/tests/projections.rs`).

use arrow::datatypes::{DataType, FieldRef};

use super::dialect::{Dialect, Times, check_unscaled, unscaled};
use super::entries;
use super::fault::{Fault, Read};
use super::ignored::Ignored;
use super::map;
use super::record::{Field, Record};
use super::scan::Scan;
use super::value::{in_item, mismatch, parse_literal, small_integer, too_large};
use crate::format::number::is_finite_double;
use crate::format::scalar::Scalar;
use crate::format::{sql_name, text};

/// The check for the values of a column.
pub(super) struct Check {
    kind: Kind,
    data_type: DataType,
    dialect: Dialect,
    times: Times,
}

enum Kind {
    Scalar(Scalar),
    Array(Box<Check>),
    Map(Dialect, Box<Check>),
    Struct(Box<Record>),
}

impl Check {
    /// The check for the values of a type that JSON supports, and the form of the MAPs in it.
    pub(super) fn new(data_type: &DataType, dialect: Dialect) -> Self {
        let of = |field: &FieldRef| Box::new(Self::new(field.data_type(), dialect));
        let kind = match data_type {
            DataType::List(item) => Kind::Array(of(item)),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(entry) if entry.len() == 2 => Kind::Map(dialect, of(&entry[1])),
                _ => Kind::Scalar(Scalar::String),
            },
            DataType::Struct(fields) => {
                let field = |field: &FieldRef| Field::checked(field.name(), Self::new(field.data_type(), dialect));
                Kind::Struct(Box::new(Record::new(fields.iter().map(field).collect())))
            }
            other => Kind::Scalar(Scalar::of(other).unwrap_or(Scalar::String)),
        };
        Self { kind, data_type: data_type.clone(), dialect, times: Times::Numbers }
    }

    /// Accepts texts with an offset for TIMEs and TIMESTAMPs, too.
    pub(super) fn read_zoned(&mut self) {
        self.times = Times::Zoned;
        match &mut self.kind {
            Kind::Array(check) | Kind::Map(_, check) => check.read_zoned(),
            Kind::Struct(record) => record.read_zoned(),
            Kind::Scalar(_) => {}
        }
    }

    /// Skips these members from now on.
    pub(super) fn ignore(&mut self, ignored: &Ignored) {
        match (&mut self.kind, ignored.within.as_slice()) {
            (Kind::Struct(record), _) => record.ignore(ignored),
            (Kind::Array(check) | Kind::Map(_, check), [within]) => check.ignore(within),
            _ => {}
        }
    }

    /// Whether every string is accepted.
    pub(super) fn takes_any_string(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Scalar::String))
    }

    /// Whether every number is accepted: integers are truncated and wrapped, texts are printed (see
    /// [`super::value`]).
    pub(super) fn takes_any_number(&self) -> bool {
        let takes = [Scalar::Int, Scalar::Bigint, Scalar::Date, Scalar::Timestamp, Scalar::String];
        matches!(self.kind, Kind::Scalar(scalar) if takes.contains(&scalar))
    }

    /// Skips the value at the cursor, or returns the reason why the column cannot hold it. After a misfit, the cursor
    /// may be anywhere in the value.
    pub(super) fn read(&mut self, scan: &mut Scan<'_>) -> Read<()> {
        match scan.peek() {
            Some(b'"') => self.string(scan),
            Some(b'-' | b'0'..=b'9') => self.number(scan),
            Some(b'n') => scan.literal("null"),
            Some(b't') => self.boolean(scan, "true"),
            Some(b'f') => self.boolean(scan, "false"),
            Some(b'[') => self.array(scan),
            Some(b'{') => self.object(scan),
            _ => Err(scan.unexpected("a value")),
        }
    }

    /// Skips the value at the cursor, and returns whether the column could hold it.
    pub(super) fn fits(&mut self, scan: &mut Scan<'_>) -> Read<bool> {
        let start = scan.place();
        match self.read(scan) {
            Ok(()) => Ok(true),
            Err(fault) if fault.is_misfit() => {
                scan.return_to(start);
                scan.skip_value().map(|()| false)
            }
            Err(fault) => Err(fault),
        }
    }

    fn boolean(&self, scan: &mut Scan<'_>, word: &str) -> Read<()> {
        let at = scan.at();
        scan.literal(word)?;
        match self.kind {
            Kind::Scalar(Scalar::Boolean | Scalar::String) => Ok(()),
            _ => Err(self.mismatch(at, "a boolean")),
        }
    }

    fn string(&self, scan: &mut Scan<'_>) -> Read<()> {
        let at = scan.at();
        let token = scan.string()?;
        match self.kind {
            Kind::Scalar(Scalar::String) => Ok(()),
            Kind::Scalar(Scalar::Boolean) | Kind::Array(_) | Kind::Map(..) | Kind::Struct(_) => {
                Err(self.mismatch(at, "a string"))
            }
            Kind::Scalar(scalar) => self.text(scalar, &token.text()).map_err(|why| Fault::misfit(at, why)),
        }
    }

    fn text(&self, scalar: Scalar, text: &str) -> Result<(), String> {
        match scalar {
            Scalar::Decimal(precision, scale) if self.dialect == Dialect::Connect => match unscaled(text) {
                Some(number) => check_unscaled(number, precision, scale),
                None => text::check(scalar, text),
            },
            _ if self.times == Times::Zoned => text::check(scalar, text).or_else(|why| match scalar {
                Scalar::Timestamp => text::instant(text).map(drop),
                Scalar::Time => text::time_in_utc(text).map(drop),
                _ => Err(why),
            }),
            _ => text::check(scalar, text),
        }
    }

    fn number(&self, scan: &mut Scan<'_>) -> Read<()> {
        let at = scan.at();
        let (literal, integral) = scan.number()?;
        match self.kind {
            _ if self.takes_any_number() => Ok(()),
            Kind::Scalar(scalar) => self.number_in_range(at, literal, integral, scalar),
            _ => Err(self.mismatch(at, "a number")),
        }
    }

    fn number_in_range(&self, at: usize, literal: &[u8], integral: bool, scalar: Scalar) -> Read<()> {
        let misfit = |why: String| Fault::misfit(at, why);
        match scalar {
            Scalar::Double if is_finite_double(literal) => Ok(()),
            Scalar::Double => Err(too_large(at)),
            Scalar::Decimal(precision, scale) => {
                text::check_decimal(&parse_literal(at, literal)?, precision, scale).map_err(misfit)
            }
            Scalar::Time => {
                let ms = match small_integer(literal, integral) {
                    Some(ms) => ms,
                    None => parse_literal(at, literal)?.wrapping_i64(),
                };
                text::time_of_day(ms as i32).map(drop).map_err(misfit)
            }
            _ => Err(self.mismatch(at, "a number")),
        }
    }

    fn array(&mut self, scan: &mut Scan<'_>) -> Read<()> {
        let at = scan.at();
        match &mut self.kind {
            Kind::Array(items) => check_items(scan, items),
            Kind::Map(Dialect::Connect, values) => entries::check(scan, values),
            Kind::Scalar(Scalar::String) => scan.skip_value(),
            _ => Err(self.mismatch(at, "an array")),
        }
    }

    fn object(&mut self, scan: &mut Scan<'_>) -> Read<()> {
        let at = scan.at();
        match &mut self.kind {
            Kind::Struct(record) => record.read(scan, &mut [], 0),
            Kind::Map(_, values) => map::check(scan, values),
            Kind::Scalar(Scalar::String) => scan.skip_value(),
            _ => Err(self.mismatch(at, "an object")),
        }
    }

    #[cold]
    fn mismatch(&self, at: usize, found: &str) -> Box<Fault> {
        mismatch(at, found, sql_name(&self.data_type))
    }
}

fn check_items(scan: &mut Scan<'_>, items: &mut Check) -> Read<()> {
    if scan.open(b']')? {
        return Ok(());
    }
    for index in 0_usize.. {
        items.read(scan).map_err(|fault| in_item(fault, index))?;
        if !scan.another(b']')? {
            break;
        }
    }
    Ok(())
}
