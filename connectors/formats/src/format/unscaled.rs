//! The unscaled numbers of decimals: in two's complement, the most significant byte first, as Java writes them.

use arrow::datatypes::{Decimal256Type, DecimalType, i256};

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

/// The number times ten to the power of `shift`, if it is a whole one and in range.
pub(crate) fn rescaled(number: i256, shift: i64) -> Option<i256> {
    if shift == 0 || number == i256::ZERO {
        return Some(number);
    }
    let power = i256::from_i128(10).checked_pow(u32::try_from(shift.unsigned_abs()).ok()?)?;
    match shift > 0 {
        true => number.checked_mul(power),
        false => (number.checked_rem(power)? == i256::ZERO).then(|| number.checked_div(power)).flatten(),
    }
}

/// True if a number has no more digits.
pub(crate) fn has_digits(number: i256, precision: u8) -> bool {
    Decimal256Type::is_valid_decimal_precision(number, precision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unscaled_numbers_take_as_few_bytes_as_in_java() {
        for (number, bytes) in [
            (0, &[0][..]),
            (1, &[1]),
            (127, &[127]),
            (128, &[0, 128]),
            (-1, &[255]),
            (-128, &[128]),
            (-129, &[255, 127]),
            (256, &[1, 0]),
        ] {
            assert_eq!(shortest(&i256::from_i128(number).to_be_bytes()), bytes, "{number}");
            assert_eq!(number_of(bytes), Some(i256::from_i128(number)));
            assert_eq!(number_of(&[&[if number < 0 { 255 } else { 0 }; 40][..], bytes].concat()), number_of(bytes));
        }
        assert_eq!(number_of(&[]), Some(i256::ZERO));
        assert_eq!(number_of(&[&[1][..], &[0; 32]].concat()), None);
        assert_eq!(number_of(&[&[0][..], &[0x80; 32]].concat()), None);
        assert_eq!(number_of(&[&[0xff][..], &[0x80; 32]].concat()), number_of(&[0x80; 32]));
    }

    #[test]
    fn decimals_are_rescaled_if_no_digit_is_lost() {
        for (number, more, expected) in
            [(15, 1, Some(150)), (150, -1, Some(15)), (155, -1, None), (0, -2_000_000_000, Some(0)), (1, 77, None)]
        {
            let found = rescaled(i256::from_i128(number), more);
            assert_eq!(found, expected.map(i256::from_i128), "{number} {more}");
        }
        assert!(has_digits(i256::from_i128(99), 2) && !has_digits(i256::from_i128(-100), 2));
    }
}
