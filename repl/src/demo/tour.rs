//! The tour of the demo: statements with a title, run and shown one after the other.
//!
//! Each page is a file of `queries/demo`: its first comment is the title, the rest is what a user would type. They are
//! files so that people can run and change them, and so that tests check them.

use std::io;

use crate::session::{Session, Stop};

/// The pages in the order in which they are shown.
pub const PAGES: &[&str] = &[
    include_str!("../../../queries/demo/01-topics.sql"),
    include_str!("../../../queries/demo/02-declare.sql"),
    include_str!("../../../queries/demo/03-newest.sql"),
    include_str!("../../../queries/demo/04-structs.sql"),
    include_str!("../../../queries/demo/05-group.sql"),
    include_str!("../../../queries/demo/06-join.sql"),
    include_str!("../../../queries/demo/07-explode.sql"),
    include_str!("../../../queries/demo/08-window.sql"),
    include_str!("../../../queries/demo/09-rejects.sql"),
    include_str!("../../../queries/demo/10-live.sql"),
    include_str!("../../../queries/demo/11-enrich.sql"),
    include_str!("../../../queries/demo/12-pull.sql"),
];

/// Runs the tour. Ctrl-C skips the rest of a page.
pub fn tour(session: &mut Session) -> Result<(), Stop> {
    for (index, page) in PAGES.iter().enumerate() {
        let (title, sql) = parts(page);
        if let Err(error) = show(session, index + 1, title, sql) {
            tracing::debug!(%error, "the tour could not be shown");
            return Err(Stop::Closed);
        }
        match session.run_text(sql) {
            Ok(()) | Err(Stop::Exit) => {}
            Err(Stop::Interrupted) if session.screen.size().is_some() => {}
            Err(stop) => return Err(stop),
        }
    }
    Ok(())
}

fn show(session: &mut Session, number: usize, title: &str, sql: &str) -> io::Result<()> {
    if !session.settings.output.is_for_people() {
        return Ok(());
    }
    session.screen.say(&format!("\n{number}/{}  {title}\n", PAGES.len()))?;
    sql.lines().try_for_each(|line| session.screen.say(&format!("    {line}")))?;
    session.screen.say("")
}

/// The title and the statements of a file.
fn parts(file: &str) -> (&str, &str) {
    let (title, sql) = file.split_once('\n').unwrap_or((file, ""));
    (title.trim_start_matches('-').trim(), sql.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Item, Script};

    #[test]
    fn every_page_has_a_title_and_statements() {
        for page in PAGES {
            assert!(page.starts_with("-- "), "{page}");
            let (title, sql) = parts(page);
            assert!(!title.is_empty());
            let mut script = Script::whole(sql);
            let mut items = std::iter::from_fn(|| script.next_item()).peekable();
            assert!(items.peek().is_some(), "{title}");
            assert!(
                items.all(|item| matches!(item, Item::Statement { ref text, .. } if text.ends_with(';'))),
                "{title}"
            );
        }
    }
}
