//! A question to the cluster whose answer everyone gets who asked before it was put.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// The answer to the question that was put last.
pub(super) struct SharedQuestion<T> {
    /// How often the question was put.
    put: AtomicU64,
    /// Locked while the cluster is asked: the number of the question, and its answer.
    answered: Mutex<Option<(u64, T)>>,
}

impl<T: Clone> SharedQuestion<T> {
    /// Nothing was asked yet.
    pub(super) fn new() -> Self {
        Self { put: AtomicU64::new(0), answered: Mutex::new(None) }
    }

    /// An answer to a question that was put after this call began: by another caller who waited, too, or else with `ask`.
    pub(super) async fn ask(&self, ask: impl Future<Output = T>) -> T {
        let before = self.put.load(Ordering::SeqCst);
        let mut answered = self.answered.lock().await;
        match &*answered {
            Some((number, answer)) if *number > before => answer.clone(),
            _ => {
                let number = self.put.fetch_add(1, Ordering::SeqCst) + 1;
                let answer = ask.await;
                *answered = Some((number, answer.clone()));
                answer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    /// Goal: nobody gets an answer to a question that was put before he asked. Method: callers that ask before and while the
    /// first question is being answered.
    #[tokio::test]
    async fn those_who_wait_share_the_next_answer() {
        let (question, gate) = (Arc::new(SharedQuestion::new()), Arc::new(Notify::new()));
        let (asked, held) = (question.clone(), gate.clone());
        let first = tokio::spawn(async move {
            asked
                .ask(async {
                    held.notified().await;
                    1
                })
                .await
        });
        while question.put.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let later: Vec<_> = (2..5)
            .map(|answer| {
                let question = question.clone();
                tokio::spawn(async move { question.ask(async move { answer }).await })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.notify_one();
        assert_eq!(first.await.expect("it ends"), 1);
        for later in later {
            assert_eq!(later.await.expect("it ends"), 2, "the first of them asks for all");
        }
        assert_eq!(question.put.load(Ordering::SeqCst), 2);
        assert_eq!(question.ask(async { 9 }).await, 9);
    }
}
