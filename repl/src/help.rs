//! The text of the `help` command.

use clap::ValueEnum;

use crate::command::COMMANDS;
use crate::output::Output;

/// Statements to start with, shown below the commands.
const STATEMENTS: &[(&str, &str)] = &[
    ("SHOW TOPICS;", "the topics of the cluster"),
    ("PRINT 'orders' FROM BEGINNING LIMIT 3;", "the raw records of a topic"),
    (
        "CREATE STREAM orders (id STRING KEY, amount DECIMAL(9, 2))\n    WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');",
        "declares a topic as a stream",
    ),
    ("SHOW STREAMS; SHOW TABLES; DESCRIBE orders;", "the streams and tables, and the columns of one"),
    ("SELECT * FROM orders ORDER BY ROWTIME DESC LIMIT 5;", "the newest rows"),
    (
        "CREATE TABLE hourly AS SELECT id, SUM(amount) AS total\n    FROM orders WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY id;",
        "a table that a continuous query keeps up to date",
    ),
    (
        "SHOW FUNCTIONS; SHOW PROPERTIES; SHOW REJECTS;",
        "the functions, the settings, and the records that could not be read",
    ),
];

/// The text for all commands, or for those whose name begins with `topic`.
pub fn text(topic: Option<&str>) -> String {
    let topic = topic.map(|topic| topic.trim_matches(['\'', '"']).to_ascii_lowercase());
    let Some(topic) = topic else { return everything() };
    let found: Vec<_> =
        COMMANDS.iter().filter(|(name, usage, _)| usage.starts_with(&topic) || topic.starts_with(name)).collect();
    if found.is_empty() {
        return format!("Command \"{topic}\" does not exist.\n\n{}", everything());
    }
    found.iter().map(|(_, usage, does)| format!("{usage}\n    {does}")).collect::<Vec<_>>().join("\n")
}

/// The name of a format in the `output` command.
pub fn output_name(output: Output) -> String {
    output.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
}

fn everything() -> String {
    let width = COMMANDS.iter().map(|(_, usage, _)| usage.len()).max().unwrap_or(0);
    let commands = COMMANDS.iter().map(|(_, usage, does)| format!("  {usage:width$}  {does}\n"));
    let statements = STATEMENTS.iter().map(|(sql, does)| format!("  -- {does}\n  {sql}\n"));
    format!(
        "Statements end with `;` and may span several lines. Commands need no `;`:\n\n{}\nStatements to start with:\n\n{}",
        commands.collect::<String>(),
        statements.collect::<String>().trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parse;

    #[test]
    fn every_command_is_explained() {
        let all = text(None);
        for (name, usage, _) in COMMANDS {
            assert!(all.contains(usage));
            assert!(!text(Some(name)).contains("does not exist"), "{name}");
        }
        assert!(text(Some("run script")).starts_with("run script 'file'"));
        assert!(text(Some("nothing")).starts_with("Command \"nothing\" does not exist"));
        assert!(parse("help").is_some());
    }
}
