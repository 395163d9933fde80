//! Ctrl-C as a value that can be waited for, so that it stops what runs and not the process.
//!
//! The signal is listened to from the start to the end of the process. At the prompt the terminal
//! hands Ctrl-C over as a key and no signal is sent.

use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Hears Ctrl-C.
#[derive(Clone, Debug)]
pub struct Interrupt {
    presses: watch::Receiver<u64>,
}

/// Presses Ctrl-C, as a test does.
#[derive(Debug)]
pub struct Presser(watch::Sender<u64>);

impl Interrupt {
    /// Listens to Ctrl-C on a thread of its own: those of the queries may all be busy computing. A service is asked to
    /// end by SIGTERM and by SIGHUP, too, which are the same to it from the start. Fails when the process may not listen.
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

    /// One that hears only its presser.
    pub fn pair() -> (Presser, Self) {
        let (sender, presses) = watch::channel(0);
        (Presser(sender), Self { presses })
    }

    /// Waits for Ctrl-C; returns at once for one that was pressed since the last call or
    /// [`Self::forget`]. May be dropped and called again without losing one.
    pub async fn pressed(&mut self) {
        if self.presses.changed().await.is_err() {
            // Nobody can press any more.
            std::future::pending::<()>().await;
        }
    }

    /// Forgets what was pressed so far: it was meant for something that is over.
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

/// Waits for any of the signals; false when none will come any more.
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
    fn a_press_is_heard_once_and_can_be_forgotten() {
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
