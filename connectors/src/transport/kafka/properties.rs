//! The properties that a user sets, and those that each kind of client needs in addition.
//!
//! librdkafka decides which properties and values are valid; this file adds the nearest known name to the error,
//! reports several mistakes together, and keeps secrets out of every message.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::property_names::{ALIASES, NAMES, RESERVED, is_secret};
use super::setback;
use crate::transport::{Isolation, TransportError};

/// Properties that were checked. Secrets among them are kept out of every message.
#[derive(Clone)]
pub(super) struct Properties {
    given: BTreeMap<String, String>,
}

/// What a client is used for.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// Looking up topics and offsets at one isolation level.
    Metadata(Isolation),
    /// Creating and deleting topics, reading settings.
    Admin,
    /// Reading the offsets committed under a consumer group.
    Group(String),
    /// Being a member of a consumer group.
    Member(String),
    /// Reading by `sources` queues.
    Source { isolation: Isolation, bounded: bool, sources: usize },
    /// Waiting for new records.
    Doorbell,
    /// Writing, in transactions if there is an id.
    Sink { transactional_id: Option<String>, batch_bytes_max: Option<usize> },
}

impl Role {
    /// Whether this is a sink with a transactional id.
    pub(super) fn is_transactional(&self) -> bool {
        matches!(self, Self::Sink { transactional_id: Some(_), .. })
    }
}

/// Properties of every client. Metrics are not pushed: a broker that serves Headwater need not collect its metrics.
/// Reconnecting starts quickly, because a first connection must fail or succeed within seconds.
const COMMON: &[(&str, &str)] = &[
    ("client.id", "headwater"),
    ("reconnect.backoff.ms", "20"),
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.keepalive.enable", "true"),
    ("enable.metrics.push", "false"),
    ("allow.auto.create.topics", "false"),
];

/// Properties of every reading client. A topic that the broker does not know fails at once: whoever creates a topic
/// waits until it is known. A full queue is checked again after a few ms (librdkafka waits a second), so a queue may be
/// short without starving its reader. Checksums are verified: otherwise librdkafka requests a damaged batch forever, or
/// returns its contents. Fetches of 2 MiB per partition use less CPU than the default of 1 MiB; larger ones bring no
/// further gain.
const SOURCE: &[(&str, &str)] = &[
    ("fetch.queue.backoff.ms", "5"),
    ("fetch.error.backoff.ms", "50"),
    ("check.crcs", "true"),
    ("fetch.message.max.bytes", "2097152"),
    ("topic.metadata.propagation.max.ms", "0"),
];

/// How long a broker holds back a fetch that finds nothing, in ms. At the end of a bounded range there is nothing to
/// find: after a transaction marker, only an empty fetch tells that the end is reached.
const BOUNDED_FETCH_WAIT_MS: &str = "10";

/// The same for a read without an end, which is answered as soon as there is something: a longer wait only reduces the
/// number of empty fetches.
const FETCH_WAIT_MS: &str = "1500";

/// A secret of at least this many bytes does not occur in other words by chance.
const LONG_SECRET_BYTES: usize = 8;

/// Properties of a client that waits for new records: it only needs to know that there is one, and its fetches are
/// answered soon, because a partition that is added to them waits for that.
const DOORBELL: &[(&str, &str)] = &[
    ("fetch.message.max.bytes", "4096"),
    ("queued.min.messages", "500"),
    ("queued.max.messages.kbytes", "4096"),
    ("fetch.queue.backoff.ms", "5"),
    ("fetch.wait.max.ms", "500"),
    RECONNECT_LATER,
];

/// Number of records that all queues of a client may hold before it stops fetching.
const QUEUED_RECORDS_MAX: usize = 100_000;

/// Number of KiB that all queues of a client may hold before it stops fetching.
const QUEUED_KBYTES_MAX: usize = 48 * 1024;

/// Properties of every member of a group. A process that was killed loses its session after the shortest time that
/// brokers allow by default. With `range`, the same partitions of several topics are assigned to one member.
const MEMBER: &[(&str, &str)] = &[
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "2000"),
    ("partition.assignment.strategy", "range"),
    RECONNECT_LATER,
];

/// Clients that live as long as a query retry an unreachable broker less and less often, with jitter: hundreds of
/// queries have several clients each.
const RECONNECT_LATER: (&str, &str) = ("reconnect.backoff.max.ms", "5000");

/// Properties of every writing client: few large requests, a report only for records that fail, and partitions as the
/// Java client chooses them. The buffer keeps every connection busy. With five times as many records writing was not
/// faster, but a commit waits five times as long for what is still in the buffer.
const SINK: &[(&str, &str)] = &[
    ("batch.num.messages", "100000"),
    ("queue.buffering.max.messages", "100000"),
    ("queue.buffering.max.kbytes", "65536"),
    ("message.max.bytes", "67108864"),
    ("topic.metadata.propagation.max.ms", "10000"),
    ("enable.idempotence", "true"),
    ("partitioner", "murmur2_random"),
];

/// Maximum bytes of a batch (`batch.size`), if the topic allows it.
const BATCH_BYTES_MAX: usize = 1_000_000;

/// For a client that writes outside transactions: someone waits for each record.
const SINK_PLAIN: &[(&str, &str)] = &[("linger.ms", "10"), ("message.timeout.ms", "60000")];

/// For a client that writes in transactions: nobody sees a record before the commit, and a commit does not linger, so a
/// batch may wait until it is full.
///
/// Idle connections are closed soon because of a bug in librdkafka (2.12): it waits for a group coordinator that it
/// knows after the broker has left the cluster, so adding offsets to the transaction blocks indefinitely, whatever the
/// timeout, until a connection to any other broker opens or closes. With this setting one does, early enough for the
/// transaction to be committed although a cluster takes 10 s to notice that the broker is gone.
const SINK_TRANSACTIONAL: &[(&str, &str)] =
    &[("linger.ms", "50"), ("connections.max.idle.ms", "2000"), RECONNECT_LATER];

/// How long a transaction may be open, in ms: longer than a cluster needs to recover from losing a broker (a little
/// over 10 s). A transaction left open by a killed process blocks its readers for that long; librdkafka's default is a
/// minute.
const TRANSACTION_TIMEOUT_MS: u32 = 20_000;

impl Properties {
    /// Checks every property with librdkafka and reports all that are invalid.
    pub(super) fn check(given: BTreeMap<String, String>) -> Result<Self, TransportError> {
        let wrong: Vec<_> = given.iter().filter_map(|(name, value)| complaint(name, value)).collect();
        let properties = Self { given };
        if let Some((first, _)) = wrong.first() {
            let all: Vec<_> = wrong.iter().map(|(_, why)| why.as_str()).collect();
            return Err(invalid(first, properties.redact(&all.join("; "))));
        }
        match properties.bootstrap().trim().is_empty() {
            true => Err(invalid("bootstrap.servers", "no broker is given: bootstrap.servers is not set".into())),
            false => Ok(properties),
        }
    }

    /// The addresses of the brokers to connect to first.
    pub(super) fn bootstrap(&self) -> &str {
        self.value("bootstrap.servers").unwrap_or_default()
    }

    /// The value given for a property, under any of its names.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        names_of(name).find_map(|name| self.given.get(name)).map(String::as_str)
    }

    /// Whether a user asked for details in a client's log.
    pub(super) fn logs_details(&self) -> bool {
        self.given.contains_key("debug")
    }

    /// Whether a token must be renewed from time to time, even while a call blocks.
    pub(super) fn renews_token(&self) -> bool {
        self.value("sasl.mechanisms").is_some_and(|m| m.eq_ignore_ascii_case("OAUTHBEARER"))
    }

    /// Whether records are compressed, so that their size on the wire is not known in advance.
    pub(super) fn compresses(&self) -> bool {
        self.value("compression.type").is_some_and(|codec| codec != "none")
    }

    /// The configuration of a client.
    pub(super) fn client(&self, role: &Role) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(self.log_level(role));
        let constant = role.constant().into_iter().flatten();
        for (name, value) in COMMON.iter().chain(constant) {
            self.set_unless_given(&mut config, name, value);
        }
        for (name, value) in role.chosen(self) {
            self.set_unless_given(&mut config, name, &value);
        }
        for (name, value) in &self.given {
            config.set(name, value);
        }
        for (name, value) in role.forced() {
            config.set(name, value);
        }
        config
    }

    /// librdkafka reports connections that a broker closed only as log lines of level `Info`.
    fn log_level(&self, role: &Role) -> RDKafkaLogLevel {
        match role {
            Role::Admin => RDKafkaLogLevel::Emerg,
            _ if self.logs_details() => RDKafkaLogLevel::Debug,
            _ => RDKafkaLogLevel::Info,
        }
    }

    fn set_unless_given(&self, config: &mut ClientConfig, name: &str, value: &str) {
        if self.value(name).is_none() {
            config.set(name, value);
        }
    }

    /// A transaction must outlast a request and the delivery of a record, so longer timeouts for these lengthen it.
    fn transaction_timeout_ms(&self) -> u32 {
        let given = ["socket.timeout.ms", "message.timeout.ms"].into_iter().filter_map(|name| self.value(name));
        given.filter_map(|value| value.parse().ok()).fold(TRANSACTION_TIMEOUT_MS, u32::max)
    }

    /// Replaces every secret in the text.
    pub(super) fn redact(&self, text: &str) -> String {
        let secrets: BTreeSet<_> = self.given.iter().filter(|(name, _)| is_secret(name)).map(|(_, v)| v).collect();
        let hide = |text: String, secret: &&String| hidden(&text, secret);
        secrets.iter().filter(|s| !s.is_empty()).fold(text.to_owned(), hide)
    }
}

/// Replaces a secret in the text. A short one is replaced only as a word of its own: garbling other words would reveal
/// it to anyone who can guess these words.
fn hidden(text: &str, secret: &str) -> String {
    if secret.len() >= LONG_SECRET_BYTES {
        return text.replace(secret, "[redacted]");
    }
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let (mut out, mut rest) = (String::new(), 0);
    for (start, _) in text.match_indices(secret) {
        let end = start + secret.len();
        if text[..start].ends_with(is_word) || text[end..].starts_with(is_word) {
            continue;
        }
        out.push_str(&text[rest..start]);
        out.push_str("[redacted]");
        rest = end;
    }
    out + &text[rest..]
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value)| if is_secret(name) { (name, "[redacted]") } else { (name, value) };
        f.debug_map().entries(self.given.iter().map(|(n, v)| shown((n.as_str(), v.as_str())))).finish()
    }
}

impl Role {
    fn constant(&self) -> [&'static [(&'static str, &'static str)]; 2] {
        match self {
            Self::Source { .. } => [SOURCE, &[]],
            Self::Doorbell => [DOORBELL, &[]],
            Self::Sink { transactional_id: None, .. } => [SINK, SINK_PLAIN],
            Self::Sink { transactional_id: Some(_), .. } => [SINK, SINK_TRANSACTIONAL],
            Self::Member(_) => [MEMBER, &[]],
            Self::Metadata(_) | Self::Admin | Self::Group(_) => [&[], &[]],
        }
    }

    /// Values that depend on the role and that a user may override.
    fn chosen(&self, properties: &Properties) -> Vec<(&'static str, String)> {
        match self {
            Self::Source { bounded, sources, .. } => {
                let share = |all: usize, least: usize| (all / (*sources).max(1)).max(least).to_string();
                let wait_ms = if *bounded { BOUNDED_FETCH_WAIT_MS } else { FETCH_WAIT_MS };
                let mut chosen = vec![
                    ("fetch.wait.max.ms", wait_ms.into()),
                    ("queued.min.messages", share(QUEUED_RECORDS_MAX, 10_000)),
                    ("queued.max.messages.kbytes", share(QUEUED_KBYTES_MAX, 4 * 1024)),
                ];
                chosen.extend((!bounded).then(|| (RECONNECT_LATER.0, RECONNECT_LATER.1.to_owned())));
                chosen
            }
            Self::Sink { transactional_id, batch_bytes_max } => {
                let timeout = || ("transaction.timeout.ms", properties.transaction_timeout_ms().to_string());
                let bytes = batch_bytes_max.unwrap_or(BATCH_BYTES_MAX).clamp(1, BATCH_BYTES_MAX);
                let batch = ("batch.size", bytes.to_string());
                let debug = ("debug", setback::DEBUG.to_owned());
                transactional_id.iter().map(|_| timeout()).chain([batch, debug]).collect()
            }
            _ => Vec::new(),
        }
    }

    fn isolation(&self) -> Isolation {
        match self {
            Self::Metadata(isolation) | Self::Source { isolation, .. } => *isolation,
            _ => Isolation::ReadCommitted,
        }
    }

    /// Values that the code relies on; a user may not set them (`RESERVED`).
    fn forced(&self) -> Vec<(&'static str, String)> {
        let mut forced = match self {
            Self::Metadata(_) => vec![("isolation.level", level(self.isolation()))],
            // Read committed also excludes offsets of a transaction that is still open.
            Self::Group(group) | Self::Member(group) => {
                vec![("group.id", group.clone()), ("isolation.level", level(self.isolation()))]
            }
            Self::Source { .. } | Self::Doorbell => vec![
                ("isolation.level", level(self.isolation())),
                ("enable.partition.eof", "true".into()),
                // When an offset no longer exists, `inquiry` finds out why.
                ("auto.offset.reset", "error".into()),
            ],
            // Nobody reads the log of this client: librdkafka would print it to standard error.
            Self::Admin => return vec![("log_level", "0".into())],
            Self::Sink { transactional_id, .. } => {
                let mut forced = vec![("delivery.report.only.error", "true".into())];
                forced.extend(transactional_id.clone().map(|id| ("transactional.id", id)));
                return forced;
            }
        };
        forced.push(("enable.auto.commit", "false".into()));
        forced.push(("enable.auto.offset.store", "false".into()));
        forced
    }
}

fn level(isolation: Isolation) -> String {
    match isolation {
        Isolation::ReadCommitted => "read_committed".into(),
        Isolation::ReadUncommitted => "read_uncommitted".into(),
    }
}

/// A property's name and its aliases.
fn names_of(name: &str) -> impl Iterator<Item = &str> {
    let group = ALIASES.iter().find(|group| group.contains(&name)).copied().unwrap_or_default();
    std::iter::once(name).chain(group.iter().copied())
}

/// What is wrong with one property, and the setting to check.
fn complaint(name: &str, value: &str) -> Option<(String, String)> {
    let why = if name == "isolation.level" {
        "\"isolation.level\" is set by Headwater itself: use --set isolation.level=read_uncommitted".to_owned()
    } else if RESERVED.contains(&name) {
        format!("\"{name}\" is set by Headwater itself and cannot be changed")
    } else {
        refusal(name, value)?
    };
    Some((name.to_owned(), why))
}

/// Why librdkafka rejects the property.
fn refusal(name: &str, value: &str) -> Option<String> {
    match ClientConfig::new().set(name, value).create_native_config().err()? {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => Some(unknown(name)),
        KafkaError::ClientConfig(_, reason, ..) => Some(reason),
        KafkaError::Nul(_) => Some(format!("\"{name}\" contains a NUL byte")),
        other => Some(other.to_string()),
    }
}

fn unknown(name: &str) -> String {
    let fact = format!("\"{name}\" is not a property of librdkafka");
    match nearest(name) {
        Some(near) => format!("{fact}; did you mean \"{near}\"?"),
        None => fact,
    }
}

/// The known name with the smallest edit distance, if that is within half the length.
fn nearest(name: &str) -> Option<&'static str> {
    let distance = |known: &&&str| strsim::levenshtein(known, &name.to_lowercase());
    let near = NAMES.iter().min_by_key(distance)?;
    (distance(&near) <= name.len() / 2).then_some(*near)
}

pub(super) fn invalid(setting: &str, message: String) -> TransportError {
    TransportError::invalid(message).with_setting(setting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::TransportErrorKind;

    fn check(given: &[(&str, &str)]) -> Result<Properties, TransportError> {
        let bootstrap = [("bootstrap.servers", "127.0.0.1:9092")];
        Properties::check(bootstrap.iter().chain(given).map(|(n, v)| (n.to_string(), v.to_string())).collect())
    }

    #[test]
    fn an_unknown_name_is_rejected_with_the_nearest() {
        let error = check(&[("sasl.pasword", "secret")]).unwrap_err();
        assert_eq!(error.message, "\"sasl.pasword\" is not a property of librdkafka; did you mean \"sasl.password\"?");
        assert_eq!(error.kind, TransportErrorKind::Invalid);
        assert_eq!(error.setting.as_deref(), Some("sasl.pasword"));
        assert!(!check(&[("completely.other.thing.here", "1")]).unwrap_err().message.contains("did you mean"));
    }

    #[test]
    fn invalid_values_are_reported_together_with_reasons() {
        let error = check(&[("socket.timeout.ms", "soon"), ("fetch.wait.max.mss", "1")]).unwrap_err();
        assert!(error.message.contains("fetch.wait.max.ms\"?"), "{}", error.message);
        assert!(error.message.contains("socket.timeout.ms"), "{}", error.message);
    }

    #[test]
    fn reserved_properties_and_a_missing_address_are_rejected() {
        assert!(check(&[("isolation.level", "read_committed")]).unwrap_err().message.contains("set by Headwater"));
        let error = Properties::check(BTreeMap::new()).unwrap_err();
        assert_eq!(error.setting.as_deref(), Some("bootstrap.servers"));
    }

    #[test]
    fn shows_no_secret() {
        let properties =
            check(&[("sasl.password", "hunter2"), ("ssl.key.password", "s3cr3t"), ("client.id", "me")]).unwrap();
        let shown = format!("{properties:?} {}", properties.redact("login of hunter2 with s3cr3t failed"));
        assert!(!shown.contains("hunter2") && !shown.contains("s3cr3t"), "{shown}");
        assert!(shown.contains("me"));
    }

    #[test]
    fn a_short_secret_is_redacted_as_a_word_only() {
        let properties = check(&[("sasl.password", "boot")]).unwrap();
        let text = "127.0.0.1:9092/bootstrap: login with boot, \"boot\" or reboot failed";
        let wanted = "127.0.0.1:9092/bootstrap: login with [redacted], \"[redacted]\" or reboot failed";
        assert_eq!(properties.redact(text), wanted);
    }

    #[test]
    fn a_given_value_wins_over_a_default_under_either_name() {
        let properties = check(&[("max.partition.fetch.bytes", "77777")]).unwrap();
        let role = Role::Source { isolation: Isolation::ReadCommitted, bounded: true, sources: 1 };
        let config = properties.client(&role);
        assert_eq!(config.get("max.partition.fetch.bytes"), Some("77777"));
        assert_eq!(config.get("fetch.message.max.bytes"), None);
        assert_eq!(config.create_native_config().unwrap().get("fetch.message.max.bytes").unwrap(), "77777");
    }

    #[test]
    fn librdkafka_accepts_the_configuration_of_every_role() {
        let sink = |id: Option<&str>| Role::Sink { transactional_id: id.map(str::to_owned), batch_bytes_max: Some(9) };
        let source = Role::Source { isolation: Isolation::ReadUncommitted, bounded: false, sources: 9 };
        let (group, member) = (Role::Group("g".into()), Role::Member("g".into()));
        let metadata = Role::Metadata(Isolation::ReadCommitted);
        for role in [metadata, Role::Admin, group, member, source, sink(None), sink(Some("t"))] {
            let config = check(&[]).unwrap().client(&role);
            assert!(config.create_native_config().is_ok(), "{role:?}");
        }
    }

    #[test]
    fn a_transaction_is_short_unless_something_given_takes_longer() {
        let timeout_ms = |given: &[(&str, &str)]| {
            let sink = Role::Sink { transactional_id: Some("t".into()), batch_bytes_max: None };
            check(given).unwrap().client(&sink).get("transaction.timeout.ms").unwrap().to_owned()
        };
        assert_eq!(timeout_ms(&[]), "20000");
        assert_eq!(timeout_ms(&[("delivery.timeout.ms", "40000"), ("socket.timeout.ms", "9000")]), "40000");
        assert_eq!(timeout_ms(&[("transaction.timeout.ms", "3000")]), "3000");
    }
}
