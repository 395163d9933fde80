//! Someone who asks a process for something while all the faults happen. What is answered must be right: an answer is
//! wrong only by being an error that was planned.

use headwater_engine::config::Settings;
use headwater_engine::{Engine, Session};
use rand::Rng as _;
use rand::rngs::StdRng;

use super::judge::{self, messages, sorted};

/// Something to be asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    /// The input since some time.
    Rows {
        /// In ms.
        since_ms: i64,
    },
    /// What there is and how it is.
    Show(&'static str),
    /// A stream of the user's own, with its topic.
    Create(u32),
    /// The end of it, with its topic.
    Drop(u32),
    /// A record of its own.
    Insert(u32),
}

impl Wish {
    /// A wish by chance.
    pub(super) fn draw(chance: &mut StdRng, now_ms: i64) -> Self {
        let stream = chance.random_range(0..3);
        match chance.random_range(0..8) {
            0..3 => Self::Rows { since_ms: chance.random_range(0..=now_ms) },
            3 => Self::Show("SHOW TOPICS EXTENDED;"),
            4 => Self::Show("DESCRIBE first EXTENDED;"),
            5 => Self::Create(stream),
            6 => Self::Insert(stream),
            _ => Self::Drop(stream),
        }
    }

    /// Asks an engine under faults. Fails when the answer differs from that of an engine without, and on an error that
    /// was not planned.
    pub(super) async fn ask(self, faulty: &Engine, sound: &Engine) -> Result<(), String> {
        let statement = self.statement();
        let answer = match self {
            Self::Rows { .. } => rows(faulty, sound, &statement).await?,
            _ => other(faulty, &statement).await,
        };
        match answer {
            Err(errors) if !errors.iter().all(|error| self.may_say(error)) => Err(format!("{statement} {errors:?}")),
            _ => Ok(()),
        }
    }

    fn statement(self) -> String {
        match self {
            Self::Rows { since_ms } => {
                format!("SELECT k AS key, n AS value, ROWPARTITION, ROWOFFSET FROM s WHERE ROWTIME >= {since_ms};")
            }
            Self::Show(statement) => statement.to_owned(),
            Self::Create(n) => {
                format!("CREATE STREAM u{n} (a INT) WITH (KAFKA_TOPIC='u{n}', PARTITIONS=1, VALUE_FORMAT='JSON');")
            }
            Self::Drop(n) => format!("DROP STREAM u{n} DELETE TOPIC;"),
            Self::Insert(n) => format!("INSERT INTO u{n} (a) VALUES (1);"),
        }
    }

    /// Whether an error is one that faults explain: a statement that failed may have been done, in part or entirely.
    fn may_say(self, error: &str) -> bool {
        let follows: &[&str] = match self {
            Self::Rows { .. } | Self::Show(_) => &[],
            Self::Create(_) => &["exists"],
            Self::Drop(_) | Self::Insert(_) => &["does not exist"],
        };
        error.ends_with("as planned") || follows.iter().any(|words| error.contains(words))
    }
}

/// The errors of a query; fails when its rows are others than those without faults.
async fn rows(faulty: &Engine, sound: &Engine, statement: &str) -> Result<Result<(), Vec<String>>, String> {
    let found = match judge::rows(faulty, statement).await {
        Ok(found) => found,
        Err(errors) => return Ok(Err(errors)),
    };
    let wanted = judge::rows(sound, statement).await.map_err(|errors| errors.join("; "))?;
    match sorted(&found) == sorted(&wanted) {
        true => Ok(Ok(())),
        false => Err(format!("{statement} gave {} rows under faults and {} without", found.len(), wanted.len())),
    }
}

async fn other(engine: &Engine, statement: &str) -> Result<(), Vec<String>> {
    let mut session = Session::new(Settings::default());
    engine.ask(&mut session, statement).await.map(drop).map_err(messages)
}
