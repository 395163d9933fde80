//! How an aggregate is computed, as data, and the shape of a call of it.
//!
//! ```text
//! Variant ── Compute ── constants: arguments at the end that are fixed when the query is made
//!                └───── Recipe?    what makes the accumulators; none where DataFusion has the aggregate
//! Shape   ── the call: types, constants, whether rows have addresses
//! ```
//!
//! Accumulators are DataFusion's: rows are added and, if the recipe allows it, retracted in batches. The intermediate
//! state consists of Arrow columns, which can be merged, so continuous queries can use them too.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::values::Codec;
use crate::signature::{Function, Param, Type, Variant};

/// An aggregate of the dialect.
pub type Aggregate = Function<Compute>;

/// How a variant of an aggregate is computed.
#[derive(Clone, Copy, Debug)]
pub struct Compute {
    /// The recipe for its accumulators; none if DataFusion computes it.
    pub recipe: Option<&'static Recipe>,
    /// How many of the last arguments are constants.
    pub constants: usize,
}

/// The recipe for the accumulators of an aggregate.
#[derive(Debug)]
pub struct Recipe {
    /// The order of rows that matters. If one does, the arguments are followed by the row's address.
    pub order: Order,
    /// Whether the first argument is sorted by, so that its type must have an order.
    pub sorts: bool,
    /// Whether rows can be retracted, for a table whose rows change or a moving frame.
    pub retracts: bool,
    /// The types of the intermediate state.
    pub state: fn(&Shape) -> Vec<DataType>,
    /// Creates the accumulator of a group.
    pub accumulator: fn(&Shape) -> Result<Box<dyn Accumulator>>,
}

/// The order of rows that an aggregate depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// No order.
    Any,
    /// The order of the records, unless a window has its own order.
    Rows,
    /// The order of the records.
    Records,
}

/// One call of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The types of the arguments that vary by row.
    pub takes: Vec<DataType>,
    /// The arguments that are constant.
    pub constants: Vec<ScalarValue>,
    /// The type of the result.
    pub returns: DataType,
    /// How many numbers a row's position has after its time and lane; 0 if rows have no address and arrive in order.
    pub positions: usize,
    /// Whether rows will be retracted.
    pub sliding: bool,
    /// The maximum length of a collected array.
    pub limit: usize,
    /// The data that the accumulators of all groups share.
    pub shared: Shared,
}

/// The converters of the arguments to bytes, created once for all groups from the rest of the shape.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    first: OnceLock<Arc<Codec>>,
    others: OnceLock<Arc<Codec>>,
}

impl PartialEq for Shared {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Shared {}

impl Hash for Shared {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

fn made(codec: &OnceLock<Arc<Codec>>, types: &[DataType]) -> Result<Arc<Codec>> {
    match codec.get() {
        Some(codec) => Ok(codec.clone()),
        None => Codec::new(types).map(|made| codec.get_or_init(|| Arc::new(made)).clone()),
    }
}

impl Shape {
    /// Converts the first argument to bytes.
    pub fn codec(&self) -> Result<Arc<Codec>> {
        made(&self.shared.first, &self.takes[..1])
    }

    /// Converts the other arguments to bytes.
    pub fn others_codec(&self) -> Result<Arc<Codec>> {
        made(&self.shared.others, &self.takes[1..])
    }

    /// The constant at this index as a count; 1 if there is none.
    pub fn count(&self, at: usize) -> usize {
        match self.constants.get(at) {
            Some(ScalarValue::Int32(Some(count))) => usize::try_from(*count).unwrap_or(1),
            _ => 1,
        }
    }

    /// The last constant, if it is a BOOLEAN.
    pub fn flag(&self) -> Option<bool> {
        match self.constants.last() {
            Some(ScalarValue::Boolean(flag)) => *flag,
            _ => None,
        }
    }
}

impl Variant<Compute> {
    /// A variant that is computed by our own accumulators.
    pub const fn of_rows(params: &'static [Param], returns: Type, recipe: &'static Recipe) -> Self {
        Self::computed(params, returns, Compute { recipe: Some(recipe), constants: 0 }).sees_nulls()
    }

    /// A variant that is computed by DataFusion.
    pub const fn elsewhere(params: &'static [Param], returns: Type) -> Self {
        Self::computed(params, returns, Compute { recipe: None, constants: 0 }).sees_nulls()
    }

    /// Declares that the last arguments are constants.
    pub const fn constants(self, constants: usize) -> Self {
        Self { kernel: Compute { constants, ..self.kernel }, ..self }
    }
}

impl Aggregate {
    /// An aggregate.
    pub const fn aggregate(
        name: &'static str,
        about: &'static str,
        variants: &'static [Variant<Compute>],
        examples: &'static [(&'static str, &'static str)],
    ) -> Self {
        let category = crate::signature::Category::Aggregate;
        Self { name, category, about, variants, examples, volatile: false }
    }

    /// Whether it is computed here.
    pub fn is_ours(&self) -> bool {
        self.variants.iter().any(|variant| variant.kernel.recipe.is_some())
    }
}
