//! Joins: which sources can be joined, in which order, and on what.
//!
//! Joins are steps from left to right; each brings one source and compares one expression of it with one expression of
//! what is there already.

use headwater_formats::format::FormatKind;
use sqlparser::ast::{BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, Spanned as _};

use super::Stateful;
use crate::continuous::scope::{ColumnRef, span_of};
use crate::sides::contains_map;
use headwater_language::definition::{ColumnRole, WindowDef};
use headwater_language::diagnostic::{Diagnostic, STREAMING, Span};
use headwater_language::sql::place;

/// A join that could be read.
pub struct Step {
    /// How unmatched rows are kept.
    pub kind: Kind,
    /// The expression of what is there already, and its source.
    pub left: (Expr, usize),
    /// The expression of the new source, and its index.
    pub right: (Expr, usize),
    /// The left expression is not a key of tables joined so far: a foreign key.
    pub is_foreign: bool,
    span: Span,
}

/// Which rows without a match are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None.
    Inner,
    /// Those of what is there already.
    Left,
    /// Those of the new source.
    Right,
    /// Both.
    Full,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Inner => "INNER JOIN",
            Self::Left => "LEFT OUTER JOIN",
            Self::Right => "RIGHT OUTER JOIN",
            Self::Full => "FULL OUTER JOIN",
        }
    }
}

impl Stateful<'_> {
    /// The joins that could be read; what is wrong with any is told.
    pub(super) fn joins(&self, errors: &mut Vec<Diagnostic>) -> Vec<Step> {
        if self.select.from.len() > 1 {
            let message = "sources are joined with JOIN … ON, not with a comma";
            errors.push(Diagnostic::new(STREAMING, message).at(self.span()));
            return Vec::new();
        }
        let Some(from) = self.select.from.first().filter(|from| !from.joins.is_empty()) else { return Vec::new() };
        self.values_fit("JOIN", errors);
        let mut steps = Vec::new();
        for (at, join) in from.joins.iter().enumerate() {
            self.not_twice(at + 1, errors);
            if let Some(step) = self.step(join, at + 1, errors) {
                steps.push(self.settled(step, &steps, errors));
            }
        }
        steps
    }

    fn alias(&self, member: usize) -> &str {
        &self.scope.members[member].alias
    }

    fn not_twice(&self, right: usize, errors: &mut Vec<Diagnostic>) {
        let name = &self.scope.members[right].source.name;
        if self.scope.members[..right].iter().any(|member| member.source.name == *name) {
            let message = format!("\"{name}\" cannot be joined to \"{name}\": a source is there once");
            errors.push(Diagnostic::new(STREAMING, message).at(self.span()));
        }
    }

    /// Reads one join: its kind, and what is on either side of the one `=` of its condition.
    fn step(&self, join: &Join, right: usize, errors: &mut Vec<Diagnostic>) -> Option<Step> {
        let span = place(join.span()).unwrap_or(self.span());
        let refuse = |message: String| Diagnostic::new(STREAMING, message).at(span);
        let Some((kind, constraint)) = kind_of(&join.join_operator) else {
            errors.push(refuse("a continuous join is INNER, LEFT, RIGHT or FULL".to_owned()));
            return None;
        };
        let JoinConstraint::On(condition) = constraint else {
            errors.push(refuse("a continuous join needs ON".to_owned()).hint("Say ON a.id = b.id."));
            return None;
        };
        let Expr::BinaryOp { left, op, right: other } = bare(condition) else {
            errors.push(refuse("ON compares two expressions".to_owned()).hint("Say ON a.id = b.id."));
            return None;
        };
        let text = self.scope.text(condition);
        match op {
            BinaryOperator::Eq => {}
            BinaryOperator::And | BinaryOperator::Or => {
                errors.push(refuse(format!("a join has one condition, not several: {text}")));
                return None;
            }
            _ => {
                errors.push(refuse(format!("a join compares with =, not with {op}: {text}")));
                return None;
            }
        }
        let before = errors.len();
        self.scope.check("JOIN ON", condition, &[], errors);
        if errors.len() > before {
            return None;
        }
        let sides = [left, other].map(|side| self.side(side, condition, errors));
        let [Some(left), Some(other)] = sides else { return None };
        let (left, other) = if left.1 == right { (other, left) } else { (left, other) };
        if other.1 != right || left.1 >= right {
            let message = format!("the condition does not name \"{}\", which is joined: ({text})", self.alias(right));
            let detail = format!("Of FROM it names \"{}\" and \"{}\".", self.alias(left.1), self.alias(other.1));
            errors.push(refuse(message).detail(detail));
            return None;
        }
        let within = self.query.within.iter().find(|within| within.value.join + 1 == right);
        self.within_fits(right, within.map(|w| w.span), span, errors);
        Some(Step { kind, left, right: other, is_foreign: false, span: span_of(condition, span) })
    }

    /// One side of a condition and the one source that it names.
    fn side(&self, side: &Expr, condition: &Expr, errors: &mut Vec<Diagnostic>) -> Option<(Expr, usize)> {
        let mut members: Vec<usize> = self.scope.columns_in(side).iter().map(|column| column.member).collect();
        members.dedup();
        if let [member] = members[..] {
            return Some((bare(side).clone(), member));
        }
        let (side_text, text) = (self.scope.text(side), self.scope.text(condition));
        let message =
            format!("each side of a join condition names columns of one source, \"{side_text}\" does not: ({text})");
        errors.push(Diagnostic::new(STREAMING, message).at(span_of(side, self.span())));
        None
    }

    fn within_fits(&self, right: usize, within: Option<Span>, span: Span, errors: &mut Vec<Diagnostic>) {
        let streams = !self.is_table(right) && !self.is_table_before(right);
        match within {
            None if streams => {
                let message = "a join of two streams needs WITHIN";
                let error = Diagnostic::new(STREAMING, message).at(span);
                errors.push(error.hint("Say how far apart in time two records may be: WITHIN 1 HOUR."));
            }
            Some(within) if !streams => {
                errors.push(Diagnostic::new(STREAMING, "WITHIN is for joins of two streams").at(within));
            }
            _ => {}
        }
    }

    /// What is joined so far is a table when all of it is.
    fn is_table_before(&self, right: usize) -> bool {
        (0..right).all(|member| self.is_table(member))
    }

    /// The step with what is known of its left expression, checked against those before it.
    fn settled(&self, mut step: Step, before: &[Step], errors: &mut Vec<Diagnostic>) -> Step {
        let both_tables = self.is_table(step.right.1) && self.is_table_before(step.right.1);
        step.is_foreign = both_tables && !self.is_key_so_far(&step, before);
        self.types_match(&step, errors);
        match (self.is_table_before(step.right.1), self.is_table(step.right.1)) {
            (true, false) => {
                let (left, right) = (self.alias(step.left.1), self.alias(step.right.1));
                let message = format!("a table cannot be joined to a stream: {left} {} {right}", step.kind.words());
                let error = Diagnostic::new(STREAMING, message).at(step.span);
                errors.push(error.hint(format!("Put the stream first: {right} JOIN {left}.")));
            }
            (false, true) => self.stream_to_table(&step, errors),
            (true, true) => self.table_to_table(&step, !before.is_empty(), errors),
            (false, false) => {}
        }
        self.windows_match(&step, errors);
        step
    }

    /// Both sides have one type, and it can be a key.
    fn types_match(&self, step: &Step, errors: &mut Vec<Diagnostic>) {
        let (Some(left), Some(right)) = (self.ty(&step.left.0, errors), self.ty(&step.right.0, errors)) else { return };
        if left != right {
            let message = "the two sides of the join condition have different types";
            let (a, b) = (self.scope.text(&step.left.0), self.scope.text(&step.right.0));
            let detail = format!("{a} is {left}, {b} is {right}.");
            let hint = format!("Say ON CAST({a} AS {right}) = {b}, or the other way round.");
            errors.push(Diagnostic::new(STREAMING, message).at(step.span).detail(detail).hint(hint));
        } else if contains_map(&left) {
            let name = self
                .scope
                .column(&step.left.0)
                .map_or_else(|| self.scope.text(&step.left.0), |c| self.scope.merged_name(&c));
            let message = format!("key column \"{name}\" has the type {left}: a key cannot contain a MAP");
            errors.push(Diagnostic::new(STREAMING, message).at(step.span));
        }
    }

    fn stream_to_table(&self, step: &Step, errors: &mut Vec<Diagnostic>) {
        let (left, right) = (self.alias(step.left.1), self.alias(step.right.1));
        if matches!(step.kind, Kind::Right | Kind::Full) {
            let message =
                format!("a stream is joined to a table by INNER or LEFT: {left} {} {right}", step.kind.words());
            errors.push(Diagnostic::new(STREAMING, message).at(step.span));
        }
        self.on_primary_key(step, errors);
    }

    fn table_to_table(&self, step: &Step, is_later: bool, errors: &mut Vec<Diagnostic>) {
        if !self.on_primary_key(step, errors) || !step.is_foreign {
            return;
        }
        let condition = format!("{} = {}", self.scope.text(&step.left.0), self.scope.text(&step.right.0));
        let mut refuse = |message: String| errors.push(Diagnostic::new(STREAMING, message).at(step.span));
        if matches!(step.kind, Kind::Right | Kind::Full) {
            refuse(format!("a {} on a foreign key is not possible: {condition}", step.kind.words()));
        }
        if is_later {
            refuse(format!("a join on a foreign key is the first of several: {condition}"));
        }
    }

    /// Whether the new table is joined on its primary key; told when it is not.
    fn on_primary_key(&self, step: &Step, errors: &mut Vec<Diagnostic>) -> bool {
        let (right, member) = (&step.right.0, &self.scope.members[step.right.1]);
        let key = self.key_columns(step.right.1);
        let found = self.scope.column(right);
        let is_key = key.len() == 1 && found.is_some_and(|found| key[0] == found);
        if !is_key {
            let listed: Vec<String> = key.iter().map(|c| c.name.clone()).collect();
            let message = format!("table \"{}\" is joined on its primary key only", member.source.name);
            let detail = format!(
                "The condition is {} = {}, the primary key is ({}).",
                self.scope.text(&step.left.0),
                self.scope.text(right),
                listed.join(", ")
            );
            errors.push(Diagnostic::new(STREAMING, message).at(step.span).detail(detail));
        }
        is_key
    }

    /// The key columns of a source.
    pub(super) fn key_columns(&self, member: usize) -> Vec<ColumnRef> {
        let source = &self.scope.members[member].source;
        source.columns_of(&ColumnRole::Key).map(|c| ColumnRef { member, name: c.name.clone() }).collect()
    }

    /// Whether the left expression is the key of what is joined so far.
    fn is_key_so_far(&self, step: &Step, before: &[Step]) -> bool {
        let Some(left) = self.scope.column(&step.left.0) else { return false };
        let is_own = |column: &ColumnRef| self.key_columns(column.member) == std::slice::from_ref(column);
        match before.last() {
            // A join on a foreign key keeps the key of its left side.
            Some(last) if !last.is_foreign => self.key_class(before).contains(&left),
            _ => left.member == 0 && is_own(&left),
        }
    }

    /// Windows of both sides are alike, or neither has any; what is windowed keeps its key.
    fn windows_match(&self, step: &Step, errors: &mut Vec<Diagnostic>) {
        let members = [step.left.1, step.right.1].map(|at| &self.scope.members[at]);
        let [left, right] = members.map(|member| member.source.window);
        let is_session = |window: WindowDef| window == WindowDef::Session;
        let size = |window: WindowDef| match window {
            WindowDef::Tumbling(ms) | WindowDef::Hopping(ms) => Some(ms),
            WindowDef::Session => None,
        };
        // As in ksqlDB, whose keys of registered schemas do not know the size of their windows.
        let registered = members.iter().all(|member| FormatKind::is_registered(&member.source.key.format));
        let told: Vec<String> = members.iter().map(|member| windowed(&member.alias, member.source.window)).collect();
        let mut refuse = |message: &str| {
            errors.push(Diagnostic::new(STREAMING, message).at(step.span).detail(format!("{}.", told.join(", "))));
        };
        let (Some(left), Some(right)) = (left, right) else {
            if left.is_some() || right.is_some() {
                refuse("a source with windows cannot be joined to one without");
            }
            return;
        };
        let on_keys = [&step.left, &step.right]
            .into_iter()
            .all(|(expr, member)| self.scope.column(expr).is_some_and(|column| self.key_columns(*member) == [column]));
        if is_session(left) != is_session(right) {
            refuse("session windows cannot be joined to windows of time");
        } else if !on_keys || (size(left) != size(right) && !registered) {
            refuse(
                "sources with windows are joined on their keys, with windows of one size: they cannot be repartitioned",
            );
        }
    }
}

fn windowed(alias: &str, window: Option<WindowDef>) -> String {
    match window {
        Some(window) => format!("\"{alias}\" is {} windowed", window.word()),
        None => format!("\"{alias}\" is not windowed"),
    }
}

fn kind_of(operator: &JoinOperator) -> Option<(Kind, &JoinConstraint)> {
    Some(match operator {
        JoinOperator::Join(c) | JoinOperator::Inner(c) => (Kind::Inner, c),
        JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (Kind::Left, c),
        JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (Kind::Right, c),
        JoinOperator::FullOuter(c) => (Kind::Full, c),
        _ => return None,
    })
}

/// An expression without brackets around it.
fn bare(expr: &Expr) -> &Expr {
    if let Expr::Nested(inner) = expr { bare(inner) } else { expr }
}
