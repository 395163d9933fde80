//! How long a kill has kept the clients from working.

use std::fmt;
use std::time::Duration;

/// A kill, and the times from it.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// Number of acknowledged records when the broker was killed.
    pub acknowledged: usize,
    /// Time from the kill until the new broker accepted connections.
    pub start: Duration,
    /// Time from then to the next acknowledgement.
    pub acknowledgement: Duration,
    /// Time from then to the next committed transaction.
    pub commit: Duration,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, start, acknowledgement, commit } = self;
        let [start, acknowledgement, commit] = [start, acknowledgement, commit].map(Duration::as_secs_f64);
        write!(
            f,
            "killed after {acknowledged} acknowledgements, up again after {start:.2} s; next acknowledgement \
             {acknowledgement:.2} s and next commit {commit:.2} s later"
        )
    }
}

/// The outages of all runs.
#[derive(Debug, Default)]
pub struct Outages(pub Vec<Outage>);

impl fmt::Display for Outages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |time: fn(&Outage) -> Duration| median_and_max(self.0.iter().map(time).collect());
        let [start, acknowledgement, commit] =
            [of(|one| one.start), of(|one| one.acknowledgement), of(|one| one.commit)];
        write!(
            f,
            "from the kill until the broker was up: {start}; from then to the next acknowledgement: {acknowledgement}; to the \
             next commit: {commit}"
        )
    }
}

fn median_and_max(mut times: Vec<Duration>) -> String {
    times.sort();
    let [median, max] = [times.get(times.len() / 2), times.last()].map(|time| time.map_or(0.0, Duration::as_secs_f64));
    format!("median {median:.2} s, max {max:.2} s")
}
