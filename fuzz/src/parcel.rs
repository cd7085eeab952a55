//! What a remote's listing says of a point.
#![no_main]

use cairn::point::address::Address;
use cairn::point::parcel::Parcel;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
    }
    let Ok(parcel) = Parcel::parse(text) else { return };
    let again = Parcel::parse(&parcel.to_text().unwrap()).unwrap();
    assert_eq!(again.marks, parcel.marks);
    assert_eq!(again.there, parcel.there);
});
