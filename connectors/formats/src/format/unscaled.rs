//! The unscaled numbers of decimals: in two's complement, the most significant byte first, as Java writes them.

use arrow::datatypes::i256;

/// The number in two's complement, if it has 256 bits or fewer.
pub(crate) fn number_of(bytes: &[u8]) -> Option<i256> {
    let is_negative = bytes.first().is_some_and(|first| *first >= 0x80);
    let fill = if is_negative { 0xff } else { 0 };
    let spare = bytes.len().saturating_sub(32);
    let (leading, number) = bytes.split_at(spare);
    let mut whole = [fill; 32];
    whole[32 - number.len()..].copy_from_slice(number);
    let keeps_sign = (whole[0] >= 0x80) == is_negative;
    (keeps_sign && leading.iter().all(|byte| *byte == fill)).then(|| i256::from_be_bytes(whole))
}

/// The bytes of a number without those in front that only repeat its sign.
pub(crate) fn shortest(number: &[u8]) -> &[u8] {
    let is_redundant = |pair: &&[u8]| matches!(pair, [0, 0..0x80] | [0xff, 0x80..=0xff]);
    let redundant = number.windows(2).take_while(|pair| is_redundant(pair)).count();
    &number[redundant..]
}

/// True if a number has no more digits.
pub(crate) fn has_digits(number: i256, precision: u8) -> bool {
    let limit = i256::from_i128(10).wrapping_pow(precision.into());
    number < limit && number > limit.wrapping_neg()
}
