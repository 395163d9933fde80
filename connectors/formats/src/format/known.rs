//! What a decoder knows of the schemas that its payloads begin with.
//!
//! Separate because AVRO, PROTOBUF and JSON_SR do the same with it. That an id has no schema is known only for the batch for
//! which it was asked: any bytes can be an id, so that garbage could fill the memory, and a registry may learn a schema later
//! than the first record with it is read.

use std::collections::BTreeMap;

use super::framing::unknown_schema;
use crate::schema::SchemaId;

/// Schemas by their ids, in the form that a decoder uses.
pub(super) struct Known<T> {
    /// In ascending order of their ids.
    usable: Vec<(SchemaId, T)>,
    /// Why the payloads of other ids are bad.
    failed: BTreeMap<SchemaId, String>,
}

impl<T> Known<T> {
    pub(super) fn new() -> Self {
        Self { usable: Vec::new(), failed: BTreeMap::new() }
    }

    /// True if it was learned what the id stands for, or that it stands for nothing.
    pub(super) fn contains(&self, id: SchemaId) -> bool {
        self.position(id).is_ok() || self.failed.contains_key(&id)
    }

    /// Takes what an id stands for, or why its payloads are bad.
    pub(super) fn learn(&mut self, id: SchemaId, schema: Result<T, String>) {
        self.failed.remove(&id);
        match (self.position(id), schema) {
            (Ok(at), Ok(schema)) => self.usable[at].1 = schema,
            (Err(at), Ok(schema)) => self.usable.insert(at, (id, schema)),
            (at, Err(reason)) => {
                at.ok().map(|at| self.usable.remove(at));
                self.failed.insert(id, reason);
            }
        }
    }

    /// The schema with this id, or why its payloads are bad. `last` is the index that the previous payload had, as nearly
    /// all others have it, too.
    #[inline]
    pub(super) fn get(&self, id: SchemaId, last: &mut usize) -> Result<&T, String> {
        if self.usable.get(*last).is_none_or(|known| known.0 != id) {
            *last = self.position(id).map_err(|_| self.reason(id))?;
        }
        Ok(&self.usable[*last].1)
    }

    /// Ends a batch: ids without a usable schema are forgotten, and asked for again.
    pub(super) fn end_batch(&mut self) {
        self.failed.clear();
    }

    #[cold]
    fn reason(&self, id: SchemaId) -> String {
        self.failed.get(&id).cloned().unwrap_or_else(|| unknown_schema(id))
    }

    #[inline]
    fn position(&self, id: SchemaId) -> Result<usize, usize> {
        self.usable.binary_search_by_key(&id, |known| known.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, BinaryArray};
    use arrow::datatypes::DataType;

    use super::*;
    use crate::format::testing::{layout, show};
    use crate::format::{FormatKind, schema_of};

    /// Garbage in front of payloads is refused for its own reason, however much there is of it in a batch, and is
    /// forgotten behind the batch; schemas that are there stay.
    #[test]
    fn ids_without_a_schema_are_asked_for_with_each_batch() {
        let columns = layout(&[("A", DataType::Int64)]);
        for format in [FormatKind::Avro, FormatKind::Protobuf, FormatKind::JsonSr] {
            let schema = Arc::new(schema_of(format.schema_kind().unwrap(), &columns, "R").unwrap());
            let good: &[u8] = match format {
                FormatKind::Avro => b"\0\0\0\0\x07\x02\x0a",
                FormatKind::Protobuf => b"\0\0\0\0\x07\0\x08\x05",
                _ => b"\0\0\0\0\x07{\"A\": 5}",
            };
            let garbage = |ids: std::ops::Range<u32>| {
                let payloads = ids.map(|id| [&[0], &id.to_be_bytes()[..], &good[5..]].concat());
                BinaryArray::from_iter_values(payloads.chain([good.to_vec()]))
            };
            let mut decoder = format.decoder(&columns, &[0]).unwrap();
            let mut learned = |payloads: &BinaryArray| {
                let missing = decoder.missing_schemas(payloads);
                for id in &missing {
                    let found = if *id == 7 { Ok(schema.clone()) } else { Err(format!("no schema has the id {id}")) };
                    decoder.learn(*id, found);
                }
                let decoded = decoder.decode(payloads);
                assert_eq!(show(&decoded.columns[0], payloads.len() - 1), "5", "{format}");
                for (row, bad) in decoded.bad.iter().enumerate() {
                    let id = u32::from_be_bytes(payloads.value(row)[1..5].try_into().unwrap());
                    assert!(bad.row == row && bad.reason.ends_with(&format!("no schema has the id {id}")), "{bad:?}");
                }
                assert_eq!(decoded.bad.len(), payloads.len() - 1);
                missing.len()
            };
            assert_eq!(learned(&garbage(10..1_010)), 1_001);
            assert_eq!(learned(&garbage(10..1_010)), 1_000, "{format}: the schema is known, and nothing else");
        }
    }

    #[test]
    fn what_is_learned_last_counts() {
        let mut known = Known::new();
        for (id, schema) in [(3, Ok("c")), (1, Ok("a")), (2, Err("lost".to_owned())), (3, Err("gone".to_owned()))] {
            known.learn(id, schema);
        }
        let mut last = 0;
        let mut get = |known: &Known<_>, id| known.get(id, &mut last).copied();
        assert_eq!((get(&known, 1), get(&known, 3)), (Ok("a"), Err("gone".to_owned())));
        known.learn(2, Ok("b"));
        known.learn(1, Ok("A"));
        assert_eq!((get(&known, 2), get(&known, 1)), (Ok("b"), Ok("A")));
        assert_eq!(get(&known, 4), Err("the schema with id 4 is not known".to_owned()));
        assert!(known.contains(3) && !known.contains(4));
    }
}
