//! Whether the next boot starts what the profile says.

use crate::health::{Finding, seen::Boot};
use crate::point::health::Status;

/// The loader's default leads to the profile's system, or one of its
/// specialisations.
pub(in crate::health) fn entries(seen: &Boot) -> Finding {
    let (Some(default), Some(wanted)) = (&seen.default, &seen.wanted) else {
        return Finding::unknown(if seen.default.is_none() {
            "no boot loader that can be read"
        } else {
            "no profile"
        });
    };
    if !seen.there {
        let words = format!("{} boots, and is gone from the store", default.name());
        return Finding::new(Status::Failing, words).subjects([default.to_absolute_path()]);
    }
    if default == wanted || seen.variants.contains(default) {
        return Finding::new(Status::Ok, "the default is the profile's system");
    }
    Finding::new(
        Status::Failing,
        format!(
            "{} boots, the profile has {}",
            default.name(),
            wanted.name()
        ),
    )
    .subjects([default.to_absolute_path()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::store_path::StorePath;

    #[test]
    fn the_default_is_the_profiles_system_or_a_specialisation_of_it() {
        let path = |n: u8| {
            let text = format!("/nix/store/{}-nixos-system-{n}", "0".repeat(32));
            StorePath::from_absolute_path(text.as_bytes()).unwrap()
        };
        let mut seen = Boot {
            default: Some(path(1)),
            wanted: Some(path(1)),
            variants: Vec::new(),
            there: true,
        };
        assert_eq!(entries(&seen).status, Status::Ok);
        seen.wanted = Some(path(2));
        let told = entries(&seen);
        assert_eq!(told.status, Status::Failing);
        assert_eq!(
            told.detail,
            "nixos-system-1 boots, the profile has nixos-system-2"
        );
        seen.variants = vec![path(1)];
        assert_eq!(entries(&seen).status, Status::Ok);
        seen.there = false;
        assert_eq!(entries(&seen).status, Status::Failing);
        seen.default = None;
        assert_eq!(entries(&seen).status, Status::Unknown);
    }
}
