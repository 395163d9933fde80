//! The columns that a join with USING merges, and NATURAL joins, which are rewritten with USING.
//!
//! ```text
//! l JOIN r USING (s), LEFT JOIN     s is l.s
//! l RIGHT JOIN r USING (s)          s is r.s
//! l FULL JOIN r USING (s)           s is l.s or r.s, whichever side has a row
//! ```

use headwater_expression::dialect;
use headwater_language::sql::call;
use sqlparser::ast::{Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Value};

use super::relations::Relation;

/// The relations of a FROM or a part of it, and the columns that USING merges.
#[derive(Default)]
pub(super) struct Joined {
    pub relations: Vec<Relation>,
    pub merged: Vec<Merged>,
}

/// A merged column of a USING.
#[derive(Clone, Debug)]
pub(super) struct Merged {
    pub name: String,
    /// The expression for its value.
    pub value: Expr,
    /// The relations that it is a column of, by position, the leftmost first.
    of: Vec<usize>,
    /// Those of them for which `*` over sources leaves the column out.
    left_out: Vec<usize>,
}

/// How `*` shows a column of a relation.
pub(super) enum Shown<'a> {
    /// Under its own name.
    Own,
    /// As the merged column of a USING.
    Merged(&'a Expr),
    No,
}

/// The two columns that a join USING compares for one name.
pub(super) type Compared = Option<(Expr, Expr)>;

impl Joined {
    /// Adds the relations of another item of FROM.
    pub fn beside(&mut self, right: Self) {
        let by = self.relations.len();
        self.relations.extend(right.relations);
        self.merged.extend(right.merged.into_iter().map(|column| column.moved(by)));
    }

    /// Joins the relations on the right side. Returns the two columns that are compared for each name in USING; none if
    /// it is unknown which relation a column belongs to.
    pub fn join(&mut self, operator: &JoinOperator, mut right: Self) -> Vec<Compared> {
        let mut compared = Vec::new();
        for name in using(operator) {
            let (Some(of_left), Some(of_right)) = (self.part(&name), right.part(&name)) else {
                compared.push(None);
                continue;
            };
            compared.push(Some((of_left.value.clone(), of_right.value.clone())));
            self.merged.retain(|column| column.name != name.value);
            right.merged.retain(|column| column.name != name.value);
            self.merged.push(one(operator, of_left, of_right.moved(self.relations.len())));
        }
        self.beside(right);
        compared
    }

    /// The column of this name: a merged column, or the column of the only relation that has one.
    fn part(&self, name: &Ident) -> Option<Merged> {
        let mut merged = self.merged.iter().filter(|column| column.name == name.value);
        if let Some(column) = merged.next() {
            return merged.next().is_none().then(|| column.clone());
        }
        let may_have = |(_, relation): &(usize, &Relation)| relation.has(&name.value) != Some(false);
        let with: Vec<(usize, &Relation)> = self.relations.iter().enumerate().filter(may_have).collect();
        let [(at, relation)] = with[..] else { return None };
        if relation.has_twice(&name.value) {
            return None;
        }
        let alias = relation.alias.as_ref()?;
        let alias = Ident { value: alias.value.clone(), quote_style: alias.quote_style, ..Ident::new("") };
        let value = Expr::CompoundIdentifier(vec![alias, name.clone()]);
        Some(Merged { name: name.value.clone(), value, of: vec![at], left_out: Vec::new() })
    }

    /// How `*` shows a column of the relation at a position. If the columns of sources are prefixed with the source's
    /// name, it shows one of those that are merged, or both for a FULL join.
    pub fn shown(&self, at: usize, column: &str, is_prefixed: bool) -> Shown<'_> {
        let is_of_sources = |merged: &Merged| is_prefixed && self.is_of_sources(merged);
        let is_it = |merged: &&Merged| merged.name == column && merged.of.contains(&at);
        match self.merged.iter().find(is_it) {
            None => Shown::Own,
            Some(merged) if is_of_sources(merged) && merged.left_out.contains(&at) => Shown::No,
            Some(merged) if is_of_sources(merged) => Shown::Own,
            Some(merged) if merged.of.first() == Some(&at) => Shown::Merged(&merged.value),
            Some(_) => Shown::No,
        }
    }

    /// Whether `x.*` shows a column of the relation at a position.
    pub fn shows_own(&self, at: usize, column: &str) -> bool {
        let is_left_out =
            |merged: &Merged| merged.name == column && self.is_of_sources(merged) && merged.left_out.contains(&at);
        !self.merged.iter().any(is_left_out)
    }

    fn is_of_sources(&self, merged: &Merged) -> bool {
        merged.of.iter().all(|at| self.relations[*at].source.is_some())
    }

    /// The columns that `*` shows, with merged columns listed once; none if they are unknown.
    fn visible(&self) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for (at, relation) in self.relations.iter().enumerate() {
            let of_other = |name: &&str| {
                let is_later = |merged: &Merged| merged.of.contains(&at) && merged.of.first() != Some(&at);
                !self.merged.iter().any(|merged| merged.name == **name && is_later(merged))
            };
            names.extend(relation.visible()?.into_iter().filter(of_other).map(str::to_owned));
        }
        Some(names)
    }
}

impl Merged {
    /// The same relations, moved behind others.
    fn moved(mut self, by: usize) -> Self {
        self.of.iter_mut().chain(&mut self.left_out).for_each(|place| *place += by);
        self
    }
}

/// The column into which a join merges two.
fn one(operator: &JoinOperator, left: Merged, right: Merged) -> Merged {
    let (value, hidden) = match operator {
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (right.value, left.of.clone()),
        JoinOperator::FullOuter(_) => (call(dialect::EITHER, vec![left.value, right.value]), Vec::new()),
        _ => (left.value, right.of.clone()),
    };
    let of = [left.of, right.of].concat();
    Merged { name: left.name, value, of, left_out: [left.left_out, right.left_out, hidden].concat() }
}

/// Rewrites a NATURAL join with USING and the columns that both sides show. Address columns, which all sources have, do
/// not count. Without a common column, every row is combined with every other.
pub(super) fn settle_natural(join: &mut Join, left: &Joined, right: &Joined) {
    let is_inner = matches!(join.join_operator, JoinOperator::Join(_) | JoinOperator::Inner(_));
    let Some(constraint) = constraint_mut(&mut join.join_operator).filter(|c| **c == JoinConstraint::Natural) else {
        return;
    };
    let (Some(left), Some(right)) = (left.visible(), right.visible()) else { return };
    let common: Vec<String> = right.into_iter().filter(|column| left.contains(column)).collect();
    *constraint = match common.is_empty() {
        false => JoinConstraint::Using(common.into_iter().map(|c| ObjectName::from(vec![Ident::new(c)])).collect()),
        true => JoinConstraint::On(Expr::value(Value::Boolean(true))),
    };
    if matches!(constraint, JoinConstraint::On(_)) && is_inner {
        join.join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
    }
}

/// The names in a join's USING.
pub(super) fn using(join: &JoinOperator) -> Vec<Ident> {
    match constraint(join) {
        Some(JoinConstraint::Using(names)) => {
            names.iter().filter_map(|name| name.0.last()?.as_ident().cloned()).collect()
        }
        _ => Vec::new(),
    }
}

fn constraint(join: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator::{FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
    match join {
        JoinOperator::Join(c) | Inner(c) | Left(c) | LeftOuter(c) | Right(c) | RightOuter(c) | FullOuter(c) => Some(c),
        _ => None,
    }
}

/// The condition of a join that compares rows of both sides.
pub(super) fn constraint_mut(join: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    use JoinOperator::{FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
    match join {
        JoinOperator::Join(c) | Inner(c) | Left(c) | LeftOuter(c) | Right(c) | RightOuter(c) | FullOuter(c) => Some(c),
        _ => None,
    }
}
