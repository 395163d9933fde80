//! Why records are not being accepted. librdkafka retries what a broker may accept later, and after its timeout reports
//! only the timeout: the broker's reason is in a log line of librdkafka and nowhere else.

use super::errors::as_reason;

/// The log facility of such lines, and of a line for each batch that was accepted.
pub(super) const FACILITY: &str = "MSGSET";

/// The `debug` context that makes librdkafka write such lines, two for each request, once its log level includes them.
/// The level is raised while a writer waits for missing acknowledgements: the lines share a queue with the delivery
/// reports, from which few are taken at a time.
pub(super) const DEBUG: &str = "msg";

/// What a log line says about a batch of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BatchOutcome<'a> {
    /// The partition, as the line names it.
    pub partition: &'a str,
    /// Why the batch was not accepted and is being retried, as text that begins with the cause and ends with the
    /// broker; `None` if it was accepted.
    pub setback: Option<String>,
}

/// Parses a line of this facility: `[thrd:HOST:PORT/ID]: HOST:PORT/ID: TOPIC [P]: MessageSet with N message(s) …
/// encountered error: Broker: TEXT (actions Refresh,Retry)`, or the same with `delivered`. `None` for other lines.
pub(super) fn outcome(line: &str) -> Option<BatchOutcome<'_>> {
    let (subject, said) = line.split_once(": MessageSet with ")?;
    let (broker, partition) = subject.rsplit_once(": ")?;
    if said.ends_with("delivered") {
        return Some(BatchOutcome { partition, setback: None });
    }
    let (words, actions) = said.split_once(" encountered error: ")?.1.split_once(" (actions ")?;
    // A batch that is not retried fails with its own code.
    actions.contains("Retry").then(|| BatchOutcome { partition, setback: Some(cause(words, broker)) })
}

/// The log facility where librdkafka writes that a partition could not be added to a transaction. Its records are then
/// discarded and reported without a cause.
pub(super) const PARTITIONS: &str = "ADDPARTS";

/// The topic and partition that may not be written to, from a line of [`PARTITIONS`]: `[thrd:…]: HOST:PORT/ID: Failed
/// to add partition "TOPIC" [P] to transaction: Broker: Topic authorization failed`. `None` for other lines.
pub(super) fn denied(line: &str) -> Option<(&str, i32)> {
    let subject = line.split_once("Failed to add partition \"")?.1;
    let subject = subject.strip_suffix(" to transaction: Broker: Topic authorization failed")?;
    let (topic, partition) = subject.rsplit_once("\" [")?;
    Some((topic, partition.strip_suffix(']')?.parse().ok()?))
}

/// Formats the cause; `broker` ends with `HOST:PORT/ID`.
fn cause(words: &str, broker: &str) -> String {
    let fact = match words.contains("Disk error") {
        true => "disk full or broken".to_owned(),
        false => as_reason(words),
    };
    let node = broker.rsplit(": ").next().and_then(|name| name.rsplit_once('/'));
    match node {
        Some((address, id)) => format!("{fact} on broker {id} ({})", address.rsplit('/').next().unwrap_or(address)),
        None => fact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str, actions: &str) -> String {
        format!(
            "[thrd:sasl_ssl://b:9092/2]: sasl_ssl://b:9092/2: a.b [3]: MessageSet with 7 message(s) (MsgId 1, BaseSeq 0) \
             encountered error: {words} (actions {actions})"
        )
    }

    fn setback(line: &str) -> Option<String> {
        let said = outcome(line)?;
        assert_eq!(said.partition, "a.b [3]");
        said.setback
    }

    #[test]
    fn the_cause_comes_first_and_names_the_broker() {
        let disk = line("Broker: Disk error when trying to access log file on disk", "Refresh,Retry");
        assert_eq!(setback(&disk).as_deref(), Some("disk full or broken on broker 2 (b:9092)"));
        let replicas = line("Broker: Not enough in-sync replicas", "Retry,MsgNotPersisted");
        assert_eq!(setback(&replicas).as_deref(), Some("not enough in-sync replicas on broker 2 (b:9092)"));
    }

    #[test]
    fn a_missing_permission_is_reported_with_its_partition() {
        let line =
            |words: &str| format!("[thrd:b:1/1]: b:1/1: Failed to add partition \"a.b\" [3] to transaction: {words}");
        assert_eq!(denied(&line("Broker: Topic authorization failed")), Some(("a.b", 3)));
        assert_eq!(denied(&line("Broker: Operation not attempted")), None);
    }

    #[test]
    fn batches_that_are_not_retried_and_other_lines_are_not_setbacks() {
        assert_eq!(outcome(&line("Broker: Message size too large", "Permanent,MsgNotPersisted")), None);
        let taken = "[thrd:b:1/1]: b:1/1: t [0]: MessageSet with 5 message(s) (MsgId 1, BaseSeq 0) delivered";
        assert_eq!(outcome(taken), Some(BatchOutcome { partition: "t [0]", setback: None }));
        assert_eq!(outcome("[thrd:b:1/1]: b:1/1: t [0]: Produce MessageSet with 5 message(s) (90 bytes, …)"), None);
    }
}
