//! What `help` says.

use clap::ValueEnum;

use crate::command::COMMANDS;
use crate::output::Output;

/// Statements to begin with, shown under the commands.
const STATEMENTS: &[(&str, &str)] = &[
    ("SHOW TOPICS;", "the topics of the cluster"),
    ("PRINT 'orders' FROM BEGINNING LIMIT 3;", "the records of a topic as they are"),
    (
        "CREATE STREAM orders (id STRING KEY, amount DECIMAL(9, 2))\n    WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');",
        "a topic as rows",
    ),
    ("SHOW STREAMS; SHOW TABLES; DESCRIBE orders;", "what has been declared"),
    ("SELECT * FROM orders ORDER BY ROWTIME DESC LIMIT 5;", "the newest rows"),
    ("SHOW FUNCTIONS; SHOW PROPERTIES; SHOW REJECTS;", "what there is to use, and what could not be read"),
];

/// The text for all commands, or for those whose name begins with `topic`.
pub fn text(topic: Option<&str>) -> String {
    let topic = topic.map(|topic| topic.trim_matches(['\'', '"']).to_ascii_lowercase());
    let Some(topic) = topic else { return everything() };
    let found: Vec<_> =
        COMMANDS.iter().filter(|(name, usage, _)| usage.starts_with(&topic) || topic.starts_with(name)).collect();
    if found.is_empty() {
        return format!("There is no command \"{topic}\".\n\n{}", everything());
    }
    found.iter().map(|(_, usage, does)| format!("{usage}\n    {does}")).collect::<Vec<_>>().join("\n")
}

/// The name under which `output` knows a format.
pub fn output_name(output: Output) -> String {
    output.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
}

fn everything() -> String {
    let width = COMMANDS.iter().map(|(_, usage, _)| usage.len()).max().unwrap_or(0);
    let commands = COMMANDS.iter().map(|(_, usage, does)| format!("  {usage:width$}  {does}\n"));
    let statements = STATEMENTS.iter().map(|(sql, does)| format!("  -- {does}\n  {sql}\n"));
    format!(
        "Statements end with `;` and may take several lines. Commands need no `;`:\n\n{}\nStatements to begin with:\n\n{}",
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
            assert!(!text(Some(name)).contains("There is no command"), "{name}");
        }
        assert!(text(Some("run script")).starts_with("run script 'file'"));
        assert!(text(Some("nothing")).starts_with("There is no command \"nothing\""));
        assert!(parse("help").is_some());
    }
}
