//! Properties as people write them: the `name=value` lines of a file and of `--set`.
//!
//! The file is a Java properties file without the rarer escapes, so that a ksqlDB server's file can be read: `#` and
//! `!` begin comments, `=` or `:` separates name and value, and a `\` at the end continues the line.

use std::path::Path;

/// The properties of a file, in order.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("could not read \"{}\": {error}", path.display()))?;
    parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// One `name=value` argument.
pub fn pair(argument: &str) -> Result<(String, String), String> {
    let (name, value) =
        argument.split_once('=').ok_or_else(|| format!("\"{argument}\" is not of the form name=value"))?;
    let name = name.trim();
    if name.is_empty() {
        return Err(format!("\"{argument}\" has no name before the ="));
    }
    Ok((name.to_string(), value.trim().to_string()))
}

fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let mut line = line.trim().to_string();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while line.ends_with('\\') {
            line.pop();
            let Some((_, next)) = lines.next() else { break };
            line.push_str(next.trim());
        }
        found.push(named(&line).ok_or_else(|| format!("line {} is not of the form name=value", index + 1))?);
    }
    Ok(found)
}

fn named(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(['=', ':'])?;
    let name = name.trim();
    (!name.is_empty()).then(|| (name.to_string(), value.trim().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_properties() {
        let text = "# cluster\nbootstrap.servers = a:1,\\\n   b:2\n! old\n\nkafka.sasl.password: x=y:z\nempty=\n";
        let expected = [("bootstrap.servers", "a:1,b:2"), ("kafka.sasl.password", "x=y:z"), ("empty", "")];
        let expected = expected.map(|(name, value)| (name.to_string(), value.to_string()));
        assert_eq!(parse(text), Ok(expected.to_vec()));
        assert_eq!(parse("a=1\nwhat\n"), Err("line 2 is not of the form name=value".into()));
        assert_eq!(parse("=1"), Err("line 1 is not of the form name=value".into()));
    }

    #[test]
    fn an_argument() {
        assert_eq!(pair("a = b=c"), Ok(("a".into(), "b=c".into())));
        assert!(pair("a").is_err());
        assert!(pair("=b").is_err());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nowhere/x.properties")).unwrap_err();
        assert!(error.starts_with("could not read \"/nowhere/x.properties\""), "{error}");
    }
}
