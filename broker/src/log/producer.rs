//! The identity of a producer.
//!
//! Separate because batches, logs and transactions all refer to producers.

/// A producer id with its epoch. A producer with a higher epoch fences those with the same id and a lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

impl Producer {
    #[cfg(test)]
    /// The producer of a batch that is not idempotent.
    pub(crate) const NONE: Producer = Producer { id: -1, epoch: -1 };
}
