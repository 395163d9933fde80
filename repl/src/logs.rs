//! The log on standard error: warnings, unless more is asked for.

use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, as `warn` or `headwater=debug,rdkafka=info`.
pub const VARIABLE: &str = "HEADWATER_LOG";

/// Begins to log. `wanted` is the value of [`VARIABLE`]; without it `verbosity` decides: 0 warnings,
/// 1 changes of state, 2 decisions. Fails in words when `wanted` cannot be understood.
pub fn start(wanted: Option<&str>, verbosity: u8, color: bool) -> Result<(), String> {
    let directives = wanted.filter(|text| !text.is_empty()).unwrap_or_else(|| directives(verbosity));
    let filter = EnvFilter::try_new(directives).map_err(|error| format!("{VARIABLE} is not understood: {error}"))?;
    // A subscriber that is there already was set by a test.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color).try_init();
    Ok(())
}

fn directives(verbosity: u8) -> &'static str {
    match verbosity {
        0 => "warn",
        1 => {
            "warn,headwater=info,headwater_repl=info,headwater_engine=info,headwater_connectors=info,headwater_broker=info"
        }
        _ => {
            "info,headwater=debug,headwater_repl=debug,headwater_engine=debug,headwater_connectors=debug,headwater_broker=debug"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_must_be_understood() {
        assert!(start(Some("=x=y="), 0, false).unwrap_err().starts_with("HEADWATER_LOG is not understood"));
        for verbosity in 0..3 {
            assert!(EnvFilter::try_new(directives(verbosity)).is_ok());
        }
    }
}
