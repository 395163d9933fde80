//! Where the built programs are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `headwater` program that belongs to this build: `$HEADWATER_BIN` when set, else the one beside this executable
/// in the target folder. `cargo test --workspace` builds it along with the tests; when it is missing it is built here,
/// once. Panics with the reason when that fails: without it no test that needs it can go on.
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
    if !path.exists() {
        build(&path);
    }
    path
}

fn build(path: &Path) {
    eprintln!("{} is missing: building it", path.display());
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--workspace", "--bin", "headwater"])
        .current_dir(workspace())
        .status()
        .expect("cargo can be run");
    assert!(built.success() && path.exists(), "could not build {}: set HEADWATER_BIN to a built one", path.display());
}
