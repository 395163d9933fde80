//! Which member gets which partitions.
//!
//! Separate because it is arithmetic: subscriptions in, targets out.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use uuid::Uuid;

use super::heartbeat::{Partition, Partitions, Refusal};

/// A way to assign partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assignor {
    /// Everyone gets as many partitions as the others, and keeps what it has where that is possible.
    #[default]
    Uniform,
    /// Everyone gets a range of each topic, the same one of topics with the same readers and number of partitions.
    Range,
}

/// A member with the topics that it reads, and how many partitions these have.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) id: &'a str,
    pub(super) topics: BTreeMap<Uuid, i32>,
}

impl Assignor {
    pub(super) fn parse(name: &str) -> Result<Assignor, Refusal> {
        let known = [Assignor::Uniform, Assignor::Range].into_iter().find(|assignor| assignor.name() == name);
        known.ok_or_else(|| {
            let message = format!("ServerAssignor {name} is not supported. Supported assignors: uniform, range.");
            Refusal::new(ResponseError::UnsupportedAssignor, message)
        })
    }

    /// The name in Kafka.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// The partitions of every member; `former` are those that it had. The order of the readers decides who gets more.
    pub(super) fn assign(
        self,
        readers: &[Reader<'_>],
        former: &BTreeMap<String, Partitions>,
    ) -> BTreeMap<String, Partitions> {
        let holders = match self {
            Assignor::Uniform => uniform(readers, former),
            Assignor::Range => range(readers),
        };
        let mut assigned: BTreeMap<String, Partitions> =
            readers.iter().map(|reader| (reader.id.to_owned(), Partitions::new())).collect();
        for (partition, holder) in holders {
            if let Some(partitions) = assigned.get_mut(readers[holder].id) {
                partitions.insert(partition);
            }
        }
        assigned
    }
}

/// The readers of each topic, by their places in the list, and its number of partitions.
fn by_topic(readers: &[Reader<'_>]) -> BTreeMap<Uuid, (Vec<usize>, i32)> {
    let mut topics: BTreeMap<Uuid, (Vec<usize>, i32)> = BTreeMap::new();
    for (at, reader) in readers.iter().enumerate() {
        for (id, partitions) in &reader.topics {
            topics.entry(*id).or_insert_with(|| (Vec::new(), *partitions)).0.push(at);
        }
    }
    topics
}

fn range(readers: &[Reader<'_>]) -> BTreeMap<Partition, usize> {
    let mut holders = BTreeMap::new();
    for (id, (readers, partitions)) in by_topic(readers) {
        let mut numbers = 0..partitions;
        let (each, more) = (partitions as usize / readers.len(), partitions as usize % readers.len());
        for (at, reader) in readers.into_iter().enumerate() {
            let count = each + usize::from(at < more);
            holders.extend(numbers.by_ref().take(count).map(|number| ((id, number), reader)));
        }
    }
    holders
}

fn uniform(readers: &[Reader<'_>], former: &BTreeMap<String, Partitions>) -> BTreeMap<Partition, usize> {
    let topics = by_topic(readers);
    let mut holders = kept(readers, former);
    let mut counts = vec![0; readers.len()];
    holders.values().for_each(|holder| counts[*holder] += 1);
    let least = |counts: &[usize], readers: &[usize]| readers.iter().copied().min_by_key(|at| counts[*at]);
    for (id, (readers, partitions)) in &topics {
        for partition in (0..*partitions).map(|number| (*id, number)) {
            if let (None, Some(reader)) = (holders.get(&partition), least(&counts, readers)) {
                holders.insert(partition, reader);
                counts[reader] += 1;
            }
        }
    }
    // Partitions move to where there are at least two fewer; that ends, because every move makes the counts more equal.
    let mut has_moved = true;
    while has_moved {
        has_moved = false;
        for (partition, holder) in &mut holders {
            let Some(reader) = topics.get(&partition.0).and_then(|(readers, _)| least(&counts, readers)) else {
                continue;
            };
            if counts[*holder] > counts[reader] + 1 {
                counts[*holder] -= 1;
                counts[reader] += 1;
                *holder = reader;
                has_moved = true;
            }
        }
    }
    holders
}

/// What readers had and still read.
fn kept(readers: &[Reader<'_>], former: &BTreeMap<String, Partitions>) -> BTreeMap<Partition, usize> {
    let nothing = BTreeSet::new();
    let mut holders = BTreeMap::new();
    for (at, reader) in readers.iter().enumerate() {
        let had = former.get(reader.id).unwrap_or(&nothing).iter();
        let reads = |(id, number): &&Partition| reader.topics.get(id).is_some_and(|partitions| number < partitions);
        holders.extend(had.filter(reads).map(|partition| (*partition, at)));
    }
    holders
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(1);
    const B: Uuid = Uuid::from_u128(2);

    fn reader<'a>(id: &'a str, topics: &[(Uuid, i32)]) -> Reader<'a> {
        Reader { id, topics: topics.iter().copied().collect() }
    }

    /// The number of partitions of each topic that each reader has; every partition must have exactly one reader, who reads its topic.
    fn counts(readers: &[Reader<'_>], assigned: &BTreeMap<String, Partitions>) -> Vec<[usize; 2]> {
        let mut all: Vec<Partition> = assigned.values().flatten().copied().collect();
        all.sort_unstable();
        let topics: BTreeMap<Uuid, i32> = readers.iter().flat_map(|reader| reader.topics.clone()).collect();
        let expected: Vec<_> = topics.iter().flat_map(|(id, count)| (0..*count).map(|number| (*id, number))).collect();
        assert_eq!(all, expected);
        let count = |reader: &Reader<'_>, topic| {
            let partitions = assigned[reader.id].iter().filter(|(id, _)| *id == topic);
            let count = partitions.count();
            assert!(count == 0 || reader.topics.contains_key(&topic));
            count
        };
        readers.iter().map(|reader| [count(reader, A), count(reader, B)]).collect()
    }

    #[test]
    fn ranges_are_even_and_the_same_in_every_topic() {
        let readers = ["x", "y", "z"].map(|id| reader(id, &[(A, 7), (B, 7)]));
        let assigned = Assignor::Range.assign(&readers, &BTreeMap::new());
        assert_eq!(counts(&readers, &assigned), [[3, 3], [2, 2], [2, 2]]);
        assert_eq!(assigned["y"], [(A, 3), (A, 4), (B, 3), (B, 4)].into());
        let readers = [reader("x", &[(A, 1)]), reader("y", &[(A, 1), (B, 2)])];
        assert_eq!(counts(&readers, &Assignor::Range.assign(&readers, &BTreeMap::new())), [[1, 0], [0, 2]]);
    }

    #[test]
    fn uniform_is_even_over_all_topics() {
        let readers = ["x", "y"].map(|id| reader(id, &[(A, 3), (B, 3)]));
        let assigned = Assignor::Uniform.assign(&readers, &BTreeMap::new());
        assert_eq!(assigned.values().map(BTreeSet::len).collect::<Vec<_>>(), [3, 3]);
        // x alone reads A, so B goes to the other.
        let readers = [reader("x", &[(A, 4), (B, 2)]), reader("y", &[(B, 2)])];
        assert_eq!(counts(&readers, &Assignor::Uniform.assign(&readers, &BTreeMap::new())), [[4, 0], [0, 2]]);
    }

    #[test]
    fn uniform_moves_no_more_than_it_must() {
        let two = ["x", "y"].map(|id| reader(id, &[(A, 6)]));
        let before = Assignor::Uniform.assign(&two, &BTreeMap::new());
        let three = ["x", "y", "z"].map(|id| reader(id, &[(A, 6)]));
        let with_more = Assignor::Uniform.assign(&three, &before);
        assert_eq!(counts(&three, &with_more), [[2, 0]; 3]);
        assert!(["x", "y"].iter().all(|id| with_more[*id].is_subset(&before[*id])));
        let with_less = Assignor::Uniform.assign(&two, &with_more);
        assert_eq!(counts(&two, &with_less), [[3, 0]; 2]);
        assert!(["x", "y"].iter().all(|id| with_more[*id].is_subset(&with_less[*id])));
        let grown = ["x", "y"].map(|id| reader(id, &[(A, 8)]));
        let assigned = Assignor::Uniform.assign(&grown, &before);
        assert!(["x", "y"].iter().all(|id| before[*id].is_subset(&assigned[*id])));
    }
}
