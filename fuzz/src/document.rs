//! The document of a restore point.
#![no_main]

use cairn::point::Point;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(point) = Point::parse_loose(text) else { return };
    let written = point.to_json().unwrap();
    assert_eq!(Point::parse_loose(&written).unwrap(), point);
});
