//! A producer, as batches name it.
//!
//! Apart because batches, logs and transactions all name producers.

/// A producer's id with its epoch; of two with the same id the higher epoch is the living one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

impl Producer {
    #[cfg(test)]
    /// What a batch carries whose producer is not idempotent.
    pub(crate) const NONE: Producer = Producer { id: -1, epoch: -1 };
}
