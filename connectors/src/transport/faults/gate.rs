//! The one place that decides whether a call is made, and the only way to what is behind it.
//!
//! What a gate holds can be reached by naming the [`Call`] alone, so that no call of a transport passes by the plan.

use std::sync::Arc;

use super::{Call, Fault, Plan};
use crate::transport::TransportError;

/// Something of a transport under a plan.
pub(super) struct Gate<T> {
    inner: T,
    plan: Arc<dyn Plan>,
}

impl<T> Gate<T> {
    pub(super) fn new(inner: T, plan: Arc<dyn Plan>) -> Self {
        Self { inner, plan }
    }

    /// Something that was opened by a call, under the same plan.
    pub(super) fn hold<U>(&self, inner: U) -> Gate<U> {
        Gate::new(inner, Arc::clone(&self.plan))
    }

    /// Makes a call as far as the plan lets it.
    pub(super) fn call<R>(
        &self,
        call: Call,
        make: impl FnOnce(&T) -> Result<R, TransportError>,
    ) -> Result<R, TransportError> {
        decide(self.plan.as_ref(), call, || make(&self.inner))
    }

    /// As [`Self::call`], of one that changes what it is made of.
    pub(super) fn call_mut<R>(
        &mut self,
        call: Call,
        make: impl FnOnce(&mut T) -> Result<R, TransportError>,
    ) -> Result<R, TransportError> {
        decide(self.plan.as_ref(), call, || make(&mut self.inner))
    }

    /// Makes a call that has no way to fail but to give another answer: the one to give when it is refused, and the one
    /// to give when its reply is lost.
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

    /// What is known without a call.
    pub(super) fn known<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.inner)
    }

    /// How many of so many records a poll gives.
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
