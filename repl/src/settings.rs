//! How results are shown: the settings that `output` and `set cli` change.

use crate::command::CliSetting;
use crate::output::Output;

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The output format.
    pub output: Output,
    /// Whether long cells are wrapped.
    pub wrap: bool,
    /// A width for every column; `None` to fit the contents.
    pub column_width: Option<usize>,
    /// Whether long results go through the pager.
    pub pager: bool,
}

impl Settings {
    /// The initial settings of a shell.
    pub fn new(output: Output) -> Self {
        Self { output, wrap: true, column_width: None, pager: true }
    }

    /// Changes one setting and returns a message about it.
    pub fn apply(&mut self, setting: CliSetting) -> String {
        let on = |on| if on { "on" } else { "off" };
        match setting {
            CliSetting::Wrap(wrap) => {
                self.wrap = wrap;
                format!("Wrapping is {}.", on(wrap))
            }
            CliSetting::Pager(pager) => {
                self.pager = pager;
                format!("The pager is {}.", on(pager))
            }
            CliSetting::ColumnWidth(width) => {
                self.column_width = width;
                width.map_or("Columns fit their contents.".into(), |width| {
                    format!("Columns are {width} characters wide.")
                })
            }
        }
    }
}
