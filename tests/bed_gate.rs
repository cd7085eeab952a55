mod bed_support;
use bed_support::{Bed, Pointers};
#[test]
fn probe() {
    let Some(bed) = Bed::with_cairn() else { return };
    println!("{:?}", bed.pointers());
    println!("{}", bed.sh("systemctl --failed; systemctl list-units 'cairn*' --all --no-pager; cairn list; cairn history; cairn status").text());
    println!("{:?}", bed.switch("other-good").text());
    println!("{:?}", bed.switch("bad-unit").text());
    bed.sh("sleep 7");
    println!("{}", bed.sh("cairn --json history; cairn history; cairn list; journalctl -n 60 --no-pager -o short-monotonic").text());
    println!("{:?}", bed.pointers());
}
