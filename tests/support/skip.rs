//! What a test does where something it needs is missing: it says so, and
//! where nothing may be missing it fails.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};

/// Whether these programs are here. Prints and records a skip when one is not.
///
/// # Panics
/// When one is missing and `CAIRN_TEST_STRICT` or `CI` is set.
pub fn need(programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let call = Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        call.is_ok() || skip(&format!("{program} is missing"))
    })
}

/// Whether the test may change owners.
///
/// # Panics
/// As [`need`].
pub fn need_root() -> bool {
    rustix::process::geteuid().is_root() || skip("root is missing")
}

/// Prints and records a skip; gives false.
///
/// # Panics
/// As [`need`].
pub fn skip(why: &str) -> bool {
    let strict = ["CI", "CAIRN_TEST_STRICT"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    assert!(!strict, "{why}");
    println!("SKIPPED: {why}");
    if let Some(file) = std::env::var_os("CAIRN_TEST_SKIPS") {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed").to_owned();
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .unwrap();
        writeln!(file, "{name}: {why}").unwrap();
    }
    false
}
