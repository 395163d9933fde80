//! The topic behind a declaration: there already, or made with it.

use headwater_connectors::transport::{Admin, NewTopic, TransportError, TransportErrorKind};

use crate::diagnostic::{Diagnostic, MISSING_PROPERTY, Span, TOPIC_MISMATCH, transport};
use crate::planner::define::{Definition, WantedTopic};

/// Makes sure that the topic of a definition exists as it was declared. Blocks.
pub fn ensure(admin: &dyn Admin, definition: &Definition, name: Span) -> Result<(), Vec<Diagnostic>> {
    let topic = &definition.source.topic;
    let found = admin.topic(topic).map_err(|e| vec![transport(&e)])?;
    match (found, &definition.topic) {
        (Some(found), Some(wanted)) => check(topic, &found, wanted),
        (Some(_), None) => Ok(()),
        (None, Some(wanted)) => match make(admin, &new_topic(topic, wanted)).map_err(|e| vec![transport(&e)])? {
            true => Ok(()),
            // What the faster one made must be what is wanted here.
            false => ensure(admin, definition, name),
        },
        (None, None) => {
            let message = format!("topic \"{topic}\" does not exist");
            let detail = "It is made with the declaration when PARTITIONS says how many it shall have.";
            let hint = format!("Add PARTITIONS: … WITH (KAFKA_TOPIC='{topic}', PARTITIONS=1, …);");
            Err(vec![Diagnostic::new(MISSING_PROPERTY, message).at(name).detail(detail).hint(hint)])
        }
    }
}

/// Makes a topic unless it is there, also when another process is faster. Blocks.
pub fn make_if_missing(admin: &dyn Admin, topic: &NewTopic) -> Result<(), TransportError> {
    if admin.topic(&topic.name)?.is_some() {
        return Ok(());
    }
    make(admin, topic).map(drop)
}

/// False when another process was faster.
fn make(admin: &dyn Admin, topic: &NewTopic) -> Result<bool, TransportError> {
    match admin.create_topic(topic) {
        Err(error) if error.kind == TransportErrorKind::TopicExists => Ok(false),
        made => made.map(|()| true),
    }
}

fn check(
    topic: &str,
    found: &headwater_connectors::transport::TopicInfo,
    wanted: &WantedTopic,
) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut differs = |what: &str, there: i32, said: i32| {
        if there != said {
            let message = format!("topic \"{topic}\" exists with {there} {what}, not {said}");
            let hint = format!("Leave {} out, or say {there}.", what.to_uppercase());
            errors.push(Diagnostic::new(TOPIC_MISMATCH, message).at(wanted.span).hint(hint));
        }
    };
    differs("partitions", found.partitions, wanted.partitions);
    if let Some(replicas) = wanted.replicas {
        differs("replicas", found.replicas, replicas);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn new_topic(name: &str, wanted: &WantedTopic) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: wanted.partitions,
        replicas: wanted.replicas,
        settings: wanted.settings.clone(),
    }
}
