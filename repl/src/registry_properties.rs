//! The properties of the Schema Registry's client, by the names that Confluent's clients have.
//!
//! Separate from other properties because they go neither to the Kafka client nor to the session, and because a password
//! in one of them must not be shown in an error.

use std::collections::BTreeMap;

use headwater_registry::{PROPERTIES, Settings};

const URL: &str = "schema.registry.url";
/// What the names begin with, behind `ksql.` or without it.
const PREFIXES: [&str; 3] = ["schema.registry.", "basic.auth.", "bearer.auth."];
/// Properties of the Kafka client that `SASL_INHERIT` refers to.
const INHERITED: [&str; 2] = ["sasl.username", "sasl.password"];

/// Whether this is the name of a property of the registry, or looks like one.
pub fn is_one(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| bare(name).starts_with(prefix))
}

fn bare(name: &str) -> &str {
    name.strip_prefix("ksql.").unwrap_or(name)
}

/// Properties of the registry in the order in which they are given: those of the file, then those of the command line.
#[derive(Default)]
pub struct RegistryProperties {
    given: Vec<(String, String)>,
    /// How many of them are from the file.
    in_file: usize,
}

impl RegistryProperties {
    /// Adds a property. A later one with the same name counts.
    pub fn set(&mut self, name: String, value: String) {
        self.given.push((name, value));
    }

    /// All properties so far are from the file.
    pub fn end_of_file(&mut self) {
        self.in_file = self.given.len();
    }

    /// Whether one was given on the command line.
    pub fn is_set(&self) -> bool {
        self.given.len() > self.in_file
    }

    /// The settings of the client, with the URL of an argument or of the environment instead of those that they override.
    /// `None` if there is no URL. The error is text for the user.
    pub fn resolve(
        &self,
        argument: Option<&str>,
        variable: Option<&str>,
        kafka: &BTreeMap<String, String>,
    ) -> Result<Option<Settings>, String> {
        if let Some((name, _)) = self.given.iter().find(|(name, _)| !is_known(bare(name))) {
            let known: Vec<&str> = PROPERTIES.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            return Err(format!("property \"{name}\" does not exist; the schema registry has {known}"));
        }
        let pair = |(name, value): &'_ (String, String)| (name.clone(), value.clone());
        let url = |value: Option<&str>| {
            value.filter(|value| !value.is_empty()).map(|value| (URL.to_owned(), value.to_owned()))
        };
        let (file, set) = self.given.split_at(self.in_file);
        let inherited = INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), kafka.get(*name)?.clone())));
        let properties = file.iter().map(pair).chain(url(variable)).chain(set.iter().map(pair)).chain(url(argument));
        let properties: Vec<(String, String)> = inherited.chain(properties).collect();
        let properties = properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Settings::from_properties(properties).map_err(|error| error.to_string())
    }
}

/// Whether the client takes a property: some it rejects itself, with what to use instead.
fn is_known(name: &str) -> bool {
    let short = name.strip_prefix("schema.registry.").unwrap_or(name);
    let is_java_store = name.ends_with("store.location");
    is_java_store || PROPERTIES.iter().any(|(known, _)| *known == name || *known == short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(properties: &[(&str, &str)], expected: &str) {
        let mut all = RegistryProperties::default();
        for (name, value) in properties {
            assert!(is_one(name), "{name}");
            all.set((*name).to_owned(), (*value).to_owned());
        }
        let kafka = [("sasl.username", "u"), ("sasl.password", "p")].map(|(name, value)| (name.into(), value.into()));
        let found = match all.resolve(None, None, &kafka.into()) {
            Ok(settings) => format!("{:?}", settings.map(|settings| settings.credentials)),
            Err(error) => error.split(';').next().unwrap_or_default().to_owned(),
        };
        assert_eq!(found, expected, "{properties:?}");
    }

    #[test]
    fn properties_are_those_of_confluent() {
        let url = ("ksql.schema.registry.url", "http://a");
        check(&[], "None");
        check(&[("schema.registry.url", "")], "None");
        check(&[url], "Some(None)");
        check(&[url, ("schema.registry.basic.auth.user.info", "x:hidden")], "Some(Some(Basic { user: \"x\" }))");
        check(&[url, ("basic.auth.credentials.source", "SASL_INHERIT")], "Some(Some(Basic { user: \"u\" }))");
        check(&[url, ("basic.auth.user.infos", "x:hidden")], "property \"basic.auth.user.infos\" does not exist");
        let store = "ksql.schema.registry.ssl.truststore.location";
        check(&[url, (store, "x.jks")], "schema.registry.ssl.truststore.location: is not supported");
        assert!(!is_one("schema.registry") && !is_one("kafka.sasl.username"));
    }
}
