//! Why the command topic can no longer be followed, and what to do about it.
//!
//! Running queries continue; nothing is started or changed until an operator has decided what to do.

use headwater_language::diagnostic::{COMMAND_TOPIC, Diagnostic, NEWER_COMMAND};

/// What is wrong with the command topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The topic was read and no longer exists.
    Missing,
    /// The topic ends before the last record that was read.
    Shrunk,
    /// The topic contains other records than those that were read.
    Recreated,
    /// The first commands were deleted.
    Truncated {
        /// The first offset that still exists.
        start: i64,
        /// This process read the commands before they were deleted.
        known: bool,
    },
    /// A newer version of Headwater wrote a command that this one cannot apply.
    Newer {
        /// Offset of the command.
        offset: i64,
        /// What is not understood about it.
        why: String,
    },
}

impl Fault {
    /// True when this process lacks definitions, so that its catalog would be wrong.
    pub fn hides_definitions(&self) -> bool {
        matches!(self, Self::Truncated { known: false, .. })
    }

    /// True when nothing that happens in the cluster later can repair it for this process.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Newer { .. } | Self::Recreated)
    }

    /// The error of a statement that needs this topic.
    pub fn diagnostic(&self, topic: &str) -> Diagnostic {
        let start_over = "To start over, stop all processes of this service id, delete the topic if it exists, and run your \
                          definitions again, for example with headwater run FILE.";
        let continues = "Queries that run in this process continue; nothing is started or changed.";
        let (code, message, detail, hint) = match self {
            Self::Missing => (
                COMMAND_TOPIC,
                format!("the command topic \"{topic}\" was deleted"),
                continues.to_owned(),
                format!("Restart this process to accept that the definitions are gone. {start_over}"),
            ),
            Self::Shrunk | Self::Recreated => (
                COMMAND_TOPIC,
                format!("the command topic \"{topic}\" was deleted and created again, or lost its last commands"),
                continues.to_owned(),
                "Restart this process to load the definitions that the topic has now.".to_owned(),
            ),
            Self::Truncated { start, known } => {
                let lost = "A process that starts now cannot know which definitions were in them.";
                let detail = if *known { format!("{lost} {continues}") } else { format!("{lost} It runs nothing.") };
                let message = format!("commands before offset {start} of the command topic \"{topic}\" were deleted");
                (COMMAND_TOPIC, message, detail, start_over.to_owned())
            }
            Self::Newer { offset, why } => (
                NEWER_COMMAND,
                format!("a newer version of Headwater wrote offset {offset} of the command topic \"{topic}\""),
                format!("This process does not understand the command: {why}. {continues}"),
                "Upgrade this process.".to_owned(),
            ),
        };
        Diagnostic::new(code, message).detail(detail).hint(hint)
    }
}
