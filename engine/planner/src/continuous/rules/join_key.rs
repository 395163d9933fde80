//! The key of a join: one of the columns that its conditions make equal, or one made for it.

use super::Stateful;
use super::joins::{Kind, Step};
use crate::continuous::lowering::Use;
use crate::continuous::scope::ColumnRef;
use headwater_language::diagnostic::{Diagnostic, PROJECTION_KEY};
use headwater_language::types::SqlType;

/// A column of the key.
pub struct Key {
    /// What it is called in the result, where SELECT has it.
    pub selected: Option<String>,
    /// Its name, of one that the join makes.
    pub synthetic: Option<String>,
    /// Its type.
    pub ty: SqlType,
}

impl Stateful<'_> {
    /// The name of a key that no column is: `ROWKEY`, unless a source has such a column.
    pub(super) fn synthetic_key(&self) -> String {
        let taken = |name: &str| self.scope.members.iter().any(|member| member.has(name));
        let numbered = (1..).map(|n| format!("ROWKEY_{n}"));
        let mut names = std::iter::once("ROWKEY".to_owned()).chain(numbered);
        names.find(|name| !taken(name)).expect("numbers do not end")
    }

    /// The columns that the last joins make equal; any of them can be the key.
    pub(super) fn key_class(&self, steps: &[Step]) -> Vec<ColumnRef> {
        let texts = |step: &Step| [&step.left.0, &step.right.0].map(|expr| self.scope.text(expr));
        let columns = |step: &Step| [&step.left.0, &step.right.0].map(|expr| self.scope.column(expr));
        let Some((last, before)) = steps.split_last() else { return Vec::new() };
        if last.kind == Kind::Full {
            return Vec::new();
        }
        let (mut equal, mut class) = (texts(last).to_vec(), columns(last).to_vec());
        for step in before.iter().rev() {
            let others = texts(step);
            if step.kind == Kind::Full || !others.iter().any(|text| equal.contains(text)) {
                break;
            }
            equal.extend(others);
            class.extend(columns(step));
        }
        let mut class: Vec<ColumnRef> = class.into_iter().flatten().collect();
        class.sort();
        class.dedup();
        class
    }

    /// The key of the result; told when SELECT of what is written lacks it or has it twice.
    pub(super) fn join_keys(&self, steps: &[Step], errors: &mut Vec<Diagnostic>) -> Vec<Key> {
        let Some(last) = steps.last() else { return Vec::new() };
        if last.is_foreign {
            return self.left_key(errors);
        }
        let class = self.key_class(steps);
        if class.is_empty() {
            return self.made_key(last, errors);
        }
        let selected = self.items.iter().find(|item| self.scope.column(&item.expr).is_some_and(|c| class.contains(&c)));
        let ty = self.ty(&last.right.0, errors).unwrap_or(SqlType::String);
        let Some(selected) = selected else {
            let listed: Vec<String> = class.iter().map(|column| self.qualified(column)).collect();
            self.missing(&listed.join(" or "), &listed[0], "The key of a join is a column of its condition.", errors);
            return Vec::new();
        };
        let chosen = self.scope.column(&selected.expr);
        chosen.iter().for_each(|column| self.once(column, errors));
        vec![Key { selected: Some(selected.name.clone()), synthetic: None, ty }]
    }

    /// A join on a foreign key has the whole key of its left side.
    fn left_key(&self, errors: &mut Vec<Diagnostic>) -> Vec<Key> {
        let mut keys = Vec::new();
        for column in self.key_columns(0) {
            let found = self.items.iter().find(|item| self.scope.column(&item.expr).as_ref() == Some(&column));
            self.once(&column, errors);
            match found {
                Some(item) => {
                    let ty = self.ty(&item.expr, errors).unwrap_or(SqlType::String);
                    keys.push(Key { selected: Some(item.name.clone()), synthetic: None, ty });
                }
                None => {
                    let detail =
                        format!("A join on a foreign key has the whole key of \"{}\".", self.scope.members[0].alias);
                    self.missing(&self.qualified(&column), &self.qualified(&column), &detail, errors);
                }
            }
        }
        keys
    }

    /// The key that is made where no column holds it.
    fn made_key(&self, last: &Step, errors: &mut Vec<Diagnostic>) -> Vec<Key> {
        let name = self.synthetic_key();
        let ty = self.ty(&last.right.0, errors).unwrap_or(SqlType::String);
        let found = self.items.iter().find(|item| self.identifier(&item.expr) == Some(&name));
        if found.is_none() && !self.has_star {
            let detail = format!("No column of a source holds the key of this join, so it is made as {name}.");
            self.missing(&name, &name, &detail, errors);
        }
        vec![Key { selected: found.map(|item| item.name.clone()), synthetic: Some(name), ty }]
    }

    fn qualified(&self, column: &ColumnRef) -> String {
        format!("{}.{}", self.scope.members[column.member].alias, column.name)
    }

    fn missing(&self, what: &str, example: &str, detail: &str, errors: &mut Vec<Diagnostic>) {
        let Use::Write(sink) = self.purpose else { return };
        let message = format!("the key {what} is missing in SELECT");
        let detail = format!("{detail} \"{sink}\" has it among its columns, under any name.");
        let error = Diagnostic::new(PROJECTION_KEY, message).at(self.span()).detail(detail);
        errors.push(error.hint(format!("Say SELECT {example}, ….")));
    }

    fn once(&self, column: &ColumnRef, errors: &mut Vec<Diagnostic>) {
        let Use::Write(_) = self.purpose else { return };
        let having: Vec<_> =
            self.items.iter().filter(|item| self.scope.column(&item.expr).as_ref() == Some(column)).collect();
        if let [first, second, ..] = having[..] {
            let message = format!(
                "the key column \"{}\" is more than once in SELECT, as \"{}\" and \"{}\"",
                self.scope.merged_name(column),
                first.name,
                second.name
            );
            let hint = format!("Copy it into the value with AS_VALUE({}).", self.qualified(column));
            errors.push(Diagnostic::new(PROJECTION_KEY, message).at(second.span.unwrap_or(self.span())).hint(hint));
        }
    }
}
