//! How the binary is linked.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if packs_relocations() {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether the 200,000 relative relocations of the binary's tables are packed, into 60 kB instead of 5 MB. glibc understands
/// that from 2.36 on, and an older one refuses the binary; so only where the binary is built for the system that builds it.
fn packs_relocations() -> bool {
    let of = |name: &str| env::var(name).unwrap_or_default();
    let is_native = of("TARGET") == of("HOST");
    is_native && of("CARGO_CFG_TARGET_ENV") == "gnu" && glibc().is_some_and(|version| version >= (2, 36))
}

/// The version of glibc here, as in `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let answer = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let (major, minor) = std::str::from_utf8(&answer.stdout).ok()?.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
