//! Windowed tables that one program wrote and the other one reads: Kafka Streams with its own deserializers, Headwater as a table
//! over the topic.

use std::error::Error;
use std::process::Command;

use headwater_tests::binary;

use crate::query::{Query, SIZE_MS};
use crate::streams::Peer;
use crate::totals::Totals;

/// Has Kafka Streams read a table that Headwater wrote. Fails if it finds something else.
pub fn streams_reads(
    peer: &Peer,
    bootstrap: &str,
    topic: &str,
    query: Query,
    expected: &Totals,
) -> Result<(), Box<dyn Error>> {
    let command = peer.reading(bootstrap, topic, query);
    let found = output(Command::new(&command[0]).args(&command[1..]))?;
    let found: serde_json::Value = serde_json::from_str(found.trim())?;
    compare("Kafka Streams", topic, [&found["windows"], &found["n"], &found["s"]], expected)
}

/// Has Headwater read a table that Kafka Streams wrote. Fails if it finds something else.
pub fn headwater_reads(bootstrap: &str, topic: &str, query: Query, expected: &Totals) -> Result<(), Box<dyn Error>> {
    let window = match query {
        Query::Session => "WINDOW_TYPE = 'SESSION'".to_owned(),
        Query::Hopping => format!("WINDOW_TYPE = 'HOPPING', WINDOW_SIZE = '{SIZE_MS} MILLISECONDS'"),
        _ => format!("WINDOW_TYPE = 'TUMBLING', WINDOW_SIZE = '{SIZE_MS} MILLISECONDS'"),
    };
    let statements = format!(
        "CREATE TABLE other (id BIGINT PRIMARY KEY, n BIGINT, s BIGINT) WITH (KAFKA_TOPIC = '{topic}', KEY_FORMAT = 'KAFKA', \
         VALUE_FORMAT = 'JSON', {window}); SELECT COUNT(*) AS w, SUM(n) AS n, SUM(s) AS s FROM other;"
    );
    let place = ["--bootstrap-server", bootstrap, "--service-id", topic, "--output", "json", "-e", &statements];
    let found = output(Command::new(binary::headwater()).args(place))?;
    let row = found.lines().find(|line| line.starts_with('{')).ok_or_else(|| format!("no row in {found}"))?;
    let row: serde_json::Value = serde_json::from_str(row)?;
    compare("Headwater", topic, [&row["W"], &row["N"], &row["S"]], expected)
}

fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(format!("{command:?}: {stderr}").into())
    }
}

fn compare(who: &str, topic: &str, found: [&serde_json::Value; 3], expected: &Totals) -> Result<(), Box<dyn Error>> {
    let (windows, [n, s]) = expected.all();
    let expected = [i64::try_from(windows)?, n, s];
    match found.iter().zip(expected).all(|(found, expected)| found.as_i64() == Some(expected)) {
        true => Ok(()),
        false => Err(format!("{who} reads {found:?} from {topic}, not {expected:?}").into()),
    }
}
