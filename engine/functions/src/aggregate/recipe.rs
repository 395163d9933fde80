//! How an aggregate is computed, as data, and what is known of one call of it.
//!
//! ```text
//! Variant ── Compute ── constants: arguments at the end that are fixed when the query is made
//!                └───── Recipe?    what makes the accumulators; none where DataFusion has the aggregate
//! Shape   ── the call: types, constants, whether rows have addresses
//! ```
//!
//! Accumulators are DataFusion's: rows are added and, where the recipe says so, taken back by the batch; the
//! intermediate state is columns of Arrow, which merge. So a continuous query can hold them, too.

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
    /// What makes the accumulators. None: DataFusion's aggregate does it.
    pub recipe: Option<&'static Recipe>,
    /// How many arguments at the end are constants.
    pub constants: usize,
}

/// What makes the accumulators of an aggregate.
#[derive(Debug)]
pub struct Recipe {
    /// Which order of rows counts. Where one does, the arguments are followed by the row's address.
    pub order: Order,
    /// Whether the first argument is sorted by, so that its type must have an order.
    pub sorts: bool,
    /// Whether rows can be taken back, as for a table whose rows change or a frame that moves.
    pub retracts: bool,
    /// The types of the intermediate state.
    pub state: fn(&Shape) -> Vec<DataType>,
    /// An accumulator of a group.
    pub accumulator: fn(&Shape) -> Result<Box<dyn Accumulator>>,
}

/// The order of rows that an aggregate depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// None.
    Any,
    /// That of the records, unless a window has an order of its own.
    Rows,
    /// That of the records.
    Records,
}

/// One call of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The types of the arguments that vary by row.
    pub takes: Vec<DataType>,
    /// The arguments that do not.
    pub constants: Vec<ScalarValue>,
    /// The type of the result.
    pub returns: DataType,
    /// How many numbers a row's position has behind its time and lane; 0 where rows have no address and come in order.
    pub positions: usize,
    /// Rows will be taken back.
    pub sliding: bool,
    /// How many elements a collected array has at most.
    pub limit: usize,
    /// What the accumulators of all groups have in common.
    pub shared: Shared,
}

/// What brings the first argument, and the others, to bytes: made once for all groups. It follows from the rest of a shape.
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
    /// What brings the first argument to bytes.
    pub fn codec(&self) -> Result<Arc<Codec>> {
        made(&self.shared.first, &self.takes[..1])
    }

    /// What brings the other arguments to bytes.
    pub fn others_codec(&self) -> Result<Arc<Codec>> {
        made(&self.shared.others, &self.takes[1..])
    }

    /// The count that is the constant at a place; 1 where it is none.
    pub fn count(&self, at: usize) -> usize {
        match self.constants.get(at) {
            Some(ScalarValue::Int32(Some(count))) => usize::try_from(*count).unwrap_or(1),
            _ => 1,
        }
    }

    /// The last constant, when it is true or false.
    pub fn flag(&self) -> Option<bool> {
        match self.constants.last() {
            Some(ScalarValue::Boolean(flag)) => *flag,
            _ => None,
        }
    }
}

impl Variant<Compute> {
    /// A variant that accumulators of ours compute.
    pub const fn of_rows(params: &'static [Param], returns: Type, recipe: &'static Recipe) -> Self {
        Self::computed(params, returns, Compute { recipe: Some(recipe), constants: 0 }).sees_nulls()
    }

    /// A variant that DataFusion computes.
    pub const fn elsewhere(params: &'static [Param], returns: Type) -> Self {
        Self::computed(params, returns, Compute { recipe: None, constants: 0 }).sees_nulls()
    }

    /// The same, of whose arguments the last are constants.
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
