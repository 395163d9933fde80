//! Converts librdkafka's errors to [`TransportError`]s: kinds by what the caller should do, messages with the cause,
//! and the setting to check.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::transport::{TransportError, TransportErrorKind as Kind};

/// An error of a call: `doing` says what failed, such as `topic "t" could not be read`.
pub(super) fn failed(doing: &str, code: Code) -> TransportError {
    failed_with_reason(doing, code, &reason_of(code))
}

/// Like [`failed`], with librdkafka's message instead of the text for the code.
pub(super) fn failed_with_reason(doing: &str, code: Code, reason: &str) -> TransportError {
    let kind = kind_of(code);
    let error = TransportError::new(kind, format!("{doing}: {reason}"));
    match setting_of(kind) {
        Some(setting) => error.with_setting(setting),
        None => error,
    }
}

/// Like [`failed`], for rdkafka's errors.
pub(super) fn call_failed(doing: &str, error: &KafkaError) -> TransportError {
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    match code {
        Some(code) => failed(doing, code),
        None => TransportError::other(format!("{doing}: {error}")),
    }
}

/// What the caller should do about a code.
pub(super) fn kind_of(code: Code) -> Kind {
    match code {
        Code::BrokerTransportFailure
        | Code::DestroyBroker
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::NetworkException => Kind::Unreachable,
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => Kind::Authentication,
        Code::SSL => Kind::Tls,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => Kind::Authorization,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId => {
            Kind::UnknownTopic
        }
        Code::TopicAlreadyExists => Kind::TopicExists,
        Code::OperationTimedOut | Code::RequestTimedOut | Code::MessageTimedOut | Code::TimedOutQueue => Kind::Timeout,
        Code::ProducerFenced | Code::InvalidProducerEpoch | Code::Fenced => Kind::Fenced,
        Code::IllegalGeneration | Code::UnknownMemberId | Code::FencedInstanceId => Kind::Fenced,
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidTimestamp | Code::InvalidRecord => {
            Kind::Refused
        }
        code if is_refusal(code) => Kind::Invalid,
        _ => Kind::Other,
    }
}

/// How uninformative a code is: 0 names the cause, 1 says that something took too long, 2 that something else failed
/// before.
pub(super) fn vagueness(code: Code) -> u8 {
    match code {
        Code::PurgeQueue | Code::PurgeInflight | Code::State | Code::Fatal | Code::DestroyBroker => 2,
        Code::MessageTimedOut | Code::OperationTimedOut | Code::TimedOutQueue | Code::RequestTimedOut => 1,
        _ => 0,
    }
}

/// The cluster lost a broker or is moving a partition: the same request will succeed in a moment, even one that went to
/// a broker that is gone.
pub(super) fn is_temporary(error: &KafkaError) -> bool {
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    code.is_some_and(|code| {
        matches!(
            code,
            Code::DestroyBroker
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::BrokerTransportFailure
                | Code::NetworkException
                | Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::ReplicaNotAvailable
                | Code::BrokerNotAvailable
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::OffsetNotAvailable
                | Code::PreferredLeaderNotAvailable
                | Code::KafkaStorageError
                | Code::NotCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::NotController
        )
    })
}

/// The topic or partition does not exist.
pub(super) fn is_unknown_topic(code: Code) -> bool {
    kind_of(code) == Kind::UnknownTopic
}

/// The stored data is damaged.
pub(super) fn is_damage(code: Code) -> bool {
    matches!(code, Code::InvalidMessage | Code::BadMessage | Code::BadCompression)
}

/// The broker or the client rejects what it was given; trying again will not help.
fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::InvalidTopic
            | Code::InvalidPartitions
            | Code::InvalidReplicationFactor
            | Code::InvalidConfig
            | Code::InvalidRequest
            | Code::InvalidTransactionTimeout
            | Code::InvalidGroupId
            | Code::PolicyViolation
            | Code::TopicDeletionDisabled
    )
}

fn setting_of(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Unreachable => Some("bootstrap.servers"),
        Kind::Authentication => Some("sasl.password"),
        Kind::Tls => Some("ssl.ca.location"),
        _ => None,
    }
}

/// librdkafka's text for a code, as the end of a sentence.
pub(super) fn reason_of(code: Code) -> String {
    // rdkafka formats a code as `Name (Broker: Text)`.
    let shown = code.to_string();
    let words = shown.split_once(" (").and_then(|(_, tail)| tail.strip_suffix(')')).unwrap_or(&shown);
    as_reason(words)
}

/// librdkafka's text, to be used within a sentence.
pub(super) fn as_reason(words: &str) -> String {
    let words = words.trim_start_matches("Broker: ").trim_start_matches("Local: ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// The code that fits the message: a handshake that fails during a read is reported as a lost connection.
pub(super) fn true_code(code: Code, reason: &str) -> Code {
    if code != Code::BrokerTransportFailure {
        code
    } else if reason.contains("SSL routines") || reason.contains("SSL handshake") {
        Code::SSL
    } else if reason.contains("SASL authentication error") {
        Code::Authentication
    } else {
        code
    }
}

/// A connection that could not be established, from what librdkafka's error callback reported.
pub(super) fn connection_failed(bootstrap: &str, code: Code, reason: &str) -> TransportError {
    let reason = trimmed(reason);
    // With TLS 1.3 the broker checks our certificate after the handshake, so its alert arrives as a failed read.
    let kind = if reason.contains("tls alert") { Kind::Tls } else { kind_of(code) };
    let (kind, fact, setting) = match kind {
        Kind::Authentication => (Kind::Authentication, "the broker rejected the credentials", login_setting(&reason)),
        Kind::Tls => (Kind::Tls, "TLS handshake failed", tls_setting(&reason)),
        _ if reason.contains(TOO_MANY_CONNECTIONS) => (
            Kind::Unreachable,
            "the broker refused the connection: it has reached its connection limit",
            "bootstrap.servers",
        ),
        _ if closed_by_peer(&reason) => {
            let fact = "the broker closed the connection during the first requests: it may expect TLS or SASL";
            (Kind::Unreachable, fact, "security.protocol")
        }
        _ => (Kind::Unreachable, "no broker can be reached", "bootstrap.servers"),
    };
    let message = format!("{fact}: {reason} (bootstrap.servers={bootstrap})");
    TransportError::new(kind, message).with_setting(setting)
}

/// Nothing was received within [`CONNECT_TIMEOUT`](super::connection).
pub(super) fn connection_timed_out(bootstrap: &str, waited_ms: u128) -> TransportError {
    let message = format!(
        "no broker can be reached: no answer within {waited_ms} ms; is this the address of a Kafka broker? \
         (bootstrap.servers={bootstrap})"
    );
    TransportError::unreachable(message).with_setting("bootstrap.servers")
}

/// librdkafka's text for the code with which the embedded broker then answers the first request.
const TOO_MANY_CONNECTIONS: &str = "Throttling quota has been exceeded";

fn closed_by_peer(reason: &str) -> bool {
    ["security.protocol", "closed by peer", "Connection reset", "Disconnected"].iter().any(|mark| reason.contains(mark))
}

fn login_setting(reason: &str) -> &'static str {
    // "invalid credentials with SASL mechanism SCRAM-SHA-256" is about the password nevertheless.
    let of_mechanism = ["mechanism handshake failed", "OAUTHBEARER"].iter().any(|mark| reason.contains(mark));
    if of_mechanism { "sasl.mechanisms" } else { "sasl.password" }
}

fn tls_setting(reason: &str) -> &'static str {
    let has = |marks: &[&str]| marks.iter().any(|mark| reason.to_lowercase().contains(mark));
    if has(&["plaintext", "wrong version number", "packet length", "disconnected"]) {
        "security.protocol"
    } else if has(&["alert bad certificate", "certificate required", "alert certificate"]) {
        "ssl.certificate.location"
    } else {
        "ssl.ca.location"
    }
}

/// Without "(after 3ms in state CONNECT)", which differs between attempts and does not help a user.
fn trimmed(reason: &str) -> String {
    reason.rsplit_once(" (after ").map_or(reason, |(head, _)| head).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_kind_cause_and_setting() {
        let error = failed("topic \"t\" could not be read", Code::UnknownTopicOrPartition);
        assert_eq!(error.kind, Kind::UnknownTopic);
        assert_eq!(error.message, "topic \"t\" could not be read: unknown topic or partition");
    }

    #[test]
    fn a_cause_is_more_informative_than_its_consequences() {
        let order = [Code::TopicAuthorizationFailed, Code::MessageTimedOut, Code::PurgeQueue];
        assert!(order.is_sorted_by_key(|code| vagueness(*code)));
        assert_eq!(vagueness(Code::PurgeInflight), vagueness(Code::State));
    }

    #[test]
    fn a_connection_error_names_the_setting() {
        let reason = "sasl_plaintext://127.0.0.1:1/bootstrap: SASL authentication error: Authentication failed: \
                      Invalid username or password (after 5ms in state AUTH_REQ)";
        let error = connection_failed("127.0.0.1:1", Code::Authentication, reason);
        assert_eq!((error.kind, error.setting.as_deref()), (Kind::Authentication, Some("sasl.password")));
        assert!(error.message.contains("Invalid username or password (bootstrap.servers="), "{}", error.message);

        let reason = "ssl://127.0.0.1:1/bootstrap: SSL handshake failed: ... certificate verify failed: broker \
                      certificate could not be verified, verify that ssl.ca.location is correctly configured";
        let error = connection_failed("127.0.0.1:1", Code::SSL, reason);
        assert_eq!((error.kind, error.setting.as_deref()), (Kind::Tls, Some("ssl.ca.location")));

        let reason = "sasl_plaintext://127.0.0.1:1/bootstrap: SASL authentication error: Authentication failed during \
                      authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256";
        let error = connection_failed("127.0.0.1:1", Code::Authentication, reason);
        assert_eq!((error.kind, error.setting.as_deref()), (Kind::Authentication, Some("sasl.password")));

        let reason = "127.0.0.1:1/bootstrap: ApiVersionRequest failed: Broker: Throttling quota has been exceeded: probably \
                      due to broker version < 0.10 (see api.version.request configuration) (after 1ms in state APIVERSION_QUERY)";
        let error = connection_failed("127.0.0.1:1", Code::BrokerTransportFailure, reason);
        assert_eq!((error.kind, error.setting.as_deref()), (Kind::Unreachable, Some("bootstrap.servers")));
        assert!(error.message.contains("connection limit") && !error.message.contains("TLS"), "{}", error.message);

        let reason = "ssl://127.0.0.1:1/bootstrap: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad \
                      certificate: SSL alert number 42";
        let error = connection_failed("127.0.0.1:1", Code::BrokerTransportFailure, reason);
        assert_eq!((error.kind, error.setting.as_deref()), (Kind::Tls, Some("ssl.certificate.location")));

        let reason = "127.0.0.1:1/bootstrap: Disconnected: connection closed by peer: receive 0";
        let error = connection_failed("127.0.0.1:1", Code::BrokerTransportFailure, reason);
        assert_eq!((error.kind, error.setting.as_deref()), (Kind::Unreachable, Some("security.protocol")));
    }
}
