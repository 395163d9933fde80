//! JSON: an object a record, or a bare value; read and written as ksqlDB does.
//!
//! A scanner of our own, because decoding is what a scan of a topic spends its time on: it goes
//! once over the whole payload, writes the fields asked for straight into columns and checks the
//! rest in passing (see `scan`). It accepts what serde_json accepts, and a fuzz test holds the two
//! side by side (`connectors/tests/json_fuzz`); the one difference: a number beyond the range of a
//! double is bad only for a column that cannot hold it.
//!
//! * a member's name matches the column of that very name, else the column that is its upper case;
//! * the last of several equal names counts; missing is null, unknown is passed over;
//! * one value that does not fit its column makes the whole payload bad;
//! * the payload `null` is a row of nulls, listed in [`Decoded::absent`](super::Decoded::absent);
//! * what each column takes is listed in `value`.

mod decode;
mod encode;
mod fault;
mod map;
mod record;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod value;

pub(super) use decode::JsonDecoder;
pub(super) use encode::JsonEncoder;
