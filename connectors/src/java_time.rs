//! STUB, replaced on merge.
#![allow(missing_docs)]
pub struct Pattern;
impl Pattern {
    pub fn new(_: &str) -> Result<Self, String> { Ok(Self) }
    pub fn parse_timestamp_ms(&self, _: &str, _: chrono_tz::Tz) -> Result<i64, String> { Err("stub".into()) }
}
pub mod iso {
pub fn parse_partial_iso_timestamp_ms(_: &str) -> Result<i64, String> { Err("stub".into()) }
pub fn parse_partial_iso_date(_: &str) -> Result<i32, String> { Err("stub".into()) }
pub fn parse_iso_time_ms(_: &str) -> Result<i32, String> { Err("stub".into()) }
}
