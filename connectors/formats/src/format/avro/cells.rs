//! The columns of a batch, downcast once for it.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType, i256,
};

/// A column.
pub(super) struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    pub(super) values: Values<'a>,
}

/// Its values; where the column is null they have no meaning.
pub(super) enum Values<'a> {
    Boolean(&'a BooleanArray),
    /// INT, DATE or TIME.
    Int(&'a [i32]),
    /// BIGINT or TIMESTAMP.
    Long(&'a [i64]),
    Double(&'a [f64]),
    Decimal(&'a [i128]),
    WideDecimal(&'a [i256]),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    /// The items of each row are those from its offset to the next.
    Array(&'a [i32], Box<Cells<'a>>),
    Map(&'a [i32], &'a StringArray, Box<Cells<'a>>),
    Struct(Vec<Cells<'a>>),
}

impl<'a> Cells<'a> {
    /// The cells of a column; `None` for a type that Avro cannot hold.
    pub(super) fn try_new(column: &'a ArrayRef) -> Option<Self> {
        Some(Self { nulls: column.nulls(), values: Values::try_new(column)? })
    }

    #[inline]
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }
}

impl<'a> Values<'a> {
    fn try_new(column: &'a ArrayRef) -> Option<Self> {
        Some(match column.data_type() {
            DataType::Boolean => Self::Boolean(column.as_boolean_opt()?),
            DataType::Int32 => Self::Int(column.as_primitive_opt::<Int32Type>()?.values()),
            DataType::Date32 => Self::Int(column.as_primitive_opt::<Date32Type>()?.values()),
            DataType::Time32(_) => Self::Int(column.as_primitive_opt::<Time32MillisecondType>()?.values()),
            DataType::Int64 => Self::Long(column.as_primitive_opt::<Int64Type>()?.values()),
            DataType::Timestamp(..) => Self::Long(column.as_primitive_opt::<TimestampMillisecondType>()?.values()),
            DataType::Float64 => Self::Double(column.as_primitive_opt::<Float64Type>()?.values()),
            DataType::Decimal128(..) => Self::Decimal(column.as_primitive_opt::<Decimal128Type>()?.values()),
            DataType::Decimal256(..) => Self::WideDecimal(column.as_primitive_opt::<Decimal256Type>()?.values()),
            DataType::Utf8 => Self::Text(column.as_string_opt()?),
            DataType::Binary => Self::Bytes(column.as_binary_opt()?),
            DataType::List(_) => {
                let list = column.as_list_opt::<i32>()?;
                Self::Array(list.value_offsets(), Box::new(Cells::try_new(list.values())?))
            }
            DataType::Map(..) => {
                let map = column.as_map_opt()?;
                let values = Box::new(Cells::try_new(map.values())?);
                Self::Map(map.value_offsets(), map.keys().as_string_opt()?, values)
            }
            DataType::Struct(_) => {
                let children = column.as_struct_opt()?.columns();
                Self::Struct(children.iter().map(Cells::try_new).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}
