//! A user who runs statements while faults happen. Every answer must be correct; the only errors allowed are planned
//! ones.

use headwater_engine::config::Settings;
use headwater_engine::{Engine, Session};
use rand::Rng as _;
use rand::rngs::StdRng;

use super::judge::{self, messages, sorted};

/// A statement of the user.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    /// The input since some time.
    Rows {
        /// Start in ms.
        since_ms: i64,
    },
    /// A SHOW or DESCRIBE statement.
    Show(&'static str),
    /// Creates a stream, with its topic.
    Create(u32),
    /// Drops the stream, with its topic.
    Drop(u32),
    /// Inserts a record into the stream.
    Insert(u32),
}

impl Wish {
    /// A random statement.
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

    /// Runs the statement on an engine with faults. Fails when the answer differs from that of an engine without
    /// faults, or when an error was not planned.
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

    /// Whether faults explain an error: a statement that failed may have been executed partly or completely.
    fn may_say(self, error: &str) -> bool {
        let follows: &[&str] = match self {
            Self::Rows { .. } | Self::Show(_) => &[],
            Self::Create(_) => &["exists"],
            Self::Drop(_) | Self::Insert(_) => &["does not exist"],
        };
        error.ends_with("as planned") || follows.iter().any(|words| error.contains(words))
    }
}

/// The errors of a query; fails when its rows differ from those without faults.
async fn rows(faulty: &Engine, sound: &Engine, statement: &str) -> Result<Result<(), Vec<String>>, String> {
    let found = match judge::rows(faulty, statement).await {
        Ok(found) => found,
        Err(errors) => return Ok(Err(errors)),
    };
    let wanted = judge::rows(sound, statement).await.map_err(|errors| errors.join("; "))?;
    match sorted(&found) == sorted(&wanted) {
        true => Ok(Ok(())),
        false => Err(format!("{statement} returned {} rows with faults and {} without", found.len(), wanted.len())),
    }
}

async fn other(engine: &Engine, statement: &str) -> Result<(), Vec<String>> {
    let mut session = Session::new(Settings::default());
    engine.ask(&mut session, statement).await.map(drop).map_err(messages)
}
