//! Where the built programs are.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The `headwater` program that belongs to this build: `$HEADWATER_BIN` when set, else the one beside this executable
/// in the target folder. `cargo test --workspace` builds it along with the tests. Panics when it is missing and says how to build it:
/// without it no test that needs it can go on.
pub fn headwater() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| match env::var_os("HEADWATER_BIN") {
        Some(path) => PathBuf::from(path),
        None => beside_this_executable(),
    })
}

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace")
}

fn beside_this_executable() -> PathBuf {
    let mut folder = env::current_exe().expect("a running program has a path");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let path = folder.join(format!("headwater{}", env::consts::EXE_SUFFIX));
    let how = "cargo build --release --workspace --bin headwater, or set HEADWATER_BIN";
    // Not built from here: the cargo that runs the tests holds the lock of the target folder.
    assert!(path.exists(), "{} is missing: {how}", path.display());
    path
}
