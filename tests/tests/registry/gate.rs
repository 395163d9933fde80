//! A way to a registry that can be closed: an address that passes connections on, and counts what is asked through them.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The gate, which is open at first. Its thread lives as long as the test's process.
pub struct Gate {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    /// Both ends of every connection, to cut them.
    open: Vec<TcpStream>,
    /// The number of connections that were not let through.
    refused: usize,
    /// How often each request line was sent.
    asked: HashMap<String, usize>,
}

impl Gate {
    pub fn to(registry: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let state = gate.state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                pass(client.unwrap(), registry, &state);
            }
        });
        gate
    }

    /// Cuts all connections, and lets no new one through.
    pub fn close(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_closed = true;
        for stream in state.open.drain(..) {
            // The other end may have closed it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn open(&self) {
        self.state.lock().unwrap().is_closed = false;
    }

    /// How many connections the closed gate has refused.
    pub fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }

    /// How often each path that begins like this was asked for.
    pub fn asked(&self, path: &str) -> Vec<usize> {
        let begins = |(line, _): &(&String, &usize)| line.starts_with(&format!("GET {path}"));
        self.state.lock().unwrap().asked.iter().filter(begins).map(|(_, count)| *count).collect()
    }
}

fn pass(client: TcpStream, registry: SocketAddr, state: &Arc<Mutex<State>>) {
    let mut locked = state.lock().unwrap();
    if locked.is_closed {
        locked.refused += 1;
        return;
    }
    let server = TcpStream::connect(registry).unwrap();
    let ends = || [client.try_clone().unwrap(), server.try_clone().unwrap()];
    locked.open.extend(ends());
    let ([from, to], [back, answers]) = (ends(), ends());
    let state = state.clone();
    thread::spawn(move || copy(from, to, |bytes| count(bytes, &state)));
    thread::spawn(move || copy(answers, back, |_| ()));
}

/// Copies until either end is closed.
fn copy(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8])) {
    let mut bytes = [0; 8192];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        look(&bytes[..read]);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn count(bytes: &[u8], state: &Mutex<State>) {
    for line in String::from_utf8_lossy(bytes).lines().filter(|line| line.ends_with(" HTTP/1.1")) {
        *state.lock().unwrap().asked.entry(line.to_owned()).or_default() += 1;
    }
}
