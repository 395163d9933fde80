//! The state of one user's session: properties, variables, and the last query's rejects.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_connectors::table::Progress;
use headwater_language::config::{Property, STATE_MEMORY, Settings, find, is_secret};
use headwater_language::diagnostic::{Diagnostic, PROPERTY_VALUE};
use headwater_language::sql::ast;

/// Properties that are fixed when the process starts.
const FIXED: [&str; 2] = ["service.id", STATE_MEMORY];

/// One user's session, which lasts as long as a shell or a script.
#[derive(Debug, Default)]
pub struct Session {
    settings: Settings,
    variables: BTreeMap<String, String>,
    last: Option<Arc<Progress>>,
}

impl Session {
    /// A session that starts with the settings of the process.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// The current properties.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The variables by their names in upper case.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Defines a variable. Names are case-insensitive.
    pub fn define_variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_uppercase(), value.to_owned());
    }

    /// The counters of the last query, for SHOW REJECTS.
    pub fn last_query(&self) -> Option<&Arc<Progress>> {
        self.last.as_ref()
    }

    pub(crate) fn remember(&mut self, progress: Arc<Progress>) {
        self.last = Some(progress);
    }

    /// Sets a property. Fails if it does not exist or the value is not allowed.
    pub(crate) fn set(&mut self, set: &ast::Assignment) -> Result<&'static Property, Vec<Diagnostic>> {
        check_changeable(&set.name)?;
        self.settings.set(&set.name, &set.value).map_err(|e| {
            let span = if e.code == PROPERTY_VALUE { set.value.span } else { set.name.span };
            // The line is not shown beside the error when it holds a password.
            vec![if is_secret(&set.name) { *e } else { e.at(span) }]
        })
    }

    /// Resets a property to its default.
    pub(crate) fn unset(&mut self, name: &ast::Spanned<String>) -> Result<&'static Property, Vec<Diagnostic>> {
        check_changeable(name)?;
        self.settings.unset(name).map_err(|e| vec![e.at(name.span)])
    }

    /// Removes a variable. Returns false if it does not exist.
    pub(crate) fn undefine_variable(&mut self, name: &str) -> bool {
        self.variables.remove(&name.to_uppercase()).is_some()
    }
}

/// Refuses a property that is fixed when the process starts, by any of its names.
fn check_changeable(name: &ast::Spanned<String>) -> Result<(), Vec<Diagnostic>> {
    let property = find(name).map_err(|e| vec![if is_secret(name) { *e } else { e.at(name.span) }])?;
    if !FIXED.contains(&property.name) {
        return Ok(());
    }
    let message = format!("property \"{}\" can only be set when the process starts", property.name);
    let hint = format!("Start with --set {}=…", property.name);
    Err(vec![Diagnostic::new(PROPERTY_VALUE, message).at(name.span).hint(hint)])
}
