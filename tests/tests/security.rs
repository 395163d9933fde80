//! Goal: valid credentials work with every listener of a real Kafka, and invalid ones are reported within seconds with
//! the cause and the setting to check, never with the password. Method: one connection per case to a cluster started by
//! `tests/real/kafka up --secure`; its listeners and users are in `tests/real/settings.sh`.
//!
//! The address is taken from `HEADWATER_TEST_KAFKA_SECURE`, the folder of certificates from
//! `HEADWATER_TEST_KAFKA_CERTIFICATES`. Without such a cluster these tests are ignored.

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant};

use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_connectors::transport::{NewTopic, Transport, TransportError, TransportErrorKind as Kind};

/// Maximum time until a failed first connection is reported: far more than it takes, far less than a user waits.
const REPORT_MAX: Duration = Duration::from_secs(15);

/// The ports of the listeners, relative to that of the address.
const SASL: u16 = 0;
const SASL_TLS: u16 = 1;
const MUTUAL_TLS: u16 = 2;
const TLS: u16 = 3;

/// The passwords of the users that the tests log in as; none may ever be shown.
const SECRETS: [&str; 5] = ["admin-secret", "alice-secret", "bob-secret", "wr0ng-secret", "changeit"];

fn wanted(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see the top of this file"))
}

fn address(door: u16) -> String {
    let base = wanted("HEADWATER_TEST_KAFKA_SECURE");
    let (host, port) = base.split_once(':').expect("the address is HOST:PORT");
    let port: u16 = port.parse().expect("the address is HOST:PORT");
    format!("{host}:{}", port + door)
}

/// librdkafka properties as a user writes them, separated by spaces as NAME=VALUE; CERTS/ is the folder of
/// certificates.
fn properties(door: u16, words: &str) -> BTreeMap<String, String> {
    let certificates = wanted("HEADWATER_TEST_KAFKA_CERTIFICATES") + "/";
    let pair = |word: &str| {
        let (name, value) = word.split_once('=').expect("NAME=VALUE");
        (name.to_owned(), value.replace("CERTS/", &certificates))
    };
    let mut properties: BTreeMap<String, String> = words.split_whitespace().map(pair).collect();
    properties.insert("bootstrap.servers".to_owned(), address(door));
    properties
}

fn sasl(mechanism: &str, user: &str, password: &str) -> String {
    format!(
        "security.protocol=SASL_PLAINTEXT sasl.mechanisms={mechanism} sasl.username={user} sasl.password={password}"
    )
}

fn sasl_tls(mechanism: &str, user: &str, password: &str) -> String {
    sasl(mechanism, user, password).replace("SASL_PLAINTEXT", "SASL_SSL") + " ssl.ca.location=CERTS/ca.pem"
}

/// Connects and makes a request.
fn enters(door: u16, words: &str) {
    let cluster = KafkaTransport::connect(properties(door, words)).unwrap_or_else(|why| panic!("{words}: {why}"));
    cluster.admin().topics().unwrap_or_else(|why| panic!("{words}: {why}"));
    assert_no_secret(&format!("{cluster:?}"));
}

/// The connection fails: the kind of failure, the setting to check, and a part of the cause.
fn is_rejected(door: u16, words: &str, kind: Kind, setting: &str, cause: &str) {
    let started = Instant::now();
    let error = KafkaTransport::connect(properties(door, words)).expect_err(words);
    assert!(started.elapsed() < REPORT_MAX, "{words}: reported after {:?}", started.elapsed());
    assert_eq!((error.kind, error.setting.as_deref()), (kind, Some(setting)), "{words}: {error}");
    assert!(error.message.contains(cause), "{words}: no \"{cause}\" in: {error}");
    assert_no_secret(&format!("{error} {error:?}"));
}

fn assert_no_secret(shown: &str) {
    for secret in SECRETS {
        assert!(!shown.contains(secret), "a secret is shown: {shown}");
    }
}

#[test]
#[ignore = "needs a secure Kafka: tests/real/kafka up --secure"]
fn plain_and_scram_get_in() {
    enters(SASL, &sasl("PLAIN", "admin", "admin-secret"));
    enters(SASL, &sasl("PLAIN", "alice", "alice-secret"));
    enters(SASL, &sasl("SCRAM-SHA-256", "bob", "bob-secret"));
    enters(SASL, &sasl("SCRAM-SHA-512", "bob", "bob-secret"));
}

#[test]
#[ignore = "needs a secure Kafka: tests/real/kafka up --secure"]
fn unsecured_bearer_token_gets_in() {
    let token = "enable.sasl.oauthbearer.unsecure.jwt=true sasl.oauthbearer.config=principal=admin";
    enters(SASL, &format!("security.protocol=SASL_PLAINTEXT sasl.mechanisms=OAUTHBEARER {token}"));
}

#[test]
#[ignore = "needs a secure Kafka: tests/real/kafka up --secure"]
fn passwords_over_tls_get_in() {
    enters(SASL_TLS, &sasl_tls("PLAIN", "alice", "alice-secret"));
    enters(SASL_TLS, &sasl_tls("SCRAM-SHA-512", "bob", "bob-secret"));
}

#[test]
#[ignore = "needs a secure Kafka: tests/real/kafka up --secure"]
fn tls_and_mutual_tls_get_in() {
    let tls = "security.protocol=SSL ssl.ca.location=CERTS/ca.pem";
    enters(TLS, tls);
    for key in [
        "ssl.certificate.location=CERTS/carol.crt.pem ssl.key.location=CERTS/carol.key.pem",
        "ssl.certificate.location=CERTS/carol.crt.pem ssl.key.location=CERTS/carol.encrypted.key.pem ssl.key.password=changeit",
        "ssl.keystore.location=CERTS/carol.p12 ssl.keystore.password=changeit",
    ] {
        enters(MUTUAL_TLS, &format!("{tls} {key}"));
    }
}

#[test]
#[ignore = "needs a secure Kafka: tests/real/kafka up --secure"]
fn wrong_password_is_reported() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let words = sasl(mechanism, "bob", "wr0ng-secret");
        is_rejected(SASL, &words, Kind::Authentication, "sasl.password", "rejected the credentials");
    }
    let words = sasl_tls("PLAIN", "alice", "wr0ng-secret");
    is_rejected(SASL_TLS, &words, Kind::Authentication, "sasl.password", "rejected the credentials");
}

#[test]
#[ignore = "needs a secure Kafka: tests/real/kafka up --secure"]
fn unsupported_mechanism_is_reported() {
    let words = sasl_tls("SCRAM-SHA-256", "bob", "bob-secret");
    is_rejected(SASL_TLS, &words, Kind::Authentication, "sasl.mechanisms", "mechanism");
}

#[test]
#[ignore = "needs a secure Kafka: tests/real/kafka up --secure"]
fn wrong_protocol_is_reported() {
    is_rejected(SASL, "security.protocol=PLAINTEXT", Kind::Unreachable, "security.protocol", "TLS or SASL");
    is_rejected(TLS, "security.protocol=PLAINTEXT", Kind::Unreachable, "security.protocol", "TLS or SASL");
    let tls = "security.protocol=SSL ssl.ca.location=CERTS/ca.pem";
    is_rejected(SASL, tls, Kind::Tls, "security.protocol", "PLAINTEXT");
}

#[test]
#[ignore = "needs a secure Kafka: tests/real/kafka up --secure"]
fn invalid_certificates_are_reported() {
    let unknown = "security.protocol=SSL ssl.ca.location=CERTS/other-ca.pem";
    is_rejected(TLS, unknown, Kind::Tls, "ssl.ca.location", "certificate verify failed");
    let without = "security.protocol=SSL ssl.ca.location=CERTS/ca.pem";
    is_rejected(MUTUAL_TLS, without, Kind::Tls, "ssl.certificate.location", "certificate");
}

#[test]
#[ignore = "needs a secure Kafka: tests/real/kafka up --secure"]
fn unreadable_key_is_reported_without_its_password() {
    let key = "ssl.certificate.location=CERTS/carol.crt.pem ssl.key.location=CERTS/carol.encrypted.key.pem";
    let words = format!("security.protocol=SSL ssl.ca.location=CERTS/ca.pem {key} ssl.key.password=wr0ng-secret");
    let error = KafkaTransport::connect(properties(MUTUAL_TLS, &words)).expect_err("the key cannot be opened");
    assert_eq!(error.kind, Kind::Invalid, "{error}");
    assert_no_secret(&format!("{error} {error:?}"));
}

#[test]
#[ignore = "needs a secure Kafka: tests/real/kafka up --secure"]
fn missing_permission_is_reported() {
    let name = format!("not_for_alice_{:08x}", rand::random::<u32>());
    let topic = NewTopic { name, partitions: 1, replicas: None, settings: BTreeMap::new() };
    let create = |user: &str, password: &str| -> Result<(), TransportError> {
        KafkaTransport::connect(properties(SASL, &sasl("PLAIN", user, password)))?.admin().create_topic(&topic)
    };
    let error = create("alice", "alice-secret").expect_err("alice may not create topics");
    assert_eq!(error.kind, Kind::Authorization, "{error}");
    create("admin", "admin-secret").expect("admin may do everything");
}

/// Needs no cluster: nothing listens on this port.
#[test]
fn dead_address_is_reported() {
    let started = Instant::now();
    let properties = [("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())];
    let error = KafkaTransport::connect(properties.into()).expect_err("nothing listens there");
    assert!(started.elapsed() < REPORT_MAX, "reported after {:?}", started.elapsed());
    assert_eq!((error.kind, error.setting.as_deref()), (Kind::Unreachable, Some("bootstrap.servers")), "{error}");
    assert!(error.message.contains("127.0.0.1:1"), "{error}");
}
