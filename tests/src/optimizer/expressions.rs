//! Expressions over the columns that are in scope.

use super::queries::Writer;
use super::tables::Ty;
use crate::random::Random;

/// A value that expressions may use, and the ways to write it.
#[derive(Clone, Debug)]
pub struct Column {
    pub texts: Vec<String>,
    pub ty: Ty,
}

impl Column {
    pub fn text(&self, random: &mut Random) -> String {
        random.pick(&self.texts).clone()
    }
}

/// What an expression at one position of a query may use.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub columns: &'a [Column],
    /// How deeply subqueries may still be nested.
    pub depth: usize,
}

impl Writer<'_> {
    /// A value of a type.
    pub fn value(&mut self, ty: Ty, scope: Scope<'_>, size: usize) -> String {
        let of_type: Vec<&Column> = scope.columns.iter().filter(|column| column.ty == ty).collect();
        if ty == Ty::Double && self.random.one_in(12) {
            // NaN, which does not occur in records.
            return "(0e0 / 0e0)".to_owned();
        }
        if size == 0 || self.random.one_in(2) {
            return match of_type.is_empty() || self.random.one_in(5) {
                true => ty.literal(self.random),
                false => of_type[self.random.below(of_type.len())].text(self.random),
            };
        }
        let size = size - 1;
        match self.random.below(10) {
            0 => {
                let (when, then) = (self.condition(scope, size), self.value(ty, scope, size));
                let otherwise = if self.random.one_in(3) {
                    String::new()
                } else {
                    format!(" ELSE {}", self.value(ty, scope, size))
                };
                format!("CASE WHEN {when} THEN {then}{otherwise} END")
            }
            1 => format!("COALESCE({}, {})", self.value(ty, scope, size), self.value(ty, scope, size)),
            2 if scope.depth > 0 => self.scalar(ty, scope),
            _ => self.computed(ty, scope, size),
        }
    }

    fn computed(&mut self, ty: Ty, scope: Scope<'_>, size: usize) -> String {
        match ty {
            Ty::Int | Ty::Double => match self.random.below(5) {
                0 => format!("-({})", self.value(ty, scope, size)),
                1 => format!("ABS({})", self.value(ty, scope, size)),
                _ => {
                    let op = *self.random.pick(&["+", "-", "*", "%", "/"]);
                    let divisor = ["%", "/"].contains(&op) && !self.failures;
                    let right = if divisor {
                        if ty == Ty::Int { "3" } else { "3e0" }.to_owned()
                    } else {
                        self.value(ty, scope, size)
                    };
                    format!("({} {op} {right})", self.value(ty, scope, size))
                }
            },
            Ty::Big => format!("({} + {})", self.value(Ty::Int, scope, size), self.value(ty, scope, size)),
            Ty::Text => match self.random.below(3) {
                0 => format!("UCASE({})", self.value(ty, scope, size)),
                1 => format!("CAST({} AS STRING)", self.value(Ty::Int, scope, size)),
                _ => format!("({} || {})", self.value(ty, scope, size), self.value(ty, scope, size)),
            },
            Ty::Truth => self.condition(scope, size),
        }
    }

    /// A condition that is true or false, or NULL where BOOLEAN columns are.
    pub fn condition(&mut self, scope: Scope<'_>, size: usize) -> String {
        let size = size.saturating_sub(1);
        let ty = *self.random.pick(&[Ty::Int, Ty::Int, Ty::Big, Ty::Text, Ty::Double]);
        match self.random.below(if size == 0 { 7 } else { 14 }) {
            0 | 1 => {
                let op = *self.random.pick(&["=", "=", "<>", "<", "<=", ">", ">="]);
                format!("{} {op} {}", self.value(ty, scope, size), self.value(ty, scope, size))
            }
            2 => {
                let not = *self.random.pick(&["", "NOT "]);
                format!("{} IS {not}NULL", self.value(ty, scope, size))
            }
            3 => {
                let columns: Vec<&Column> = scope.columns.iter().filter(|column| column.ty == Ty::Truth).collect();
                if columns.is_empty() {
                    "true".to_owned()
                } else {
                    columns[self.random.below(columns.len())].text(self.random)
                }
            }
            4 => {
                let not = *self.random.pick(&["", "NOT "]);
                format!(
                    "{} {not}IN ({}, {})",
                    self.value(ty, scope, size),
                    ty.literal(self.random),
                    self.value(ty, scope, 0)
                )
            }
            5 => {
                let not = *self.random.pick(&["", "NOT "]);
                let (low, high) = (self.value(ty, scope, 0), self.value(ty, scope, 0));
                format!("{} {not}BETWEEN {low} AND {high}", self.value(ty, scope, size))
            }
            6 => {
                let not = *self.random.pick(&["", "NOT "]);
                format!("{} IS {not}DISTINCT FROM {}", self.value(ty, scope, size), self.value(ty, scope, size))
            }
            7 | 8 => format!("({} AND {})", self.condition(scope, size), self.condition(scope, size)),
            9 | 10 => format!("({} OR {})", self.condition(scope, size), self.condition(scope, size)),
            11 => format!("NOT ({})", self.condition(scope, size)),
            12 if scope.depth > 0 => self.among(scope),
            13 if scope.depth > 0 => self.exists(scope),
            _ => format!(
                "{} LIKE {}",
                self.value(Ty::Text, scope, size),
                self.random.pick(&["'x%'", "'%'", "'_'", "'z'"])
            ),
        }
    }
}
