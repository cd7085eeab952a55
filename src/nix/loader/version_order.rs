//! The order of versions in boot menus: UAPI.10, as systemd-boot has it.

use std::cmp::Ordering;

/// Compares two versions. What is neither letter, digit nor one of `~-^.`
/// only separates.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        a = after(a, |c| !counts(c));
        b = after(b, |c| !counts(c));
        // `~` sorts before everything, even the end.
        match mark(&mut a, &mut b, b'~') {
            Some(Ordering::Equal) => continue,
            Some(order) => return order,
            None => {}
        }
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        match [b'-', b'^', b'.']
            .into_iter()
            .find_map(|c| mark(&mut a, &mut b, c))
        {
            Some(Ordering::Equal) => continue,
            Some(order) => return order,
            None => {}
        }
        let number = starts(a, |c| c.is_ascii_digit()) || starts(b, |c| c.is_ascii_digit());
        let order = if number {
            let (left, right) = (take(&mut a, is_digit), take(&mut b, is_digit));
            let present = (!left.is_empty()).cmp(&!right.is_empty());
            let (left, right) = (after(left, |c| c == b'0'), after(right, |c| c == b'0'));
            let digits = left.len().cmp(&right.len());
            present.then(digits).then(left.cmp(right))
        } else {
            take(&mut a, is_letter).cmp(take(&mut b, is_letter))
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn is_digit(c: u8) -> bool {
    c.is_ascii_digit()
}

fn is_letter(c: u8) -> bool {
    c.is_ascii_alphabetic()
}

fn counts(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"~-^.".contains(&c)
}

fn starts(text: &[u8], is: impl Fn(u8) -> bool) -> bool {
    text.first().is_some_and(|c| is(*c))
}

fn after(text: &[u8], is: impl Fn(u8) -> bool) -> &[u8] {
    let length = text.iter().take_while(|c| is(**c)).count();
    text.get(length..).unwrap_or_default()
}

/// Takes what is of a kind off the front.
fn take<'t>(text: &mut &'t [u8], is: impl Fn(u8) -> bool) -> &'t [u8] {
    let (front, rest) = text.split_at(text.iter().take_while(|c| is(**c)).count());
    *text = rest;
    front
}

/// One mark at the front: who has it sorts first; both lose it. `None` when
/// neither has it.
fn mark(a: &mut &[u8], b: &mut &[u8], c: u8) -> Option<Ordering> {
    let has = [&*a, &*b].map(|text| text.first() == Some(&c));
    if has == [false, false] {
        return None;
    }
    if has == [true, true] {
        *a = &a[1..];
        *b = &b[1..];
    }
    Some(has[1].cmp(&has[0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_order_of_the_specification() {
        // Each is older than the next.
        let rising = [
            "~1",
            "",
            "ab",
            "abb",
            "abc",
            "0001",
            "002",
            "12",
            "122",
            "122.9",
            "123~rc1-1",
            "123",
            "123-a",
            "123-a.1",
            "123-a1",
            "123-3",
            "123-3.1",
            "123^patch1",
            "123^1",
            "123.a-1",
            "123.1-1",
            "123a-1",
            "124",
        ];
        for (i, a) in rising.iter().enumerate() {
            for (k, b) in rising.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&k), "{a} and {b}");
            }
        }
        assert_eq!(compare("1_2", "1 2"), Ordering::Equal);
    }

    #[test]
    fn generations_are_in_the_order_of_their_numbers() {
        let version =
            |n: u32| format!("Generation {n} NixOS 26.11 (Linux 6.12.1), built on 2026-11-2{n}");
        assert_eq!(compare(&version(2), &version(10)), Ordering::Less);
        assert_eq!(compare(&version(9), &version(8)), Ordering::Greater);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn it_is_an_order(a in "[a1-9~^. é-]{0,8}", b in "[a1-9~^. é-]{0,8}", c in "[a1~^.-]{0,8}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
