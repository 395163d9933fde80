//! ASSERT TOPIC: waits until a topic is as asserted, or does not exist. ASSERT SCHEMA is beside it (`assert_schema`).

use std::time::{Duration, Instant};

use headwater_connectors::transport::{Admin, TopicInfo};
use headwater_language::diagnostic::{Diagnostic, PROPERTY_VALUE, TOPIC_MISMATCH, UNKNOWN_PROPERTY, UNKNOWN_TOPIC};
use headwater_language::sql::ast::{self, Literal, Property, Spanned};

use super::wording::not_supported;
use super::{Answered, Context, assert_schema};
use crate::answer::Answer;
use crate::failure::transport;
use crate::runtime::blocking;

/// How long to wait if the statement does not say.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait before asking the cluster again.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// Waits until the topic is as asserted, or for as long as the statement says.
pub(crate) async fn run(assert: &ast::Assert, context: &mut Context<'_>) -> Answered {
    let (exists, name, properties, timeout) = match assert {
        ast::Assert::Topic { exists, name, properties, timeout } => (exists, name, properties, timeout),
        ast::Assert::Schema { exists, subject, id, timeout } => {
            let expected = assert_schema::Expected::new(*exists, subject.as_ref(), id.as_ref(), context.span)?;
            return assert_schema::run(expected, patience(timeout.as_ref()), context).await;
        }
        _ => return Err(vec![not_supported("ASSERT is", context.span)]),
    };
    let expected = Expected::new(name, *exists, properties)?;
    let patience = patience(timeout.as_ref());
    let transport = context.process.transport().clone();
    blocking(move || topic(transport.admin(), &expected, patience)).await?
}

/// How long to wait.
fn patience(timeout: Option<&ast::Duration>) -> Duration {
    let patience = timeout.and_then(|timeout| timeout.ms()).and_then(|ms| u64::try_from(ms).ok());
    patience.map_or(PATIENCE, Duration::from_millis)
}

/// The properties that a topic should have.
#[derive(Clone, Debug)]
struct Expected {
    /// The topic, and where the statement names it.
    topic: Spanned<String>,
    /// False if it must not exist.
    exists: bool,
    partitions: Option<i32>,
    replicas: Option<i32>,
}

impl Expected {
    /// Reads PARTITIONS and REPLICAS from WITH. They are ignored for a topic that must not exist.
    fn new(topic: &Spanned<String>, exists: bool, properties: &[Property]) -> Result<Self, Vec<Diagnostic>> {
        let mut expected = Self { topic: topic.clone(), exists, partitions: None, replicas: None };
        let mut errors = Vec::new();
        for property in properties {
            let number = match &property.value.value {
                Literal::Number(digits) | Literal::String(digits) => digits.trim().parse::<i32>().ok(),
                _ => None,
            };
            match (property.name.to_uppercase().as_str(), number) {
                ("PARTITIONS", Some(count)) => expected.partitions = Some(count),
                ("REPLICAS", Some(count)) => expected.replicas = Some(count),
                (name @ ("PARTITIONS" | "REPLICAS"), None) => {
                    let message = format!("property \"{name}\" has a value of the wrong kind");
                    let error = Diagnostic::new(PROPERTY_VALUE, message).at(property.value.span);
                    errors.push(error.detail("It takes a whole number."));
                }
                (name, _) => {
                    let message = format!("property \"{name}\" cannot be asserted of a topic");
                    let error = Diagnostic::new(UNKNOWN_PROPERTY, message).at(property.name.span);
                    errors.push(error.detail("PARTITIONS and REPLICAS can."));
                }
            }
        }
        if errors.is_empty() { Ok(expected) } else { Err(errors) }
    }

    /// The ways in which the topic differs from what is expected.
    fn differences(&self, found: Option<&TopicInfo>) -> Vec<Diagnostic> {
        let (name, span) = (&self.topic.value, self.topic.span);
        let Some(found) = found else {
            let missing = || Diagnostic::new(UNKNOWN_TOPIC, format!("topic \"{name}\" does not exist")).at(span);
            return self.exists.then(missing).into_iter().collect();
        };
        if !self.exists {
            return vec![Diagnostic::new(TOPIC_MISMATCH, format!("topic \"{name}\" exists")).at(span)];
        }
        let both = [("partitions", self.partitions, found.partitions), ("replicas", self.replicas, found.replicas)];
        let differing = both.into_iter().filter_map(|(what, wanted, found)| Some((what, wanted?, found)));
        let error = |(what, wanted, found)| {
            Diagnostic::new(TOPIC_MISMATCH, format!("topic \"{name}\" has {found} {what}, not {wanted}")).at(span)
        };
        differing.filter(|(_, wanted, found)| wanted != found).map(error).collect()
    }
}

/// Asks the cluster until the topic is as expected. After `patience`, fails with the differences. Blocks.
fn topic(admin: &dyn Admin, expected: &Expected, patience: Duration) -> Answered {
    let end = Instant::now() + patience;
    loop {
        let found = admin.topic(&expected.topic.value).map_err(|e| vec![transport(&e)])?;
        let differences = expected.differences(found.as_ref());
        let name = &expected.topic.value;
        match (differences.is_empty(), expected.exists) {
            (true, true) => return Ok(Answer::done(format!("Topic \"{name}\" is as asserted"))),
            (true, false) => return Ok(Answer::done(format!("Topic \"{name}\" does not exist, as asserted"))),
            _ if Instant::now() >= end => return Err(differences),
            _ => std::thread::sleep(PAUSE.min(patience)),
        }
    }
}
