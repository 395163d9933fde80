//! Sorts keys as bytes. Most comparisons look only at a number that is made of the first bytes in which the keys differ.

/// The indices of keys, in the order of the keys.
pub(crate) fn in_order<'k>(indices: impl Iterator<Item = usize>, key: impl Fn(usize) -> &'k [u8]) -> Vec<usize> {
    let indices: Vec<usize> = indices.collect();
    let skip = common_prefix(&indices, &key);
    let mut order: Vec<(u64, usize)> = indices.into_iter().map(|index| (number(&key(index)[skip..]), index)).collect();
    order.sort_unstable_by(|(one, a), (other, b)| one.cmp(other).then_with(|| key(*a).cmp(key(*b))));
    order.into_iter().map(|(_, index)| index).collect()
}

/// The number of bytes at the start that all keys have in common.
fn common_prefix<'k>(indices: &[usize], key: &impl Fn(usize) -> &'k [u8]) -> usize {
    let Some((first, others)) = indices.split_first() else { return 0 };
    let first = key(*first);
    let common =
        |bytes: usize, index: &usize| first.iter().zip(key(*index)).take(bytes).take_while(|(a, b)| a == b).count();
    others.iter().fold(first.len(), common)
}

/// The first 8 bytes as a number, the most significant first; bytes that are missing are 0.
fn number(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    let taken = bytes.len().min(8);
    first[..taken].copy_from_slice(&bytes[..taken]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_their_bytes() {
        let keys =
            ["user_10", "user_2", "user_", "user_1\0", "user_1", "user_12345678a", "user_12345678", "user_\u{e9}"];
        let order = in_order(0..8, |index| keys[index].as_bytes());
        let mut expected = keys;
        expected.sort_unstable();
        assert_eq!(order.into_iter().map(|index| keys[index]).collect::<Vec<_>>(), expected);
        assert_eq!(in_order(0..1, |_| b""), [0]);
        assert_eq!(in_order(0..0, |_| b""), [0_usize; 0]);
    }
}
