//! The paths of the built programs.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The `headwater` program of this build: `$HEADWATER_BIN` if set, otherwise the one next to this executable in the
/// target folder. `cargo test --workspace` builds it together with the tests. If it is missing, this panics with the
/// command that builds it, because no test that needs it can continue.
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
    let how = "cargo build --workspace --bin headwater, or set HEADWATER_BIN";
    // Not built here, because the cargo that runs the tests holds the lock of the target folder.
    assert!(path.exists(), "{} is missing: {how}", path.display());
    path
}
