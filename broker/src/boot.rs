//! Which start of the machine this is.
//!
//! Separate because it decides one thing: whether a broker that was killed left everything that it had written. The operating
//! system has it as long as the machine runs, and it may have lost the last seconds if the machine was started anew.

/// The id of the machine's last start; `None` where the operating system does not tell.
pub(crate) fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}
