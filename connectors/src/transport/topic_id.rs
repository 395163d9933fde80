//! Topic ids, which distinguish a topic from another one of the same name: a cluster assigns an id to every topic it
//! creates.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The id of a topic, never reused: a topic that is deleted and created again has a different id.
///
/// It is written in the format of Kafka's tools.
///
/// ```
/// use headwater_connectors::transport::TopicId;
///
/// let id = TopicId(1);
/// assert_eq!(id.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
/// assert_eq!("AAAAAAAAAAAAAAAAAAAAAQ".parse(), Ok(id));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u128);

/// The ids of topics by name, without those that the cluster does not report.
pub type TopicIds = BTreeMap<Arc<str>, TopicId>;

/// A text that is not the id of a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a topic")]
pub struct NotAnId;

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.to_be_bytes()))
    }
}

impl FromStr for TopicId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAnId)?;
        bytes.try_into().map(|bytes| Self(u128::from_be_bytes(bytes))).map_err(|_| NotAnId)
    }
}
