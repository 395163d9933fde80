//! Days and milliseconds as ISO 8601 text, for every value that fits their types.
//!
//! The usual calendar crates reject instants beyond some year, for which a printer would have to invent something. Here
//! every `i64` has a text. Years beyond 9999 carry a sign, as ISO 8601 requires.
//!
//! ```
//! let mut text = String::new();
//! headwater_engine::row_text::calendar::push_timestamp(&mut text, 1_589_317_200_000);
//! assert_eq!(text, "2020-05-12T21:00:00.000");
//! ```

const MS_A_DAY: i64 = 86_400_000;
const DAYS_AN_ERA: i64 = 146_097;
/// From 0000-03-01, the first day of an era, to 1970-01-01.
const DAYS_BEFORE_EPOCH: i64 = 719_468;

/// Writes days since the epoch as `2020-05-12`.
pub fn push_date(out: &mut String, days: i64) {
    let (year, month, day) = civil(days);
    push_year(out, year);
    out.push('-');
    push_padded(out, month, 2);
    out.push('-');
    push_padded(out, day, 2);
}

/// Writes milliseconds since midnight as `21:00:00`, with `.123` where they are not whole seconds.
/// A value outside one day is taken modulo a day.
pub fn push_time(out: &mut String, ms: i64) {
    let ms = ms.rem_euclid(MS_A_DAY);
    push_seconds(out, ms);
    if ms % 1_000 != 0 {
        push_fraction(out, ms);
    }
}

/// Writes milliseconds since the epoch as `2020-05-12T21:00:00.000`, in UTC.
pub fn push_timestamp(out: &mut String, ms: i64) {
    push_date(out, ms.div_euclid(MS_A_DAY));
    out.push('T');
    let of_day = ms.rem_euclid(MS_A_DAY);
    push_seconds(out, of_day);
    push_fraction(out, of_day);
}

fn push_seconds(out: &mut String, ms: i64) {
    let seconds = ms / 1_000;
    push_padded(out, seconds / 3_600, 2);
    out.push(':');
    push_padded(out, seconds / 60 % 60, 2);
    out.push(':');
    push_padded(out, seconds % 60, 2);
}

fn push_fraction(out: &mut String, ms: i64) {
    out.push('.');
    push_padded(out, ms % 1_000, 3);
}

fn push_year(out: &mut String, year: i64) {
    if year < 0 {
        out.push('-');
    } else if year > 9_999 {
        out.push('+');
    }
    push_padded(out, year.abs(), 4);
}

fn push_padded(out: &mut String, number: i64, digits: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    for _ in text.len()..digits {
        out.push('0');
    }
    out.push_str(text);
}

/// Year, month and day of a number of days since the epoch. Years are counted from March, so that
/// the leap day is the last of its year; an era is 400 years, after which the calendar repeats.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + DAYS_BEFORE_EPOCH;
    let era = shifted.div_euclid(DAYS_AN_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_AN_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamp(ms: i64) -> String {
        let mut text = String::new();
        push_timestamp(&mut text, ms);
        text
    }

    #[test]
    fn timestamps_of_every_kind() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000");
        assert_eq!(timestamp(-1), "1969-12-31T23:59:59.999");
        assert_eq!(timestamp(951_782_400_000), "2000-02-29T00:00:00.000");
        assert_eq!(timestamp(253_402_300_800_000), "+10000-01-01T00:00:00.000");
        assert_eq!(timestamp(-62_198_755_200_000), "-0001-01-01T00:00:00.000");
        assert_eq!(timestamp(i64::MAX), "+292278994-08-17T07:12:55.807");
        assert_eq!(timestamp(i64::MIN), "-292275055-05-16T16:47:04.192");
    }

    /// Goal: the calendar agrees with an independent one. Method: chrono through arrow's cast, for
    /// every 17th day of some four hundred years.
    #[test]
    fn dates_agree_with_arrow() {
        use arrow::array::{Date32Array, cast::AsArray};
        let days: Vec<i32> = (-100_000..100_000).step_by(17).collect();
        let texts = arrow::compute::cast(&Date32Array::from(days.clone()), &arrow::datatypes::DataType::Utf8).unwrap();
        for (day, expected) in days.iter().zip(texts.as_string::<i32>()) {
            let mut text = String::new();
            push_date(&mut text, i64::from(*day));
            assert_eq!(Some(text.as_str()), expected);
        }
    }

    #[test]
    fn times_show_milliseconds_only_where_there_are_some() {
        let time = |ms| {
            let mut text = String::new();
            push_time(&mut text, ms);
            text
        };
        assert_eq!(time(0), "00:00:00");
        assert_eq!(time(86_399_001), "23:59:59.001");
        assert_eq!(time(-1), "23:59:59.999");
    }
}
