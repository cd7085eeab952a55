//! A bootspec, and a hardware configuration: files of a store path.
#![no_main]

use cairn::nix::{bootspec, hardware};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = bootspec::parse(text);
    let _ = hardware::disks(text);
});
