//! The definition of a topic setting: its name, its type and its valid values.
//!
//! Separate from the table of settings so that the table reads as a table.

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value_type: SettingType,
    pub(crate) default: &'static str,
    /// The name of the broker setting that is the default.
    pub(crate) broker_name: &'static str,
    pub(crate) doc: &'static str,
}

/// The type of a setting, with its valid values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SettingType {
    Boolean,
    /// One of these words.
    Word(&'static [&'static str]),
    Int(i64, i64),
    Long(i64, i64),
    Double(f64, f64),
    /// A comma-separated list of these words; of any words if there are none.
    List(&'static [&'static str]),
}

impl SettingType {
    /// The number of the type in the protocol.
    pub(crate) fn code(self) -> i8 {
        match self {
            SettingType::Boolean => 1,
            SettingType::Word(_) => 2,
            SettingType::Int(..) => 3,
            SettingType::Long(..) => 5,
            SettingType::Double(..) => 6,
            SettingType::List(_) => 7,
        }
    }
}

impl Setting {
    /// Returns what is wrong with a value.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let problem = match self.value_type {
            SettingType::Boolean => check_boolean(value),
            SettingType::Word(words) => check_word(value, words),
            SettingType::Int(min, max) => check_number(value, min, max, "INT"),
            SettingType::Long(min, max) => check_number(value, min, max, "LONG"),
            SettingType::Double(min, max) => check_double(value, min, max),
            SettingType::List(words) => check_list(value, words),
        };
        problem.map_err(|problem| format!("Invalid value {value} for configuration {}: {problem}", self.name))
    }
}

/// The words of a list; an empty string is an empty list.
pub(crate) fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn check_boolean(value: &str) -> Result<(), String> {
    let known = value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
    if known { Ok(()) } else { Err("Expected value to be either true or false".to_owned()) }
}

fn check_word(value: &str, words: &[&str]) -> Result<(), String> {
    if words.contains(&value) { Ok(()) } else { Err(format!("String must be one of: {}", words.join(", "))) }
}

fn check_number(value: &str, min: i64, max: i64, type_name: &str) -> Result<(), String> {
    let number: i64 = value.trim().parse().map_err(|_| format!("Not a number of type {type_name}"))?;
    match number {
        n if n < min => Err(format!("Value must be at least {min}")),
        n if n > max => Err(format!("Value must be no more than {max}")),
        _ => Ok(()),
    }
}

fn check_double(value: &str, min: f64, max: f64) -> Result<(), String> {
    let number: f64 = value.trim().parse().map_err(|_| "Not a number of type DOUBLE".to_owned())?;
    if (min..=max).contains(&number) { Ok(()) } else { Err(format!("Value must be between {min} and {max}")) }
}

fn check_list(value: &str, known: &[&str]) -> Result<(), String> {
    match words(value).find(|word| !known.is_empty() && !known.contains(word)) {
        Some(_) => Err(format!("String must be one of: {}", known.join(", "))),
        None => Ok(()),
    }
}
