//! The bytes in which the sessions of a key are stored, one after the other: start and end (8 bytes each, the most significant
//! first), the length of the state (4 bytes) and the state.

use arrow::error::ArrowError;

/// A stored session: its bounds and the bytes of its state.
pub type Stored<'a> = ([i64; 2], &'a [u8]);

/// The sessions in a value. Fails if it is damaged.
pub fn split(mut value: &[u8]) -> Result<Vec<Stored<'_>>, ArrowError> {
    let damaged = || ArrowError::ComputeError("the sessions of a group are damaged".to_owned());
    let mut sessions = Vec::new();
    while !value.is_empty() {
        let (session, rest) = first(value).ok_or_else(damaged)?;
        sessions.push(session);
        value = rest;
    }
    Ok(sessions)
}

fn first(value: &[u8]) -> Option<(Stored<'_>, &[u8])> {
    let (start, rest) = value.split_first_chunk::<8>()?;
    let (end, rest) = rest.split_first_chunk::<8>()?;
    let (bytes, rest) = rest.split_first_chunk::<4>()?;
    let (state, rest) = rest.split_at_checked(u32::from_be_bytes(*bytes) as usize)?;
    Some((([i64::from_be_bytes(*start), i64::from_be_bytes(*end)], state), rest))
}

/// Appends a session to a value.
pub fn push(value: &mut Vec<u8>, ([start, end], state): Stored<'_>) {
    let length = u32::try_from(state.len()).expect("a state is a value of a column, which has at most 2 GiB");
    value.extend_from_slice(&start.to_be_bytes());
    value.extend_from_slice(&end.to_be_bytes());
    value.extend_from_slice(&length.to_be_bytes());
    value.extend_from_slice(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_read_as_they_were_written() {
        let sessions: [Stored<'_>; 2] = [([-1, 5], b"state"), ([7, 7], b"")];
        let mut value = Vec::new();
        sessions.iter().for_each(|session| push(&mut value, *session));
        assert_eq!(split(&value).expect("it is whole"), sessions);
        assert!(split(&value[1..]).is_err());
        assert!(split(&value[..value.len() - 1]).is_err());
        assert_eq!(split(&[]).expect("there are none"), []);
    }
}
