//! Random tables with few rows: many are equal, many are NULL, and several tables have columns of the same name.

use std::sync::Arc;

use arrow::array::BinaryArray;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{SinkOptions, Transport as _};
use headwater_formats::record::OutBatch;

use crate::random::Random;

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    Int,
    Big,
    Truth,
    Text,
    Double,
}

impl Ty {
    pub const ALL: [Self; 5] = [Self::Int, Self::Big, Self::Truth, Self::Text, Self::Double];

    pub fn sql(self) -> &'static str {
        match self {
            Self::Int => "INT",
            Self::Big => "BIGINT",
            Self::Truth => "BOOLEAN",
            Self::Text => "STRING",
            Self::Double => "DOUBLE",
        }
    }

    /// A random value as an SQL literal.
    pub fn literal(self, random: &mut Random) -> String {
        match self {
            Self::Int => random.pick(&["0", "1", "2", "3", "-1", "10"]).to_string(),
            Self::Big => format!("CAST({} AS BIGINT)", random.pick(&["0", "1", "2", "3", "-1", "10"])),
            Self::Truth => random.pick(&["true", "false"]).to_string(),
            Self::Text => random.pick(&["'x'", "'y'", "'z'", "''"]).to_string(),
            Self::Double => random.pick(&["0e0", "-0e0", "1e0", "15e-1", "-25e-2"]).to_string(),
        }
    }
}

/// The names and types of columns.
const COLUMNS: [(&str, Ty); 7] = [
    ("k", Ty::Int),
    ("i", Ty::Int),
    ("n", Ty::Big),
    ("f", Ty::Truth),
    ("s", Ty::Text),
    ("t", Ty::Text),
    ("d", Ty::Double),
];

/// A table, declared as a stream.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: Vec<(&'static str, Ty)>,
    /// Rows of SQL literals.
    rows: Vec<Vec<String>>,
}

/// Tables that each have some of the columns.
pub fn some(random: &mut Random) -> Vec<Table> {
    ["l", "r", "m"].into_iter().map(|name| one(random, name)).collect()
}

fn one(random: &mut Random, name: &'static str) -> Table {
    let columns: Vec<_> = COLUMNS.into_iter().filter(|(column, _)| *column == "k" || !random.one_in(4)).collect();
    let rows = if random.one_in(12) { 0 } else { 1 + random.below(7) };
    let cell = |random: &mut Random, ty: Ty| match random.one_in(5) {
        true => "NULL".to_owned(),
        false => if ty == Ty::Big { Ty::Int } else { ty }.literal(random),
    };
    let rows = (0..rows).map(|_| columns.iter().map(|(_, ty)| cell(random, *ty)).collect()).collect();
    Table { name, columns, rows }
}

impl Table {
    pub fn declaration(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|(name, ty)| format!("{name} {}", ty.sql())).collect();
        let Self { name, .. } = self;
        format!(
            "CREATE STREAM {name} ({}) WITH (KAFKA_TOPIC='{name}', PARTITIONS=1, VALUE_FORMAT='JSON');",
            columns.join(", ")
        )
    }

    /// The statement that writes the rows.
    pub fn insertion(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(|row| format!("({})", row.join(", "))).collect();
        if rows.is_empty() { String::new() } else { format!("INSERT INTO {} VALUES {};", self.name, rows.join(", ")) }
    }

    pub fn write(&self, cluster: &MemoryTransport) {
        let json = |cell: &String| match cell.as_str() {
            "NULL" => "null".to_owned(),
            text => text.replace('\'', "\""),
        };
        let record = |row: &Vec<String>| {
            let cells = self.columns.iter().zip(row).map(|((name, _), cell)| format!("\"{name}\":{}", json(cell)));
            format!("{{{}}}", cells.collect::<Vec<_>>().join(","))
        };
        let values: Vec<String> = self.rows.iter().map(record).collect();
        let batch = OutBatch {
            topic: Arc::from(self.name),
            partitions: Some(vec![0; values.len()].into()),
            keys: values.iter().map(|_| None::<&[u8]>).collect::<BinaryArray>(),
            values: BinaryArray::from_iter_values(&values),
            timestamps_ms: None,
            headers: None,
        };
        cluster.open_sink(SinkOptions::default()).expect("a sink").write(&batch).expect("a write");
    }
}
