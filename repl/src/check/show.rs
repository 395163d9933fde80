//! Answers as plain text for test files: independent of the terminal, of timing and of the division into batches.

use arrow::array::RecordBatch;
use arrow::util::display::FormatOptions;
use arrow::util::pretty::pretty_format_batches_with_options;
use futures::{StreamExt, TryStreamExt};
use headwater_engine::answer::Answer;
use headwater_engine::diagnostic::Diagnostic;

use super::file::RULE;
use crate::output::facts::sections;
use crate::output::section::Section;

/// The text of an answer. Waits until it is complete; fails if its rows end early.
pub(super) async fn text(answer: Answer) -> Result<String, Vec<Diagnostic>> {
    Ok(match answer {
        Answer::Done { message, warnings } => {
            let warnings = warnings.iter().map(|w| format!("warning: {w}"));
            std::iter::once(message).chain(warnings).collect::<Vec<_>>().join("\n")
        }
        Answer::Facts(facts) => sections(&facts).iter().map(section).collect(),
        Answer::Lines(lines) => lines.try_collect::<Vec<_>>().await?.join("\n"),
        Answer::Rows(mut rows) => {
            let mut batches = vec![RecordBatch::new_empty(rows.stream.schema())];
            while let Some(batch) = rows.stream.next().await {
                batches.push(batch.map_err(|error| headwater_engine::failure::diagnose(&error, None))?);
            }
            let rejects = rows.progress.snapshot().rejects;
            // NULL and an empty string look different.
            let options = FormatOptions::default().with_null("null");
            let table = pretty_format_batches_with_options(&batches, &options);
            let table = table.map_err(|e| headwater_engine::failure::diagnose(&e.into(), None))?.to_string();
            if rejects == 0 { table } else { format!("{table}\n{rejects} rejected") }
        }
    })
}

fn section(section: &Section) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    section.title.iter().for_each(|title| line(title));
    line(&section.columns.join(" | "));
    section.rows.iter().for_each(|row| line(&row.join(" | ")));
    section.text.iter().for_each(|text| line(text));
    out
}

/// Makes an answer fit into a file: it has no empty line, which would end it, no `----`, which would begin another
/// answer, and no trailing white space, which editors remove.
pub(super) fn fit(text: &str) -> String {
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.map(|line| if line == RULE { "\\----" } else { line }).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_no_line_that_ends_it() {
        assert_eq!(fit("a \n\n \n----\n b\n"), "a\n\\----\n b");
    }
}
