//! Why the command topic cannot be followed any more, and what is to be done about it.
//!
//! Running queries go on; nothing is started or changed until a person has decided.

use headwater_language::diagnostic::{COMMAND_TOPIC, Diagnostic, NEWER_COMMAND};

/// What is wrong with the command topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It was read, and does not exist any more.
    Missing,
    /// It ends before what was read of it.
    Shrunk,
    /// What was read of it is not what is there now.
    Recreated,
    /// The commands before this offset were deleted. `known` when this process has read them.
    Truncated {
        /// First offset that exists.
        start: i64,
        /// This process read the commands while they were there.
        known: bool,
    },
    /// A newer version of Headwater wrote a command, which this one cannot apply.
    Newer {
        /// Its offset.
        offset: i64,
        /// What of it is not understood.
        why: String,
    },
}

impl Fault {
    /// True when this process lacks definitions, so that what it says of the catalog would be wrong.
    pub fn hides_definitions(&self) -> bool {
        matches!(self, Self::Truncated { known: false, .. })
    }

    /// True when nothing that the cluster does later can mend it for this process.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Newer { .. } | Self::Recreated)
    }

    /// What a user is told whose statement needs this topic.
    pub fn diagnostic(&self, topic: &str) -> Diagnostic {
        let anew = "To begin anew, stop all processes of this service id, delete the topic if it exists, and define what \
                    is to exist again, as with headwater run FILE.";
        let goes_on = "Queries that run in this process go on; nothing is started or changed.";
        let (code, message, detail, hint) = match self {
            Self::Missing => (
                COMMAND_TOPIC,
                format!("the command topic \"{topic}\" was deleted"),
                goes_on.to_owned(),
                format!("Restart this process to take the definitions as gone. {anew}"),
            ),
            Self::Shrunk | Self::Recreated => (
                COMMAND_TOPIC,
                format!("the command topic \"{topic}\" was deleted and created again, or lost its last commands"),
                goes_on.to_owned(),
                "Restart this process to take the definitions that the topic has now.".to_owned(),
            ),
            Self::Truncated { start, known } => {
                let lost = "A process that starts now cannot know which definitions were in them.";
                let detail = if *known { format!("{lost} {goes_on}") } else { format!("{lost} It runs nothing.") };
                let message = format!("commands before offset {start} of the command topic \"{topic}\" were deleted");
                (COMMAND_TOPIC, message, detail, anew.to_owned())
            }
            Self::Newer { offset, why } => (
                NEWER_COMMAND,
                format!("a newer version of Headwater wrote offset {offset} of the command topic \"{topic}\""),
                format!("This process does not understand the command: {why}. {goes_on}"),
                "Upgrade this process.".to_owned(),
            ),
        };
        Diagnostic::new(code, message).detail(detail).hint(hint)
    }
}
