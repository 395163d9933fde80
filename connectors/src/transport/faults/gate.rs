//! Decides for each call whether it is made or fails.
//!
//! The inner value of a gate is only accessible by naming the [`Call`], so that every call of a transport follows the
//! plan.

use std::sync::Arc;

use super::{Call, Fault, Plan};
use crate::transport::TransportError;

/// A part of a transport that follows a plan.
pub(super) struct Gate<T> {
    inner: T,
    plan: Arc<dyn Plan>,
}

impl<T> Gate<T> {
    pub(super) fn new(inner: T, plan: Arc<dyn Plan>) -> Self {
        Self { inner, plan }
    }

    /// Wraps something that a call opened, with the same plan.
    pub(super) fn hold<U>(&self, inner: U) -> Gate<U> {
        Gate::new(inner, Arc::clone(&self.plan))
    }

    /// Makes a call unless the plan makes it fail.
    pub(super) fn call<R>(
        &self,
        call: Call,
        make: impl FnOnce(&T) -> Result<R, TransportError>,
    ) -> Result<R, TransportError> {
        decide(self.plan.as_ref(), call, || make(&self.inner))
    }

    /// Like [`Self::call`], for a call that needs `&mut`.
    pub(super) fn call_mut<R>(
        &mut self,
        call: Call,
        make: impl FnOnce(&mut T) -> Result<R, TransportError>,
    ) -> Result<R, TransportError> {
        decide(self.plan.as_ref(), call, || make(&mut self.inner))
    }

    /// Makes a call that cannot return an error: `refused` and `lost` are returned instead when it is refused and when
    /// its reply is lost.
    pub(super) fn call_infallible<R>(&mut self, call: Call, make: impl FnOnce(&mut T) -> R, refused: R, lost: R) -> R {
        match self.plan.fault(call) {
            None => make(&mut self.inner),
            Some(Fault::Refused) => refused,
            Some(Fault::ReplyLost) => {
                make(&mut self.inner);
                lost
            }
        }
    }

    /// Reads something that needs no call.
    pub(super) fn known<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.inner)
    }

    /// How many of `records` a poll returns.
    pub(super) fn cut(&self, records: usize) -> usize {
        self.plan.cut(records).clamp(1, records)
    }
}

fn decide<R>(
    plan: &dyn Plan,
    call: Call,
    make: impl FnOnce() -> Result<R, TransportError>,
) -> Result<R, TransportError> {
    match plan.fault(call) {
        None => make(),
        Some(Fault::Refused) => Err(failed(call, "refused")),
        Some(Fault::ReplyLost) => {
            make()?;
            Err(failed(call, "reply lost"))
        }
    }
}

fn failed(call: Call, how: &str) -> TransportError {
    TransportError::timeout(format!("{call:?}: {how}, as planned"))
}
