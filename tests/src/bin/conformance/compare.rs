//! Compares a value with the expected one: numbers by value, at the precision of the type, everything else literally.

use headwater_engine::types::SqlType;

use crate::json::Json;
use crate::payload::Shape;

/// How a payload differs from the expected one, with the path; `None` if it does not.
pub fn payload(shape: &Shape<'_>, wanted: &Json, found: &Json) -> Option<String> {
    match shape {
        Shape::Unknown => untyped(wanted, found, "$"),
        Shape::Value(ty) => typed(ty, wanted, found, "$"),
        Shape::Record(columns) => {
            let field = |name: &str| columns.iter().find(|(n, _)| *n == name).map(|(_, ty)| *ty);
            object(&field, wanted, found, "$", true)
        }
    }
}

fn differ(wanted: &Json, found: &Json, path: &str) -> Option<String> {
    Some(format!("{path}: expected {wanted}, found {found}"))
}

fn typed(ty: &SqlType, wanted: &Json, found: &Json, path: &str) -> Option<String> {
    match (ty, wanted, found) {
        (_, Json::Null, Json::Null) => None,
        (_, Json::Null, _) | (_, _, Json::Null) => differ(wanted, found, path),
        (SqlType::Double, Json::Number(w), Json::Number(f)) => {
            let same = w.parse::<f64>().is_ok_and(|w| f.parse::<f64>().is_ok_and(|f| w == f));
            if same { None } else { differ(wanted, found, path) }
        }
        // A DECIMAL of an expected record may be a text.
        (SqlType::Decimal { .. }, Json::Text(w), Json::Number(_)) => untyped(&Json::Number(w.clone()), found, path),
        (SqlType::Array(item), Json::Array(w), Json::Array(f)) if w.len() == f.len() => {
            w.iter().zip(f).enumerate().find_map(|(at, (w, f))| typed(item, w, f, &format!("{path}[{at}]")))
        }
        (SqlType::Map(_, value), ..) => object(&|_| Some(&**value), wanted, found, path, false),
        (SqlType::Struct(fields), ..) => {
            let field = |name: &str| fields.iter().find(|f| f.name == name).map(|f| &f.ty);
            object(&field, wanted, found, path, true)
        }
        _ => untyped(wanted, found, path),
    }
}

/// Compares the members of two objects. In a record (`is_record`) a missing member is null.
fn object<'a>(
    member_type: &impl Fn(&str) -> Option<&'a SqlType>,
    wanted: &Json,
    found: &Json,
    path: &str,
    is_record: bool,
) -> Option<String> {
    let named = if is_record { Some(with_names_of(wanted, member_type)) } else { None };
    let wanted = named.as_ref().unwrap_or(wanted);
    let (Json::Object(w), Json::Object(f)) = (wanted, found) else {
        return if wanted == found { None } else { differ(wanted, found, path) };
    };
    let missing = if is_record { Some(&Json::Null) } else { None };
    let names = w.iter().chain(f).map(|(name, _)| name);
    names.into_iter().find_map(|name| {
        let inner = format!("{path}.{name}");
        let (Some(w), Some(f)) = (wanted.get(name).or(missing), found.get(name).or(missing)) else {
            return Some(format!("{inner}: expected {wanted}, found {found}"));
        };
        match member_type(name) {
            Some(ty) => typed(ty, w, f, &inner),
            None => untyped(w, f, &inner),
        }
    })
}

/// A record whose members have the names of its columns, matched as records are read: ignoring case unless a column has
/// exactly that name.
fn with_names_of<'a>(record: &Json, member_type: &impl Fn(&str) -> Option<&'a SqlType>) -> Json {
    let Json::Object(members) = record else { return record.clone() };
    let name = |name: &String| match member_type(name).is_none() && member_type(&name.to_uppercase()).is_some() {
        true => name.to_uppercase(),
        false => name.clone(),
    };
    Json::Object(members.iter().map(|(member, value)| (name(member), value.clone())).collect())
}

fn untyped(wanted: &Json, found: &Json, path: &str) -> Option<String> {
    match (wanted, found) {
        (Json::Number(w), Json::Number(f)) if decimal(w) == decimal(f) => None,
        (Json::Array(w), Json::Array(f)) if w.len() == f.len() => {
            w.iter().zip(f).enumerate().find_map(|(at, (w, f))| untyped(w, f, &format!("{path}[{at}]")))
        }
        (Json::Object(_), Json::Object(_)) => object(&|_| None, wanted, found, path, false),
        _ if wanted == found => None,
        _ => differ(wanted, found, path),
    }
}

/// A number as its sign, its digits without leading and trailing zeros, and the power of ten of the last digit.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    if significant.trim_start_matches('0').is_empty() {
        return Some((false, String::new(), 0));
    }
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let scale = i64::try_from(fraction.len()).ok()?;
    Some((negative, significant.trim_start_matches('0').to_owned(), exponent - scale + zeros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        for (a, b, same) in [
            ("1", "1.0", true),
            ("1E1", "10", true),
            ("0.10", "1e-1", true),
            ("-0", "0.00", true),
            ("1", "-1", false),
            ("10", "1", false),
            ("12345678901234567890.1", "12345678901234567890.2", false),
        ] {
            assert_eq!(decimal(a) == decimal(b), same, "{a} {b}");
        }
    }

    #[test]
    fn a_missing_field_of_a_record_is_null_and_a_missing_entry_of_a_map_is_not() {
        let (full, bare) = (Json::parse(r#"{"A":null}"#).expect("good"), Json::parse("{}").expect("good"));
        let columns = [("A", &SqlType::Int)];
        assert_eq!(payload(&Shape::Record(&columns), &full, &bare), None);
        let map = SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::Int));
        assert!(payload(&Shape::Value(&map), &full, &bare).is_some());
    }

    #[test]
    fn column_names_are_matched_ignoring_case() {
        let (low, up) = (Json::parse(r#"{"a":1}"#).expect("good"), Json::parse(r#"{"A":1}"#).expect("good"));
        assert_eq!(payload(&Shape::Record(&[("A", &SqlType::Int)]), &low, &up), None);
        assert!(payload(&Shape::Record(&[("a", &SqlType::Int)]), &up, &low).is_some());
    }

    #[test]
    fn doubles_are_compared_as_doubles() {
        let (a, b) = (Json::Number("0.1".to_owned()), Json::Number("0.10000000000000000001".to_owned()));
        assert_eq!(payload(&Shape::Value(&SqlType::Double), &a, &b), None);
        assert!(payload(&Shape::Unknown, &a, &b).is_some());
    }
}
