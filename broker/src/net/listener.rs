//! Accepting connections.
//!
//! Separate because this is where the number of connections is limited.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::frame::Budget;
use super::{connection, refusal};
use crate::clock::now_ms;
use crate::core::Core;
use crate::descriptors::Descriptors;
use crate::failure::FailureTracker;

/// How long to pause after accepting failed, for example because there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The maximum number of clients that are told at the same time why they are refused; further connections are just
/// closed.
const REFUSALS_MAX: usize = 8;

/// Serves connections to all addresses until the task is aborted; all connections end with it.
pub(crate) async fn serve(listeners: Vec<TcpListener>, core: Arc<Core>) {
    let mut acceptor = Acceptor::new(core);
    // Connections are received one by one, so that a failure pauses accepting on all addresses.
    let (sender, mut accepted_sockets) = mpsc::channel(1);
    let mut accepting = JoinSet::new();
    listeners.into_iter().for_each(|listener| drop(accepting.spawn(open(listener, sender.clone()))));
    loop {
        let accepted = tokio::select! {
            Some(accepted) = accepted_sockets.recv() => accepted,
            Some(_) = acceptor.connections.join_next() => continue,
            Some(_) = acceptor.refusals.join_next() => continue,
        };
        if !acceptor.receive(accepted) {
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// Accepts connections on one address and sends them on.
async fn open(listener: TcpListener, sender: mpsc::Sender<io::Result<(TcpStream, SocketAddr)>>) {
    while sender.send(listener.accept().await).await.is_ok() {}
}

/// Decides which connections are served.
struct Acceptor {
    core: Arc<Core>,
    budget: Arc<Budget>,
    descriptors: Descriptors,
    connections: JoinSet<()>,
    refusals: JoinSet<()>,
    /// The number of refused connections since the last one that was served.
    refused: u64,
    accept_failures: FailureTracker,
}

impl Acceptor {
    fn new(core: Arc<Core>) -> Acceptor {
        Acceptor {
            core,
            budget: Arc::new(Budget::new()),
            descriptors: Descriptors::of_process(),
            connections: JoinSet::new(),
            refusals: JoinSet::new(),
            refused: 0,
            accept_failures: FailureTracker::default(),
        }
    }

    /// Serves or refuses a connection. Returns false if accepting failed.
    fn receive(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) -> bool {
        let limit = self.descriptors.limit;
        match accepted {
            Ok((socket, peer)) => {
                if let Some(failures) = self.accept_failures.succeeded(0, now_ms()) {
                    tracing::warn!(failures, "accepting connections again");
                }
                if self.connections.len() < self.descriptors.connections_max {
                    self.serve(socket, peer);
                } else {
                    self.refuse(socket, peer);
                }
                true
            }
            Err(error) => {
                if self.accept_failures.failed(&error, 0, now_ms()) {
                    let hint = "if the limit of open files is too low, raise it (ulimit -n)";
                    tracing::error!(%error, open_files_limit = limit, hint, "could not accept a connection");
                }
                false
            }
        }
    }

    fn serve(&mut self, socket: TcpStream, peer: SocketAddr) {
        if self.refused > 0 {
            tracing::warn!(refused = self.refused, "serving new connections again");
            self.refused = 0;
        }
        self.connections.spawn(connection::serve(socket, peer, Arc::clone(&self.core), Arc::clone(&self.budget)));
    }

    fn refuse(&mut self, socket: TcpStream, peer: SocketAddr) {
        let Descriptors { limit, connections_max, .. } = self.descriptors;
        self.refused += 1;
        if self.refused == 1 {
            tracing::error!(
                %peer,
                connections_max,
                open_files_limit = limit,
                "refusing new connections: the present ones use half of the open files that this process can have; \
                 raise the limit (ulimit -n) or close connections"
            );
        }
        if self.refusals.len() < REFUSALS_MAX {
            self.refusals.spawn(refusal::refuse(socket));
        }
    }
}
