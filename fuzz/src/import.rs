//! A file that is imported, until its repository lies on disk.
#![no_main]

use cairn::system::container;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let inside = dir.path().join("in");
    std::fs::create_dir(&inside).unwrap();
    let mut rest = file;
    let _ = container::unpack(&mut rest, &inside);
    // Whatever it was, nothing was written beside the folder.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
});
