//! Waiting for a log to go on, without reading it.

use std::time::Duration;

/// A bell that rings when something comes to one of the places it was hung at, a record or the marker of a transaction, and
/// when the log does not reach there any more. That a topic is gone is told elsewhere, by the group.
///
/// For who has read all there is and expects nothing soon: a source costs a client with its connections and threads, and all
/// bells of a transport share one. What came is found out by a source that is opened at the places.
pub trait Doorbell: Send {
    /// Waits at most `timeout` for the bell, and says whether it rang; once it has, it always does. It may ring for nothing;
    /// what came never goes unheard, but may be heard up to two seconds later in a bell's first moments.
    fn wait(&mut self, timeout: Duration) -> bool;
}
