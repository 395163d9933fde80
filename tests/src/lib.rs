//! What integration tests share.

pub mod transport_contract;
