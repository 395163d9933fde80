//! The embedded broker as a child process, as somebody who installed it would start it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use headwater_tests::binary::headwater;
use tempfile::TempDir;

/// `headwater broker`, killed when dropped; its data is then removed.
pub struct Broker {
    child: Child,
    pub address: String,
    _data: TempDir,
}

impl Broker {
    /// Returns when the broker listens.
    pub fn start() -> Self {
        let data = TempDir::new().unwrap();
        let address = free_address();
        let mut command = Command::new(headwater());
        command.args(["broker", "--listen", &address, "--data"]).arg(data.path());
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let notice = lines.next().expect("the broker prints its address").unwrap();
        assert!(notice.contains(&address), "{notice}");
        // The pipe is read to the end, or the broker would block on it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, _data: data }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().expect("a running broker");
        self.child.wait().expect("an ended broker");
    }
}

/// A free port below those that the system gives to clients: a client that tries again and again to reach a port of
/// that range can connect to itself.
fn free_address() -> String {
    let candidates = std::iter::repeat_with(|| format!("127.0.0.1:{}", rand::random_range(20_000..29_000)));
    candidates.take(1000).find(|address| TcpListener::bind(address).is_ok()).expect("a free port")
}
