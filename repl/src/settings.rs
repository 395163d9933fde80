//! How results are shown: what `output` and `set cli` change.

use crate::command::CliSetting;
use crate::output::Output;

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The format.
    pub output: Output,
    /// Whether long cells go on in the next line.
    pub wrap: bool,
    /// A width for every column; `None` measures.
    pub column_width: Option<usize>,
    /// Whether long results go through the pager.
    pub pager: bool,
}

impl Settings {
    /// What a shell begins with.
    pub fn new(output: Output) -> Self {
        Self { output, wrap: true, column_width: None, pager: true }
    }

    /// Changes one thing and says so.
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
                width.map_or("Columns are measured.".into(), |width| format!("Columns are {width} wide."))
            }
        }
    }
}
