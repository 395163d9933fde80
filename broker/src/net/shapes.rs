//! The shapes of all requests: their fields, by version.
//!
//! Separate because it is a table, derived from Kafka's message definitions for the supported versions. It says just
//! enough to find the arrays.

use std::ops::RangeInclusive;

use kafka_protocol::messages::ApiKey;

/// The shape of a request.
pub(super) struct Shape {
    pub(super) key: ApiKey,
    /// The first version with compact lengths and with tagged fields after every structure.
    pub(super) flexible_from: i16,
    pub(super) fields: &'static [Field],
}

/// A field and the versions that have it.
pub(super) struct Field {
    pub(super) versions: RangeInclusive<i16>,
    pub(super) field_type: FieldType,
}

/// The type of a field.
#[derive(Clone, Copy)]
pub(super) enum FieldType {
    /// A number, a boolean or an id of this many bytes.
    Fixed(usize),
    Text,
    Bytes,
    List(&'static FieldType),
    Structs(&'static [Field]),
}

/// The shape of an API's requests.
pub(super) fn shape(key: ApiKey) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.key == key)
}

const I8: Field = always(FieldType::Fixed(1));
const I16: Field = always(FieldType::Fixed(2));
const I32: Field = always(FieldType::Fixed(4));
const I64: Field = always(FieldType::Fixed(8));
const TEXT: Field = always(FieldType::Text);
const BYTES: Field = always(FieldType::Bytes);
const TEXTS: Field = always(FieldType::List(&FieldType::Text));
const I32S: Field = always(FieldType::List(&FieldType::Fixed(4)));

const fn always(field_type: FieldType) -> Field {
    Field { versions: 0..=i16::MAX, field_type }
}

const fn from(version: i16, field: Field) -> Field {
    Field { versions: version..=i16::MAX, field_type: field.field_type }
}

const fn up_to(version: i16, field: Field) -> Field {
    Field { versions: 0..=version, field_type: field.field_type }
}

const fn structs(fields: &'static [Field]) -> Field {
    always(FieldType::Structs(fields))
}

const fn shape_of(key: ApiKey, flexible_from: i16, fields: &'static [Field]) -> Shape {
    Shape { key, flexible_from, fields }
}

const TOPICS_WITH_PARTITIONS: Field = structs(&[TEXT, I32S]);

#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    shape_of(ApiKey::Produce, 9, &[TEXT, I16, I32, structs(&[TEXT, structs(&[I32, BYTES])])]),
    shape_of(ApiKey::Fetch, 12, &[
        I32, I32, I32, I32, I8, from(7, I32), from(7, I32),
        structs(&[TEXT, structs(&[I32, from(9, I32), I64, from(12, I32), from(5, I64), I32])]),
        from(7, TOPICS_WITH_PARTITIONS), from(11, TEXT),
    ]),
    shape_of(ApiKey::ListOffsets, 6, &[I32, from(2, I8), structs(&[TEXT, structs(&[I32, from(4, I32), I64])])]),
    shape_of(ApiKey::Metadata, 9, &[
        structs(&[Field { versions: 10..=i16::MAX, field_type: FieldType::Fixed(16) }, TEXT]),
        from(4, I8), Field { versions: 8..=10, field_type: FieldType::Fixed(1) }, from(8, I8),
    ]),
    shape_of(ApiKey::OffsetCommit, 8, &[
        TEXT, I32, TEXT, from(7, TEXT), up_to(4, I64), structs(&[TEXT, structs(&[I32, I64, from(6, I32), TEXT])]),
    ]),
    shape_of(ApiKey::OffsetFetch, 6, &[
        up_to(7, TEXT), up_to(7, TOPICS_WITH_PARTITIONS), from(8, structs(&[TEXT, from(9, TEXT), from(9, I32), TOPICS_WITH_PARTITIONS])), from(7, I8),
    ]),
    shape_of(ApiKey::FindCoordinator, 3, &[up_to(3, TEXT), from(1, I8), from(4, TEXTS)]),
    shape_of(ApiKey::JoinGroup, 6, &[
        TEXT, I32, from(1, I32), TEXT, from(5, TEXT), TEXT, structs(&[TEXT, BYTES]), from(8, TEXT),
    ]),
    shape_of(ApiKey::Heartbeat, 4, &[TEXT, I32, TEXT, from(3, TEXT)]),
    shape_of(ApiKey::LeaveGroup, 4, &[TEXT, up_to(2, TEXT), from(3, structs(&[TEXT, TEXT, from(5, TEXT)]))]),
    shape_of(ApiKey::SyncGroup, 4, &[
        TEXT, I32, TEXT, from(3, TEXT), from(5, TEXT), from(5, TEXT), structs(&[TEXT, BYTES]),
    ]),
    shape_of(ApiKey::DescribeGroups, 5, &[TEXTS, from(3, I8)]),
    shape_of(ApiKey::ListGroups, 3, &[from(4, TEXTS), from(5, TEXTS)]),
    shape_of(ApiKey::CreateTopics, 5, &[
        structs(&[TEXT, I32, I16, structs(&[I32, I32S]), structs(&[TEXT, TEXT])]), I32, I8,
    ]),
    shape_of(ApiKey::DeleteTopics, 4, &[
        from(6, structs(&[TEXT, always(FieldType::Fixed(16))])), up_to(5, TEXTS), I32,
    ]),
    shape_of(ApiKey::DeleteRecords, 2, &[structs(&[TEXT, structs(&[I32, I64])]), I32]),
    shape_of(ApiKey::InitProducerId, 2, &[TEXT, I32, from(3, I64), from(3, I16)]),
    shape_of(ApiKey::OffsetForLeaderEpoch, 4, &[from(3, I32), structs(&[TEXT, structs(&[I32, I32, I32])])]),
    shape_of(ApiKey::AddPartitionsToTxn, 3, &[TEXT, I64, I16, TOPICS_WITH_PARTITIONS]),
    shape_of(ApiKey::AddOffsetsToTxn, 3, &[TEXT, I64, I16, TEXT]),
    shape_of(ApiKey::EndTxn, 3, &[TEXT, I64, I16, I8]),
    shape_of(ApiKey::TxnOffsetCommit, 3, &[
        TEXT, TEXT, I64, I16, from(3, I32), from(3, TEXT), from(3, TEXT),
        structs(&[TEXT, structs(&[I32, I64, from(2, I32), TEXT])]),
    ]),
    shape_of(ApiKey::DescribeAcls, 2, &[I8, TEXT, I8, TEXT, TEXT, I8, I8]),
    shape_of(ApiKey::DescribeConfigs, 4, &[structs(&[I8, TEXT, TEXTS]), I8, from(3, I8)]),
    shape_of(ApiKey::AlterConfigs, 2, &[structs(&[I8, TEXT, structs(&[TEXT, TEXT])]), I8]),
    shape_of(ApiKey::DescribeLogDirs, 2, &[TOPICS_WITH_PARTITIONS]),
    shape_of(ApiKey::CreatePartitions, 2, &[structs(&[TEXT, I32, structs(&[I32S])]), I32, I8]),
    shape_of(ApiKey::DeleteGroups, 2, &[TEXTS]),
    shape_of(ApiKey::IncrementalAlterConfigs, 1, &[structs(&[I8, TEXT, structs(&[TEXT, I8, TEXT])]), I8]),
    shape_of(ApiKey::OffsetDelete, i16::MAX, &[TEXT, structs(&[TEXT, structs(&[I32])])]),
    shape_of(ApiKey::ElectLeaders, 2, &[from(1, I8), TOPICS_WITH_PARTITIONS, I32]),
    shape_of(ApiKey::ListPartitionReassignments, 0, &[I32, TOPICS_WITH_PARTITIONS]),
    shape_of(ApiKey::DescribeClientQuotas, 1, &[structs(&[TEXT, I8, TEXT]), I8]),
    shape_of(ApiKey::DescribeUserScramCredentials, 0, &[structs(&[TEXT])]),
    shape_of(ApiKey::ConsumerGroupHeartbeat, 0, &[
        TEXT, TEXT, I32, TEXT, TEXT, I32, TEXTS, from(1, TEXT), TEXT, structs(&[always(FieldType::Fixed(16)), I32S]),
    ]),
    shape_of(ApiKey::ConsumerGroupDescribe, 0, &[TEXTS, I8]),
    shape_of(ApiKey::ListConfigResources, 0, &[from(1, always(FieldType::List(&FieldType::Fixed(1))))]),
    shape_of(ApiKey::DescribeQuorum, 0, &[structs(&[TEXT, structs(&[I32])])]),
    shape_of(ApiKey::DescribeCluster, 0, &[I8, from(1, I8)]),
    shape_of(ApiKey::DescribeProducers, 0, &[TOPICS_WITH_PARTITIONS]),
    shape_of(ApiKey::DescribeTransactions, 0, &[TEXTS]),
    shape_of(ApiKey::ListTransactions, 0, &[TEXTS, always(FieldType::List(&FieldType::Fixed(8))), from(1, I64)]),
];
