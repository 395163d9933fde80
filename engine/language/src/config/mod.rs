//! Settings: the properties, their values and their meaning.
//!
//! [`PROPERTIES`] has all of them. A session starts with a copy of the process's
//! settings, which SET changes. A value is checked when it is set, never when it is used. Properties of the Kafka
//! client (`kafka.*`) are not here; they belong to the transport.

mod property;

use std::collections::BTreeMap;

pub use property::{DECIMAL_DIVISION, PROPERTIES, Property, STATE_MEMORY, ValueKind, parse_percent};

use crate::diagnostic::{Diagnostic, PROPERTY_VALUE, UNKNOWN_PROPERTY};

/// Values of the properties that were set, by name; the others have their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    set: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Sets a property by its name or alias. Fails on an unknown name, suggesting the nearest one, and on a value
    /// that the property does not accept.
    pub fn set(&mut self, name: &str, value: &str) -> Result<&'static Property, Box<Diagnostic>> {
        let property = find(name)?;
        if let Err(expected) = property.kind.check(value) {
            let message = format!("property \"{}\" cannot be \"{value}\"", property.name);
            return Err(Box::new(Diagnostic::new(PROPERTY_VALUE, message).detail(format!("It takes {expected}."))));
        }
        self.set.insert(property.name, value.to_owned());
        Ok(property)
    }

    /// Resets a property to its default. Fails on an unknown name.
    pub fn unset(&mut self, name: &str) -> Result<&'static Property, Box<Diagnostic>> {
        let property = find(name)?;
        self.set.remove(property.name);
        Ok(property)
    }

    /// True when the property was set.
    pub fn is_set(&self, property: &Property) -> bool {
        self.set.contains_key(property.name)
    }

    /// The value of a property: the one that was set, or its default; empty if it has neither.
    pub fn get(&self, name: &str) -> &str {
        let default = || PROPERTIES.iter().find(|p| p.name == name).map_or("", |p| p.default);
        self.set.get(name).map_or_else(default, String::as_str)
    }

    /// The value that was set; none if the default applies.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.set.get(name).map(String::as_str)
    }

    /// The value of a property that is a whole number; 0 if it has none.
    pub fn integer(&self, name: &str) -> i64 {
        self.get(name).parse().unwrap_or(0)
    }

    /// The value of a property that is a number of bytes.
    pub fn bytes(&self, name: &str) -> usize {
        property::parse_bytes(self.get(name)).unwrap_or(usize::MAX)
    }
}

/// The property with this name or alias. Fails on an unknown name, suggesting the nearest one.
pub fn find(name: &str) -> Result<&'static Property, Box<Diagnostic>> {
    let plain = name.strip_prefix("ksql.streams.").unwrap_or(name);
    let found = PROPERTIES.iter().find(|p| p.answers_to(name) || p.answers_to(plain));
    found.ok_or_else(|| {
        let error = Diagnostic::new(UNKNOWN_PROPERTY, format!("property \"{name}\" does not exist"));
        let names = PROPERTIES.iter().map(|p| p.name);
        if is_of_client(plain) {
            let hint = format!("Properties of the Kafka client are given at the start: --set kafka.{plain}=…");
            return Box::new(error.hint(hint));
        }
        Box::new(error.hint("SHOW PROPERTIES; lists them all.").nearest_of(name, names))
    })
}

/// True for the name of a security property of the Kafka client, which can only be given at startup and with its
/// prefix.
fn is_of_client(name: &str) -> bool {
    ["sasl.", "ssl.", "security."].iter().any(|prefix| name.starts_with(prefix)) || is_secret(name)
}

/// True if the property's name suggests that its value is secret and must not be shown.
pub fn is_secret(name: &str) -> bool {
    ["password", "secret", "passphrase", ".pem", "private.key"].iter().any(|mark| name.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_has_its_default_until_it_is_set() {
        let mut settings = Settings::default();
        assert_eq!(settings.get("auto.offset.reset"), "latest");
        settings.set("ksql.streams.auto.offset.reset", "earliest").unwrap();
        assert_eq!(settings.get("auto.offset.reset"), "earliest");
        settings.unset("auto.offset.reset").unwrap();
        assert_eq!(settings.get("auto.offset.reset"), "latest");
    }

    #[test]
    fn unknown_names_and_values_are_refused() {
        let mut settings = Settings::default();
        let unknown = settings.set("auto.ofset.reset", "earliest").unwrap_err();
        assert_eq!(unknown.hint.as_deref(), Some("Did you mean \"auto.offset.reset\"?"));
        assert_eq!(settings.set("auto.offset.reset", "none").unwrap_err().code, PROPERTY_VALUE);
        assert_eq!(settings.set("query.memory.max", "lots").unwrap_err().code, PROPERTY_VALUE);
    }

    #[test]
    fn memory_is_a_number_of_bytes_or_a_part() {
        let mut settings = Settings::default();
        for good in ["16MB", "2 GB", "1%", "100 %"] {
            assert!(settings.set(STATE_MEMORY, good).is_ok(), "{good}");
        }
        for bad in ["15MB", "0%", "101%", "%", "-5%", "some"] {
            let refused = settings.set(STATE_MEMORY, bad).unwrap_err();
            assert!(refused.detail.is_some_and(|detail| detail.contains("at least 16MB")), "{bad}");
        }
    }

    #[test]
    fn every_default_is_a_value_its_property_takes() {
        for property in PROPERTIES.iter().filter(|p| !p.default.is_empty()) {
            assert_eq!(property.kind.check(property.default), Ok(()), "{}", property.name);
        }
    }
}
