//! The options of a broker under Kafka's own names, as in a `server.properties`.
//!
//! Separate because these names are Kafka's. A name that this broker does not know is an error, so that nobody believes in a setting that
//! has no effect.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use crate::config::{Config, Storage};
use crate::topics::{SETTINGS, Setting};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What must be 1, because there is one broker, which is the first.
const ONES: &[&str] = &[
    "broker.id",
    "default.replication.factor",
    "node.id",
    "offsets.topic.replication.factor",
    "share.coordinator.state.topic.min.isr",
    "share.coordinator.state.topic.replication.factor",
    "transaction.state.log.min.isr",
    "transaction.state.log.replication.factor",
];

/// Settings of topics by other names of the broker's, whose values are in other units: the name, the setting, and the unit in ms. They
/// count only where the setting itself is not given, an earlier one before a later one.
const OTHER_UNITS: &[(&str, &str, i64)] = &[
    ("log.retention.minutes", "retention.ms", MINUTE_MS),
    ("log.retention.hours", "retention.ms", HOUR_MS),
    ("log.roll.hours", "segment.ms", HOUR_MS),
];

/// Why properties that begin with these words are refused.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["ssl.", "sasl.", "security.", "authorizer.", "super.users", "listener.security."],
        "the embedded broker has no TLS, no users and no access lists: anyone who reaches it can do everything",
    ),
    (
        &[
            "replica.",
            "controller.",
            "process.roles",
            "zookeeper.",
            "inter.broker.",
            "leader.",
            "unclean.",
            "broker.rack",
        ],
        "there is one broker without replicas, which needs no controller",
    ),
    (&["remote.log."], "there is no tiered storage"),
];

impl Config {
    /// Changes options by Kafka's names for them: `listeners`, `advertised.listeners`, `log.dirs`, `num.partitions`,
    /// `auto.create.topics.enable`, `group.initial.rebalance.delay.ms`, `group.consumer.heartbeat.interval.ms`,
    /// `group.consumer.session.timeout.ms`, `log.retention.check.interval.ms`,
    /// `offsets.retention.minutes`, `offsets.retention.check.interval.ms`, and the broker's names of all settings of topics, such as
    /// `log.retention.ms` and `log.segment.bytes`.
    ///
    /// ```
    /// use headwater_broker::Config;
    ///
    /// let properties = [("listeners", "PLAINTEXT://127.0.0.1:0"), ("num.partitions", "4"), ("log.retention.hours", "168")];
    /// let config = Config::in_memory().with_properties(properties).expect("they are known");
    /// assert_eq!(config.default_partitions, 4);
    /// let problems = Config::in_memory().with_properties([("num.partitions", "x"), ("ssl.keystore.location", "k")]);
    /// assert_eq!(problems.expect_err("neither is right").len(), 2);
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong with each property that is not known, or whose value is not valid.
    pub fn with_properties<N: Into<String>, V: Into<String>>(
        self,
        properties: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Config, Vec<String>> {
        let given: BTreeMap<String, String> =
            properties.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let (mut config, mut problems) = (self, Vec::new());
        for (name, value) in &given {
            if let Err(problem) = config.set(name, value) {
                problems.push(format!("{name}: {problem}"));
            }
        }
        for (name, setting, unit_ms) in OTHER_UNITS {
            let Some(value) = given.get(*name).filter(|_| !config.topic_defaults.contains_key(*setting)) else {
                continue;
            };
            let set = in_ms(value, *unit_ms).and_then(|ms| config.set_topic_default(setting, &ms));
            problems.extend(set.err().map(|problem| format!("{name}: {problem}")));
        }
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "listeners" => self.listen = address(value)?,
            "advertised.listeners" => self.advertised = Some(host_and_port(value)?),
            "log.dirs" | "log.dir" => self.storage = Storage::Folder(folder(value)?),
            "num.partitions" => self.default_partitions = number(value, 1)?,
            "auto.create.topics.enable" => {
                self.auto_create_topics =
                    value.to_ascii_lowercase().parse().map_err(|_| not(value, "true or false"))?;
            }
            "group.initial.rebalance.delay.ms" => self.group_initial_delay_ms = number(value, 0)?,
            "group.consumer.heartbeat.interval.ms" => self.consumer_heartbeat_ms = number(value, 1)?,
            "group.consumer.session.timeout.ms" => self.consumer_session_timeout_ms = number(value, 1)?,
            "log.retention.check.interval.ms" => self.retention_check_ms = number(value, 1)?,
            "offsets.retention.minutes" => self.offsets_retention_ms = minutes(value)?,
            "offsets.retention.check.interval.ms" => self.offsets_retention_check_ms = number(value, 1)?,
            name if ONES.contains(&name) => {
                if value.trim() != "1" {
                    return Err(format!("it can only be 1, not {value}: there is one broker"));
                }
            }
            name if OTHER_UNITS.iter().any(|(other, ..)| *other == name) => {}
            name => {
                let setting = SETTINGS.iter().find(|setting| setting.broker_name == name);
                self.set_topic_default(setting.ok_or_else(|| refusal(name))?.name, value)?;
            }
        }
        Ok(())
    }

    fn set_topic_default(&mut self, name: &str, value: &str) -> Result<(), String> {
        SETTINGS.iter().find(|setting| setting.name == name).map_or(Ok(()), |setting| setting.check(value))?;
        self.topic_defaults.insert(name.to_owned(), value.to_owned());
        Ok(())
    }
}

/// Why a name is refused.
fn refusal(name: &str) -> String {
    let begins = |(beginnings, _): &&(&[&str], &str)| beginnings.iter().any(|beginning| name.starts_with(beginning));
    if let Some((_, reason)) = REFUSED.iter().find(begins) {
        return format!("this does not exist here; {reason}");
    }
    let of_topics = SETTINGS.iter().find(|setting: &&Setting| setting.name == name);
    match of_topics {
        Some(setting) => format!("this is a setting of topics; the broker's is {}", setting.broker_name),
        None => "the embedded broker does not know this property".to_owned(),
    }
}

fn not(value: &str, expected: &str) -> String {
    format!("\"{value}\" is not {expected}")
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(value: &str, min: T) -> Result<T, String> {
    let number: T = value.trim().parse().map_err(|_| not(value, "a whole number"))?;
    if number < min { Err(format!("it must be at least {min}, not {value}")) } else { Ok(number) }
}

/// A number of minutes as ms; -1 is no limit, which Kafka does not have here.
fn minutes(value: &str) -> Result<Option<u64>, String> {
    if value.trim() == "-1" {
        return Ok(None);
    }
    let minutes: u32 = number(value, 1)?;
    Ok(Some(u64::from(minutes) * MINUTE_MS.unsigned_abs()))
}

/// A number of units as ms; -1 stays, which is no limit.
fn in_ms(value: &str, unit_ms: i64) -> Result<String, String> {
    let number: i64 = number(value, -1)?;
    Ok(if number < 0 { number } else { number.saturating_mul(unit_ms) }.to_string())
}

fn folder(value: &str) -> Result<PathBuf, String> {
    match value.split(',').map(str::trim).collect::<Vec<_>>()[..] {
        [""] => Err("it names no folder".to_owned()),
        [folder] => Ok(folder.into()),
        _ => Err("there can be only one folder".to_owned()),
    }
}

/// The host and port of a listener: `PLAINTEXT://host:port`.
fn host_and_port(value: &str) -> Result<(String, u16), String> {
    if value.contains(',') {
        return Err("there can be only one listener".to_owned());
    }
    let (protocol, place) = value.trim().split_once("://").unwrap_or(("PLAINTEXT", value.trim()));
    if !protocol.eq_ignore_ascii_case("PLAINTEXT") {
        return Err(format!("\"{protocol}\" is not offered, only PLAINTEXT"));
    }
    let parts = place.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or_else(|| not(value, "PLAINTEXT://host:port"))?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// The address of a listener. Without a host it is loopback: Kafka's is all addresses.
fn address(value: &str) -> Result<SocketAddr, String> {
    let (host, port) = host_and_port(value)?;
    let host = if host.is_empty() { "127.0.0.1" } else { &host };
    let found = (host, port).to_socket_addrs().map_err(|error| format!("\"{value}\": {error}"))?;
    found.into_iter().next().ok_or_else(|| not(value, "an address of this machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(properties: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        Config::in_memory().with_properties(properties.iter().copied())
    }

    #[test]
    fn what_a_broker_has_is_set_by_kafka_s_names() {
        let config = with(&[
            ("listeners", "PLAINTEXT://127.0.0.1:19092"),
            ("advertised.listeners", "PLAINTEXT://host.docker.internal:19092"),
            ("log.dirs", "/data/kafka"),
            ("num.partitions", "3"),
            ("auto.create.topics.enable", "FALSE"),
            ("group.initial.rebalance.delay.ms", "3000"),
            ("group.consumer.heartbeat.interval.ms", "2000"),
            ("group.consumer.session.timeout.ms", "20000"),
            ("log.retention.check.interval.ms", "500"),
            ("offsets.retention.minutes", "10080"),
            ("offsets.retention.check.interval.ms", "1000"),
            ("log.segment.bytes", "1048576"),
            ("log.retention.hours", "1"),
            ("log.retention.minutes", "2"),
            ("log.roll.hours", "24"),
            ("node.id", "1"),
            ("offsets.topic.replication.factor", "1"),
        ]);
        let config = config.expect("all are known");
        assert_eq!(config.listen, "127.0.0.1:19092".parse().expect("an address"));
        assert_eq!(config.advertised, Some(("host.docker.internal".to_owned(), 19_092)));
        assert_eq!(config.storage, Storage::Folder("/data/kafka".into()));
        assert_eq!((config.default_partitions, config.auto_create_topics), (3, false));
        assert_eq!((config.group_initial_delay_ms, config.retention_check_ms), (3_000, 500));
        assert_eq!((config.consumer_heartbeat_ms, config.consumer_session_timeout_ms), (2_000, 20_000));
        assert_eq!((config.offsets_retention_ms, config.offsets_retention_check_ms), (Some(604_800_000), 1_000));
        let defaults = [("retention.ms", "120000"), ("segment.bytes", "1048576"), ("segment.ms", "86400000")];
        let defaults = defaults.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(config.topic_defaults, defaults.into());
        let exact = with(&[("log.retention.hours", "1"), ("log.retention.ms", "7")]).expect("both are known");
        assert_eq!(with(&[("offsets.retention.minutes", "-1")]).expect("is no limit").offsets_retention_ms, None);
        assert_eq!(exact.topic_defaults["retention.ms"], "7", "the most exact one counts");
    }

    #[test]
    fn what_it_has_not_is_refused_by_name() {
        for (name, value, says) in [
            ("ssl.keystore.location", "k", "no TLS"),
            ("process.roles", "broker,controller", "one broker"),
            ("remote.log.storage.system.enable", "true", "tiered"),
            ("no.such.property", "1", "does not know"),
            ("retention.ms", "1", "log.retention.ms"),
            ("log.retention.ms", "x", "Not a number"),
            ("log.retention.hours", "x", "whole number"),
            ("num.partitions", "0", "at least 1"),
            ("auto.create.topics.enable", "perhaps", "true or false"),
            ("offsets.retention.minutes", "0", "at least 1"),
            ("offsets.retention.minutes", "1.5", "whole number"),
            ("listeners", "SSL://h:1", "only PLAINTEXT"),
            ("listeners", "PLAINTEXT://h:1,PLAINTEXT://h:2", "only one"),
            ("listeners", "nonsense", "host:port"),
            ("log.dirs", "/a,/b", "only one"),
            ("node.id", "2", "one broker"),
        ] {
            let problems = with(&[("num.partitions", "2"), (name, value)]).expect_err(name);
            let [problem] = &problems[..] else { panic!("{problems:?}") };
            assert!(problem.starts_with(&format!("{name}: ")) && problem.contains(says), "{problem}");
        }
        assert_eq!(with(&[("a", "1"), ("b", "2"), ("num.partitions", "x")]).expect_err("all are wrong").len(), 3);
    }
}
