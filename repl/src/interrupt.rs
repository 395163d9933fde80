//! Ctrl-C as a value that can be awaited, so that it stops the running statement and not the process.
//!
//! The process handles the signal from its start to its end. At the prompt, the terminal delivers Ctrl-C as a key and
//! no signal is sent.

use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Receives Ctrl-C.
#[derive(Clone, Debug)]
pub struct Interrupt {
    presses: watch::Receiver<u64>,
}

/// Sends Ctrl-C, for tests.
#[derive(Debug)]
pub struct Presser(watch::Sender<u64>);

impl Interrupt {
    /// Listens for Ctrl-C on a separate thread, because the threads of queries may all be busy. A service also treats
    /// SIGTERM and SIGHUP as a request to end, from its start. Fails if the signals cannot be handled.
    pub fn listen(is_service: bool) -> io::Result<Self> {
        let (presser, interrupt) = Self::pair();
        let listening = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut kinds = vec![SignalKind::interrupt()];
        if is_service {
            kinds.extend([SignalKind::terminate(), SignalKind::hangup()]);
        }
        let mut signals: Vec<Signal> = {
            let _inside = listening.enter();
            kinds.into_iter().map(signal).collect::<io::Result<_>>()?
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            listening.block_on(async {
                while heard(&mut signals).await {
                    presser.press();
                }
            });
        })?;
        Ok(interrupt)
    }

    /// An instance that only receives what its presser sends.
    pub fn pair() -> (Presser, Self) {
        let (sender, presses) = watch::channel(0);
        (Presser(sender), Self { presses })
    }

    /// Waits for Ctrl-C; returns at once if it was pressed since the last call or since [`Self::forget`]. Cancel safe.
    pub async fn pressed(&mut self) {
        if self.presses.changed().await.is_err() {
            // Nothing can be sent any more.
            std::future::pending::<()>().await;
        }
    }

    /// Forgets earlier presses, which were meant for something that is over.
    pub fn forget(&mut self) {
        self.presses.mark_unchanged();
    }
}

impl Presser {
    /// Presses Ctrl-C once.
    pub fn press(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// Waits for any of the signals; false when none can arrive any more.
async fn heard(signals: &mut [Signal]) -> bool {
    std::future::poll_fn(|cx| {
        let mut open = false;
        for signal in signals.iter_mut() {
            match signal.poll_recv(cx) {
                Poll::Ready(Some(())) => return Poll::Ready(true),
                Poll::Ready(None) => {}
                Poll::Pending => open = true,
            }
        }
        if open { Poll::Pending } else { Poll::Ready(false) }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_press_is_received_once_and_can_be_forgotten() {
        let (presser, mut interrupt) = Interrupt::pair();
        assert_eq!(interrupt.pressed().now_or_never(), None);
        presser.press();
        presser.press();
        assert_eq!(interrupt.pressed().now_or_never(), Some(()));
        assert_eq!(interrupt.pressed().now_or_never(), None);
        presser.press();
        interrupt.forget();
        assert_eq!(interrupt.pressed().now_or_never(), None);
        drop(presser);
        assert_eq!(interrupt.pressed().now_or_never(), None);
    }
}
