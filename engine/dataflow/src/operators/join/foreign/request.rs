//! The kinds of requests.

use arrow::error::ArrowError;

/// What a request of a left row asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The row refers to this right row now, or to none.
    Subscribe,
    /// The row refers to another right row now, which answers.
    Unsubscribe,
    /// There is no joined row any more.
    Delete,
}

impl Request {
    /// Its number in the rows of an exchange.
    pub fn number(self) -> i32 {
        match self {
            Self::Subscribe => 0,
            Self::Unsubscribe => 1,
            Self::Delete => 2,
        }
    }

    /// The request with a number. Fails if there is none.
    pub fn of(number: i32) -> Result<Self, ArrowError> {
        let all = [Self::Subscribe, Self::Unsubscribe, Self::Delete];
        let found = all.into_iter().find(|request| request.number() == number);
        found.ok_or_else(|| ArrowError::ParseError(format!("there is no request {number} in joins by a foreign key")))
    }
}
