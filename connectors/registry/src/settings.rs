//! The settings of the client, read from properties with the names that Confluent's clients use.
//!
//! Separate because they come from a command line or from SET, and are checked before anything connects.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::SettingsError;

/// The property that says where registries are.
pub(crate) const URL: &str = "schema.registry.url";
pub(crate) const USER_INFO: &str = "basic.auth.user.info";
pub(crate) const TOKEN: &str = "bearer.auth.token";
pub(crate) const CA: &str = "schema.registry.ssl.ca.location";
pub(crate) const CERTIFICATE: &str = "schema.registry.ssl.certificate.location";
pub(crate) const KEY: &str = "schema.registry.ssl.key.location";
pub(crate) const KEY_PASSWORD: &str = "schema.registry.ssl.key.password";
const BASIC_SOURCE: &str = "basic.auth.credentials.source";
const BEARER_SOURCE: &str = "bearer.auth.credentials.source";
pub(crate) const VERIFY: &str = "schema.registry.ssl.endpoint.identification.algorithm";
const TIMEOUT: &str = "schema.registry.request.timeout.ms";
const CONNECT_TIMEOUT: &str = "schema.registry.connect.timeout.ms";
/// Files of Java's clients, whose formats are not supported, and what to use instead.
const JAVA_STORES: [(&str, &str); 2] =
    [("schema.registry.ssl.truststore.location", CA), ("schema.registry.ssl.keystore.location", CERTIFICATE)];
const SASL_USER: &str = "sasl.username";
const SASL_PASSWORD: &str = "sasl.password";

/// The properties, and what each is for. `ksql.` may stand before any of them, and `schema.registry.` before those
/// about credentials.
pub const PROPERTIES: &[(&str, &str)] = &[
    (URL, "the URL of the schema registry; several, separated by commas, are tried in turn"),
    (BASIC_SOURCE, "where user and password are: USER_INFO, URL or SASL_INHERIT"),
    (USER_INFO, "user and password, separated by a colon"),
    (BEARER_SOURCE, "where the token is: STATIC_TOKEN"),
    (TOKEN, "a bearer token"),
    (CA, "a PEM file with the certificates of the authorities that are trusted"),
    (CERTIFICATE, "a PEM file with the certificate of this client"),
    (KEY, "a PEM file with the private key of that certificate"),
    (KEY_PASSWORD, "the password of that key"),
    (VERIFY, "https, or empty to accept a certificate for another host"),
    (TIMEOUT, "how long an answer may take, in milliseconds"),
    (CONNECT_TIMEOUT, "how long connecting may take, in milliseconds"),
];

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(3);

/// How many registries may be named.
const URLS_MAX: usize = 16;

/// Where registries are, and how they are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The registries, which have the same content, without credentials. There is at least one.
    pub urls: Vec<Url>,
    /// What they are shown.
    pub credentials: Option<Credentials>,
    /// Files for `https`.
    pub tls: TlsFiles,
    /// How long connecting to one may take.
    pub connect_timeout: Duration,
    /// How long an answer of one may take.
    pub request_timeout: Duration,
}

/// What a registry is shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Bearer(String),
}

/// Files in PEM format for `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities that are trusted, instead of those of the system.
    pub authorities: Option<PathBuf>,
    /// The certificate of this client.
    pub certificate: Option<PathBuf>,
    /// Its private key; the certificate's file if there is none.
    pub key: Option<PathBuf>,
    /// The password of the key.
    pub key_password: Option<Secret>,
    /// Whether the certificate of the registry must be for its host.
    pub verify_host: bool,
}

/// A text that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl std::fmt::Debug for Credentials {
    /// Passwords and tokens stay secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Basic { user, .. } => write!(f, "Basic {{ user: {user:?} }}"),
            Self::Bearer(_) => f.write_str("Bearer"),
        }
    }
}

impl Default for TlsFiles {
    fn default() -> Self {
        Self { authorities: None, certificate: None, key: None, key_password: None, verify_host: true }
    }
}

impl Settings {
    /// The settings for registries at these URLs, with nothing else given.
    ///
    /// # Errors
    /// A URL is not valid.
    pub fn at(urls: &str) -> Result<Self, SettingsError> {
        let (urls, _) = parse_urls(urls)?;
        Ok(Self {
            urls,
            credentials: None,
            tls: TlsFiles::default(),
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            request_timeout: TIMEOUT_DEFAULT,
        })
    }

    /// Reads the settings from properties, of which others are ignored. `None` if no URL is given.
    ///
    /// # Errors
    /// A value is not valid, or something that belongs to it is missing.
    pub fn from_properties<'a>(
        properties: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Option<Self>, SettingsError> {
        let properties: Vec<_> = properties.into_iter().collect();
        for (store, instead) in JAVA_STORES {
            if properties.iter().any(|(name, _)| name.strip_prefix("ksql.").unwrap_or(name) == store) {
                return Err(SettingsError::new(
                    store,
                    format!("is not supported; {instead} takes a file in PEM format"),
                ));
            }
        }
        let given = Given::read(properties);
        let Some(urls) = given.get(URL) else { return Ok(None) };
        let (_, in_url) = parse_urls(urls)?;
        Ok(Some(Self {
            credentials: given.credentials(in_url)?,
            tls: given.tls()?,
            connect_timeout: given.milliseconds(CONNECT_TIMEOUT, CONNECT_TIMEOUT_DEFAULT)?,
            request_timeout: given.milliseconds(TIMEOUT, TIMEOUT_DEFAULT)?,
            ..Self::at(urls)?
        }))
    }
}

/// The known properties that are given, under their own names.
struct Given<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Given<'a> {
    fn read(properties: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let others = [(SASL_USER, ""), (SASL_PASSWORD, "")];
        let known = |name: &str| {
            let name = name.strip_prefix("ksql.").unwrap_or(name);
            let bare = name.strip_prefix("schema.registry.").unwrap_or(name);
            PROPERTIES.iter().chain(&others).map(|(known, _)| *known).find(|known| *known == name || *known == bare)
        };
        Self(properties.into_iter().filter_map(|(name, value)| Some((known(name)?, value.trim()))).collect())
    }

    /// The last value of a property that is given and not empty.
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| *value).filter(|value| !value.is_empty())
    }

    fn need(&self, name: &str, for_what: &str) -> Result<&'a str, SettingsError> {
        self.get(name).ok_or_else(|| SettingsError::new(name, format!("is needed for {for_what}")))
    }

    fn credentials(&self, in_url: Option<Credentials>) -> Result<Option<Credentials>, SettingsError> {
        if let Some(source) = self.get(BEARER_SOURCE)
            && source != "STATIC_TOKEN"
        {
            return Err(SettingsError::new(BEARER_SOURCE, format!("\"{source}\" is not supported, only STATIC_TOKEN")));
        }
        let basic = match self.get(BASIC_SOURCE) {
            Some("USER_INFO") => Some(user_info(self.need(USER_INFO, "the credentials source USER_INFO")?)?),
            Some("SASL_INHERIT") => Some(Credentials::Basic {
                user: self.need(SASL_USER, "the credentials source SASL_INHERIT")?.to_owned(),
                password: self.need(SASL_PASSWORD, "the credentials source SASL_INHERIT")?.to_owned(),
            }),
            Some("URL") => in_url,
            Some(other) => {
                let problem = format!("\"{other}\" is not one of USER_INFO, URL and SASL_INHERIT");
                return Err(SettingsError::new(BASIC_SOURCE, problem));
            }
            // Confluent's clients ignore the user info without its source. Nobody who sets it wants that.
            None => self.get(USER_INFO).map(user_info).transpose()?.or(in_url),
        };
        match (basic, self.get(TOKEN)) {
            (Some(_), Some(_)) => Err(SettingsError::new(TOKEN, "cannot be used together with a user and a password")),
            (basic, token) => Ok(basic.or_else(|| token.map(|token| Credentials::Bearer(token.to_owned())))),
        }
    }

    fn tls(&self) -> Result<TlsFiles, SettingsError> {
        if self.get(KEY).is_some() {
            self.need(CERTIFICATE, "the key of the client")?;
        }
        let path = |name| self.get(name).map(PathBuf::from);
        let is_empty = |name| self.0.iter().rev().find(|(given, _)| *given == name).is_some_and(|(_, v)| v.is_empty());
        match self.get(VERIFY) {
            None => {}
            Some(value) if value.eq_ignore_ascii_case("https") || value.eq_ignore_ascii_case("none") => {}
            Some(other) => return Err(SettingsError::new(VERIFY, format!("\"{other}\" is neither https nor empty"))),
        }
        let off = is_empty(VERIFY) || self.get(VERIFY).is_some_and(|value| value.eq_ignore_ascii_case("none"));
        Ok(TlsFiles {
            authorities: path(CA),
            certificate: path(CERTIFICATE),
            key: path(KEY),
            key_password: self.get(KEY_PASSWORD).map(Secret::new),
            verify_host: !off,
        })
    }

    fn milliseconds(&self, name: &str, default: Duration) -> Result<Duration, SettingsError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let valid = text.parse().ok().filter(|ms| (1..=3_600_000).contains(ms));
        let problem = || SettingsError::new(name, format!("\"{text}\" is not a number from 1 to 3600000"));
        valid.map(Duration::from_millis).ok_or_else(problem)
    }
}

fn user_info(text: &str) -> Result<Credentials, SettingsError> {
    let (user, password) =
        text.split_once(':').ok_or_else(|| SettingsError::new(USER_INFO, "is not of the form user:password"))?;
    Ok(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
}

/// The URLs without credentials, and the credentials in the first one that has some.
fn parse_urls(text: &str) -> Result<(Vec<Url>, Option<Credentials>), SettingsError> {
    let mut urls = Vec::new();
    let mut credentials = None;
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let mut url = parse_url(part)?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        if !url.username().is_empty() && credentials.is_none() {
            let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
            credentials = Some(Credentials::Basic { user, password });
        }
        // They fail only for URLs without a host, which were rejected.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        urls.push(url);
    }
    match urls.len() {
        0 => Err(SettingsError::new(URL, "names no URL")),
        n if n > URLS_MAX => Err(SettingsError::new(URL, format!("names more than {URLS_MAX} URLs"))),
        _ => Ok((urls, credentials)),
    }
}

fn parse_url(part: &str) -> Result<Url, SettingsError> {
    // Whoever forgets the scheme gets a hint instead of "relative URL without a base".
    let hint = || SettingsError::new(URL, format!("\"{}\" does not start with http:// or https://", masked(part)));
    let url = match Url::parse(part) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        Ok(_) | Err(url::ParseError::RelativeUrlWithoutBase) => return Err(hint()),
        Err(error) => return Err(SettingsError::new(URL, format!("\"{}\" is not a URL: {error}", masked(part)))),
    };
    if url.host_str().is_none_or(str::is_empty) {
        return Err(SettingsError::new(URL, format!("\"{}\" has no host", masked(part))));
    }
    Ok(url)
}

/// The text without what may be a password.
fn masked(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(properties: &[(&str, &str)], expected: &str) {
        let found = match Settings::from_properties(properties.iter().copied()) {
            Ok(None) => "none".to_owned(),
            Ok(Some(settings)) => {
                let urls: Vec<&str> = settings.urls.iter().map(Url::as_str).collect();
                let credentials = match settings.credentials {
                    None => String::new(),
                    Some(Credentials::Basic { user, password }) => format!(" basic {user}/{password}"),
                    Some(Credentials::Bearer(token)) => format!(" bearer {token}"),
                };
                format!("{}{credentials}", urls.join(" "))
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{properties:?}");
    }

    #[test]
    fn urls_are_separated_by_commas() {
        check(&[], "none");
        check(&[("bootstrap.servers", "x"), ("schema.registry.url", " ")], "none");
        check(&[("ksql.schema.registry.url", "http://a:81 ,https://b/x,")], "http://a:81/ https://b/x");
        check(
            &[("schema.registry.url", "localhost:8081")],
            "schema.registry.url: \"localhost:8081\" does not start with http:// or https://",
        );
        check(&[("schema.registry.url", "a")], "schema.registry.url: \"a\" does not start with http:// or https://");
        check(&[("schema.registry.url", "http://")], "schema.registry.url: \"http://\" is not a URL: empty host");
        check(&[("schema.registry.url", ",")], "schema.registry.url: names no URL");
    }

    #[test]
    fn credentials_have_several_sources() {
        let url = ("schema.registry.url", "http://u:p%20w@a,http://b");
        let plain = ("schema.registry.url", "http://a");
        check(&[url], "http://a/ http://b/ basic u/p w");
        check(&[url, ("basic.auth.user.info", "x:y:z")], "http://a/ http://b/ basic x/y:z");
        let source = |value| ("basic.auth.credentials.source", value);
        check(&[url, source("URL"), ("basic.auth.user.info", "x:y")], "http://a/ http://b/ basic u/p w");
        check(&[plain, source("USER_INFO"), ("schema.registry.basic.auth.user.info", "x:y")], "http://a/ basic x/y");
        check(&[plain, source("USER_INFO")], "basic.auth.user.info: is needed for the credentials source USER_INFO");
        check(&[plain, source("SASL_INHERIT"), ("sasl.username", "s"), ("sasl.password", "t")], "http://a/ basic s/t");
        check(
            &[plain, source("MAGIC")],
            "basic.auth.credentials.source: \"MAGIC\" is not one of USER_INFO, URL and SASL_INHERIT",
        );
        check(&[plain, ("basic.auth.user.info", "xy")], "basic.auth.user.info: is not of the form user:password");
        check(&[plain, ("bearer.auth.token", "t")], "http://a/ bearer t");
        check(
            &[url, ("bearer.auth.token", "t")],
            "bearer.auth.token: cannot be used together with a user and a password",
        );
    }

    #[test]
    fn other_values_are_checked() {
        let plain = ("schema.registry.url", "http://a");
        check(
            &[plain, ("schema.registry.ssl.key.location", "k")],
            "schema.registry.ssl.certificate.location: is needed for the key of the client",
        );
        check(
            &[plain, ("ksql.schema.registry.ssl.truststore.location", "t.jks")],
            "schema.registry.ssl.truststore.location: is not supported; schema.registry.ssl.ca.location takes a file in PEM format",
        );
        check(
            &[plain, ("schema.registry.request.timeout.ms", "0")],
            "schema.registry.request.timeout.ms: \"0\" is not a number from 1 to 3600000",
        );
        let read = |value| Settings::from_properties([plain, (VERIFY, value)]).map(|s| s.map(|s| s.tls.verify_host));
        assert_eq!((read("https"), read(""), read("none")), (Ok(Some(true)), Ok(Some(false)), Ok(Some(false))));
        assert!(read("x").is_err());
    }

    #[test]
    fn secrets_are_not_printed() {
        let given = [("schema.registry.url", "http://u:secret@a"), (KEY_PASSWORD, "a secret")];
        let settings = Settings::from_properties(given).expect("valid");
        assert!(!format!("{settings:?}").contains("secret"));
        let error = Settings::at("http://u:secret@").expect_err("no host");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
