//! The default route.

use super::{NOT_HERE, listed};
use crate::health::Finding;
use crate::health::seen::Text;
use crate::point::health::{Status, Value};
use crate::point::policy::Health;

/// `RTF_UP` of `/proc/net/route`.
const UP: u32 = 1;

/// `RTF_REJECT`: a route that leads nowhere.
const REJECT: u32 = 0x200;

/// `/proc/net/route` and `/proc/net/ipv6_route`: the interfaces that the
/// default routes leave by.
pub(in crate::health) fn route(texts: &[Text], _: &Health) -> Finding {
    let [four, six] = texts else {
        return Finding::unknown(NOT_HERE);
    };
    if four.is_none() && six.is_none() {
        return Finding::unknown(NOT_HERE);
    }
    let mut out: Vec<&str> = Vec::new();
    out.extend(
        four.iter()
            .flat_map(|text| text.lines())
            .filter_map(four_by),
    );
    out.extend(six.iter().flat_map(|text| text.lines()).filter_map(six_by));
    out.sort_unstable();
    out.dedup();
    let finding = match out.len() {
        0 => Finding::new(Status::Failing, "there is none"),
        _ => Finding::new(Status::Ok, format!("by {}", listed(&out))),
    };
    finding.value(Value::count(out.len()))
}

/// The interface of a line that is a default route of IPv4.
fn four_by(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [interface, "00000000", _, flags, _, _, _, "00000000", ..] = words[..] else {
        return None;
    };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    (flags & UP != 0 && flags & REJECT == 0).then_some(interface)
}

/// … of IPv6.
fn six_by(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [to, "00", _, _, _, _, _, _, flags, interface] = words[..] else {
        return None;
    };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let default = to.len() == 32 && to.bytes().all(|b| b == b'0');
    (default && interface != "lo" && flags & UP != 0 && flags & REJECT == 0).then_some(interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    fn of(four: Option<&str>, six: Option<&str>) -> Finding {
        let four = four.map(|text| format!("{HEAD}{text}"));
        route(&[four, six.map(str::to_owned)], &Health::default())
    }

    #[test]
    fn a_default_route_of_either_kind_will_do() {
        let default = "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        let local = "eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        let told = of(Some(&format!("{local}{default}")), None);
        assert_eq!((told.status, &*told.detail), (Status::Ok, "by eth0"));
        assert_eq!(of(Some(local), Some("")).status, Status::Failing);
        let zeros = "0".repeat(32);
        let six = |flags: &str, interface: &str| {
            format!(
                "{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 00000001 00000000 {flags} {interface}\n"
            )
        };
        assert_eq!(
            of(Some(local), Some(&six("00000003", "wlan0"))).detail,
            "by wlan0"
        );
        assert_eq!(
            of(None, Some(&six("00200200", "lo"))).status,
            Status::Failing
        );
        assert_eq!(of(None, None).status, Status::Unknown);
    }
}
