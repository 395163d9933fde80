//! Random queries, including subqueries that refer to the enclosing query.

use super::expressions::{Column, Scope};
use super::tables::{Table, Ty};
use crate::random::Random;

/// The joins of two relations.
const JOINS: [&str; 6] = ["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"];

/// Names of result columns: those of the tables, to provoke ambiguity, and others.
const NAMES: [&str; 8] = ["k", "i", "s", "f", "n", "a", "b", "c"];

/// Names of relations, including those of tables and columns.
const RELATIONS: [&str; 8] = ["l", "r", "q", "p", "i", "k", "s", "z"];

/// Writes queries over tables.
pub struct Writer<'a> {
    pub random: &'a mut Random,
    pub tables: &'a [Table],
    /// Whether a SELECT may have window functions, whose values depend on WHERE.
    pub windows: bool,
    /// Whether an expression may fail for a row.
    pub failures: bool,
}

/// The FROM clause of a query.
#[derive(Clone, Debug)]
pub struct From {
    pub text: String,
    pub columns: Vec<Column>,
    /// The names of its relations.
    names: Vec<String>,
    /// Whether its rows always have the same order, whatever the plan.
    pub steady: bool,
}

/// The parts of `SELECT list FROM from WHERE …`.
#[derive(Clone, Debug)]
pub struct Select {
    /// Expressions and their names.
    pub list: Vec<(String, String)>,
    pub types: Vec<Ty>,
    pub from: From,
    pub condition: Option<String>,
    /// GROUP BY and HAVING.
    pub grouping: String,
    pub distinct: bool,
}

impl Select {
    /// The text with another condition, or none.
    pub fn text_where(&self, condition: Option<&str>) -> String {
        let list: Vec<String> = self.list.iter().map(|(value, name)| format!("{value} AS {name}")).collect();
        let condition = condition.map_or(String::new(), |condition| format!(" WHERE {condition}"));
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        format!("SELECT {distinct}{} FROM {}{condition}{}", list.join(", "), self.from.text, self.grouping)
    }

    pub fn text(&self) -> String {
        self.text_where(self.condition.as_deref())
    }
}

impl Writer<'_> {
    fn table(&mut self, taken: &[String]) -> From {
        let table = &self.tables[self.random.below(self.tables.len())];
        let name = self.relation_name(taken, table.name);
        let text = if name == table.name { name.clone() } else { format!("{} AS {name}", table.name) };
        let columns = table
            .columns
            .iter()
            .map(|(column, ty)| Column { texts: vec![format!("{name}.{column}"), (*column).to_owned()], ty: *ty });
        From { text, columns: columns.collect(), names: vec![name], steady: true }
    }

    fn relation_name(&mut self, taken: &[String], wanted: &str) -> String {
        let wanted = if self.random.one_in(3) { *self.random.pick(&RELATIONS) } else { wanted };
        let free = |name: &str| !taken.iter().any(|taken| taken == name);
        if free(wanted) {
            return wanted.to_owned();
        }
        let other = RELATIONS.iter().find(|name| free(name)).expect("few relations");
        (*other).to_owned()
    }

    /// A table or a subquery.
    fn relation(&mut self, taken: &[String], depth: usize) -> From {
        if depth == 0 || !self.random.one_in(4) {
            return self.table(taken);
        }
        let (text, names, types, steady) = match self.random.below(4) {
            // A subquery that returns only a few rows.
            0 => {
                let select = self.without_windows(|writer| writer.plain(&[], 0));
                let names: Vec<String> = select.list.iter().map(|(_, name)| name.clone()).collect();
                let steady = select.from.steady;
                let order =
                    if steady && self.random.one_in(2) { String::new() } else { order_by_all(select.types.len()) };
                (format!("{}{order}{}", select.text(), self.limit()), names, select.types, steady || !order.is_empty())
            }
            1 => {
                let select = self.plain(&[], 0);
                let other = self.plain(&select.types, depth - 1);
                let names = select.list.iter().map(|(_, name)| name.clone()).collect();
                let op = *self.random.pick(&["UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
                (format!("{} {op} {}", select.text(), other.text()), names, select.types, false)
            }
            _ => {
                let select = self.select(None, depth - 1);
                let names = select.list.iter().map(|(_, name)| name.clone()).collect();
                (select.text(), names, select.types, false)
            }
        };
        let name = self.relation_name(taken, "q");
        let column =
            |(column, ty): (&String, &Ty)| Column { texts: vec![format!("{name}.{column}"), column.clone()], ty: *ty };
        let columns = names.iter().zip(&types).map(column).collect();
        From { text: format!("({text}) AS {name}"), columns, names: vec![name], steady }
    }

    /// Writes something without window functions, which would depend on the order of rows in a plan.
    fn without_windows<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> T {
        let windows = std::mem::replace(&mut self.windows, false);
        let written = write(self);
        self.windows = windows;
        written
    }

    pub fn limit(&mut self) -> String {
        let offset = if self.random.one_in(2) { format!(" OFFSET {}", self.random.below(4)) } else { String::new() };
        if !offset.is_empty() && self.random.one_in(4) {
            offset
        } else {
            format!(" LIMIT {}{offset}", self.random.below(6))
        }
    }

    /// One relation, or several that are joined.
    pub fn from(&mut self, depth: usize) -> From {
        let mut from = self.relation(&[], depth);
        for _ in 0..*self.random.pick(&[0, 0, 1, 1, 1, 2]) {
            let right = self.relation(&from.names, depth);
            from = self.join(from, right);
        }
        from
    }

    fn join(&mut self, left: From, right: From) -> From {
        let kind = *self.random.pick(&JOINS);
        if self.random.one_in(6)
            && let Some(joined) = self.join_using(&left, &right, kind)
        {
            return joined;
        }
        // A name that both sides have is ambiguous.
        let is_shared = |text: &String, others: &[Column]| others.iter().any(|column| column.texts.contains(text));
        let keep = |columns: &[Column], others: &[Column]| {
            columns
                .iter()
                .map(|column| {
                    let texts = column.texts.iter().filter(|text| !is_shared(text, others)).cloned().collect();
                    Column { texts, ty: column.ty }
                })
                .filter(|column| !column.texts.is_empty())
                .collect::<Vec<_>>()
        };
        let mut columns = keep(&left.columns, &right.columns);
        columns.extend(keep(&right.columns, &left.columns));
        let names = left.names.iter().chain(&right.names).cloned().collect();
        let text = if self.random.one_in(10) {
            format!("{} CROSS JOIN {}", left.text, right.text)
        } else {
            let on = self.on(&left, &right, &columns);
            format!("{} {kind} {} ON {on}", left.text, right.text)
        };
        From { text, columns, names, steady: false }
    }

    fn on(&mut self, left: &From, right: &From, all: &[Column]) -> String {
        let pairs: Vec<(&Column, &Column)> = left
            .columns
            .iter()
            .flat_map(|one| right.columns.iter().filter(move |other| other.ty == one.ty).map(move |other| (one, other)))
            .collect();
        let scope = Scope { columns: all, depth: 0 };
        if pairs.is_empty() || self.random.one_in(6) {
            return self.condition(scope, 2);
        }
        let (one, other) = pairs[self.random.below(pairs.len())];
        let equal = format!("{} = {}", one.texts[0], other.texts[0]);
        match self.random.below(4) {
            0 => format!("{equal} AND {}", self.condition(scope, 2)),
            _ => equal,
        }
    }

    /// A join USING a column that both sides have, with one name on each.
    fn join_using(&mut self, left: &From, right: &From, kind: &str) -> Option<From> {
        let plain = |column: &Column| column.texts.iter().find(|text| !text.contains('.')).cloned();
        let shared: Vec<(String, Ty)> = left
            .columns
            .iter()
            .filter_map(|column| Some((plain(column)?, column.ty)))
            .filter(|(name, ty)| {
                right.columns.iter().any(|other| other.ty == *ty && plain(other).as_ref() == Some(name))
            })
            .collect();
        if shared.is_empty() {
            return None;
        }
        let (name, ty) = shared[self.random.below(shared.len())].clone();
        let mut columns = vec![Column { texts: vec![name.clone()], ty }];
        let all = left.columns.iter().chain(&right.columns);
        columns.extend(all.clone().filter_map(|column| {
            let unique = |text: &&String| all.clone().filter(|other| other.texts.contains(text)).count() == 1;
            let texts: Vec<String> = column.texts.iter().filter(unique).cloned().collect();
            (!texts.is_empty()).then_some(Column { texts, ty: column.ty })
        }));
        let names = left.names.iter().chain(&right.names).cloned().collect();
        Some(From {
            text: format!("{} {kind} {} USING ({name})", left.text, right.text),
            columns,
            names,
            steady: false,
        })
    }

    /// A SELECT without groups, with the given types or random ones.
    pub fn plain(&mut self, types: &[Ty], depth: usize) -> Select {
        let from = if depth == 0 { self.table(&[]) } else { self.from(depth) };
        let types = if types.is_empty() { self.types() } else { types.to_vec() };
        let columns = from.columns.clone();
        let scope = Scope { columns: &columns, depth: depth.min(1) };
        let value = |writer: &mut Self, ty: Ty| match writer.windows && writer.random.one_in(8) {
            true => writer.window(ty, scope),
            false => writer.value(ty, scope, 2),
        };
        let list = types.iter().map(|ty| value(self, *ty)).collect();
        let condition = (!self.random.one_in(3)).then(|| self.condition(scope, 3));
        Select { list: self.named(list), types, from, condition, grouping: String::new(), distinct: false }
    }

    /// A window function whose value does not depend on the order of equal rows.
    fn window(&mut self, ty: Ty, scope: Scope<'_>) -> String {
        let call = match ty {
            Ty::Big if self.random.one_in(2) => "COUNT(*)".to_owned(),
            Ty::Big => format!("SUM({})", self.value(Ty::Int, scope, 1)),
            Ty::Truth => return self.condition(scope, 2),
            ty => format!("{}({})", self.random.pick(&["MIN", "MAX"]), self.value(ty, scope, 1)),
        };
        let by = |writer: &mut Self| {
            let column = writer.random.below(scope.columns.len());
            scope.columns[column].text(writer.random)
        };
        let mut over = Vec::new();
        if self.random.one_in(2) {
            over.push(format!("PARTITION BY {}", by(self)));
        }
        if self.random.one_in(2) {
            over.push(format!("ORDER BY {}{}", by(self), self.random.pick(&["", " DESC", " NULLS FIRST"])));
        }
        format!("{call} OVER ({})", over.join(" "))
    }

    fn types(&mut self) -> Vec<Ty> {
        (0..1 + self.random.below(3)).map(|_| *self.random.pick(&Ty::ALL)).collect()
    }

    fn named(&mut self, list: Vec<String>) -> Vec<(String, String)> {
        let mut taken: Vec<&str> = Vec::new();
        let mut name = || loop {
            let name = *self.random.pick(&NAMES);
            if !taken.contains(&name) {
                taken.push(name);
                return name.to_owned();
            }
        };
        list.into_iter().map(|value| (value, name())).collect()
    }

    /// Any SELECT.
    pub fn select(&mut self, types: Option<&[Ty]>, depth: usize) -> Select {
        match self.random.below(5) {
            0 | 1 if types.is_none() => self.grouped(depth),
            2 => Select { distinct: true, ..self.plain(types.unwrap_or_default(), depth) },
            _ => self.plain(types.unwrap_or_default(), depth),
        }
    }

    /// A SELECT with groups, or with one row for all rows.
    pub fn grouped(&mut self, depth: usize) -> Select {
        let from = self.from(depth);
        let columns = from.columns.clone();
        let scope = Scope { columns: &columns, depth: 0 };
        let condition = self.random.one_in(2).then(|| self.condition(scope, 2));
        let keys: Vec<Column> = (0..*self.random.pick(&[0, 1, 1, 2])).map(|_| self.key(scope)).collect();
        let mut known = keys.clone();
        known.extend((0..2).map(|_| self.aggregate(scope)));
        let after = Scope { columns: &known, depth: depth.min(1) };
        let types: Vec<Ty> = known.iter().map(|column| column.ty).collect();
        let list = known.iter().map(|column| match self.random.one_in(4) {
            true => self.value(column.ty, after, 1),
            false => column.texts[0].clone(),
        });
        let list = list.collect();
        let having =
            if self.random.one_in(3) { format!(" HAVING {}", self.condition(after, 2)) } else { String::new() };
        let grouping = format!("{}{having}", self.group_by(&keys));
        Select { list: self.named(list), types, from, condition, grouping, distinct: self.random.one_in(8) }
    }

    /// What is grouped by: usually a column.
    fn key(&mut self, scope: Scope<'_>) -> Column {
        let column = scope.columns[self.random.below(scope.columns.len())].clone();
        let text = match self.random.one_in(4) {
            true => self.value(column.ty, scope, 1),
            false => column.text(self.random),
        };
        // A constant would be an ordinal position.
        let is_constant =
            !scope.columns.iter().any(|column| column.texts.iter().any(|name| text.contains(name.as_str())));
        if is_constant { self.key(scope) } else { Column { texts: vec![text], ty: column.ty } }
    }

    fn group_by(&mut self, keys: &[Column]) -> String {
        let texts: Vec<&str> = keys.iter().map(|key| key.texts[0].as_str()).collect();
        let all = texts.join(", ");
        match (texts.len(), self.random.below(6)) {
            (0, _) => String::new(),
            (_, 0) => format!(" GROUP BY ROLLUP ({all})"),
            (_, 1) => format!(" GROUP BY CUBE ({all})"),
            (_, 2) => format!(" GROUP BY GROUPING SETS (({all}), ({}))", texts[0]),
            _ => format!(" GROUP BY {all}"),
        }
    }

    fn aggregate(&mut self, scope: Scope<'_>) -> Column {
        let ty = *self.random.pick(&[Ty::Int, Ty::Int, Ty::Text, Ty::Double, Ty::Big]);
        let of = self.value(ty, scope, 1);
        let distinct = *self.random.pick(&["", "", "DISTINCT "]);
        let (text, ty) = match self.random.below(6) {
            0 => ("COUNT(*)".to_owned(), Ty::Big),
            1 => (format!("COUNT({distinct}{of})"), Ty::Big),
            2 if ty != Ty::Text => (format!("SUM({distinct}{of})"), if ty == Ty::Int { Ty::Big } else { ty }),
            3 | 2 => (format!("MIN({of})"), ty),
            _ => (format!("MAX({of})"), ty),
        };
        let filter =
            if self.random.one_in(6) { format!(" FILTER (WHERE {})", self.condition(scope, 1)) } else { String::new() };
        Column { texts: vec![format!("{text}{filter}")], ty }
    }

    /// A subquery over a table that refers to a column of the enclosing query, or to none.
    fn inner(&mut self, outer: Scope<'_>) -> (From, String) {
        let from = self.table(&[]);
        let columns = from.columns.clone();
        let inner = Scope { columns: &columns, depth: 0 };
        // Names of the inner table hide outer ones, so only qualified outer names are used.
        let is_foreign = |text: &&String| {
            text.split_once('.').is_some_and(|(relation, _)| !from.names.iter().any(|name| name == relation))
        };
        let around: Vec<(String, Ty)> = outer
            .columns
            .iter()
            .filter_map(|column| Some((column.texts.iter().find(is_foreign)?.clone(), column.ty)))
            .collect();
        let mut conditions = Vec::new();
        if self.random.one_in(2) {
            conditions.push(self.condition(inner, 1));
        }
        let pairs: Vec<String> = around
            .iter()
            .flat_map(|(text, ty)| {
                columns
                    .iter()
                    .filter(|column| column.ty == *ty)
                    .map(move |column| format!("{} = {text}", column.texts[0]))
            })
            .collect();
        if !pairs.is_empty() && self.random.one_in(2) {
            conditions.push(self.random.pick(&pairs).clone());
        }
        let condition =
            if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        (from, condition)
    }

    /// A subquery of at most one row.
    pub fn scalar(&mut self, ty: Ty, outer: Scope<'_>) -> String {
        let (from, condition) = self.inner(outer);
        let columns = from.columns.clone();
        let inner = Scope { columns: &columns, depth: 0 };
        let value = match ty {
            Ty::Big if self.random.one_in(2) => "COUNT(*)".to_owned(),
            Ty::Truth => format!("MAX({}) > 0", self.value(Ty::Int, inner, 1)),
            ty => format!("{}({})", self.random.pick(&["MAX", "MIN"]), self.value(ty, inner, 1)),
        };
        format!("(SELECT {value} FROM {}{condition})", from.text)
    }

    /// The rows for IN and EXISTS: those of a table, of groups, or a single row for all rows.
    fn some_rows(&mut self, ty: Ty, outer: Scope<'_>) -> String {
        let (from, condition) = self.inner(outer);
        let columns = from.columns.clone();
        let inner = Scope { columns: &columns, depth: 0 };
        let value = self.value(ty, inner, 1);
        let of_type: Vec<&Column> = columns.iter().filter(|column| column.ty == ty).collect();
        let key =
            if of_type.is_empty() { None } else { Some(of_type[self.random.below(of_type.len())].texts[0].clone()) };
        match (self.random.below(6), key) {
            (0, _) if ty != Ty::Truth => {
                let having = if self.random.one_in(2) {
                    format!(" HAVING COUNT(*) {} {}", self.random.pick(&["=", ">", "<"]), self.random.below(3))
                } else {
                    String::new()
                };
                let aggregate = if ty == Ty::Big { "COUNT(*)".to_owned() } else { format!("MAX({value})") };
                format!("SELECT {aggregate} AS v FROM {}{condition}{having}", from.text)
            }
            (1, Some(key)) => format!("SELECT {key} AS v FROM {}{condition} GROUP BY {key}", from.text),
            (2, _) => format!("SELECT DISTINCT {value} AS v FROM {}{condition}", from.text),
            _ => format!("SELECT {value} AS v FROM {}{condition}", from.text),
        }
    }

    pub fn among(&mut self, outer: Scope<'_>) -> String {
        let ty = *self.random.pick(&[Ty::Int, Ty::Int, Ty::Big, Ty::Text]);
        let (value, rows) = (self.value(ty, Scope { depth: 0, ..outer }, 1), self.some_rows(ty, outer));
        match self.random.below(4) {
            0 => format!("{value} NOT IN ({rows})"),
            1 => {
                let (op, which) = (*self.random.pick(&["=", "<>", "<", ">="]), *self.random.pick(&["ANY", "ALL"]));
                format!("{value} {op} {which} ({rows})")
            }
            _ => format!("{value} IN ({rows})"),
        }
    }

    pub fn exists(&mut self, outer: Scope<'_>) -> String {
        let not = *self.random.pick(&["", "NOT "]);
        let ty = *self.random.pick(&[Ty::Int, Ty::Big]);
        format!("{not}EXISTS ({})", self.some_rows(ty, outer))
    }
}

/// ` ORDER BY 1, 2, …`: an order that is unique except for equal rows.
pub fn order_by_all(columns: usize) -> String {
    let all: Vec<String> = (1..=columns).map(|at| at.to_string()).collect();
    format!(" ORDER BY {}", all.join(", "))
}
