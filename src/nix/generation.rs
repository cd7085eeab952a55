//! A profile's generations: `system-42-link` beside `system`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::store_path::{self, StorePath};

/// A generation's number. Only a hint: it dies with its link, the store path is
/// what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GenerationNumber(pub u64);

impl fmt::Display for GenerationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One link of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationLink {
    /// The number in its name.
    pub number: GenerationNumber,
    /// What it points to, as read from it.
    pub target: PathBuf,
}

/// What was seen at a link's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetState {
    /// Nothing is there.
    Absent,
    /// It is there and has the files looked for (see
    /// [`REQUIRED`](super::toplevel::REQUIRED)).
    Complete,
    /// It is there without this file.
    Lacks(&'static str),
    /// It could not be looked at, for this reason.
    Unreadable(String),
}

/// Why a generation can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkProblem {
    /// The store path is gone, most likely collected as garbage.
    #[error("generation {number} points to {target}, which is gone from the store")]
    Dangling {
        /// The generation.
        number: GenerationNumber,
        /// Where it points.
        target: String,
    },
    /// The link leads out of the store.
    #[error("generation {number} does not point to a store path: {source}")]
    NotAStorePath {
        /// The generation.
        number: GenerationNumber,
        /// What is wrong with the target.
        source: store_path::Error,
    },
    /// A store path, but no system.
    #[error(
        "generation {number} points to {target}, which has no {missing}: it is no NixOS system"
    )]
    NotASystem {
        /// The generation.
        number: GenerationNumber,
        /// Where it points.
        target: String,
        /// The file it lacks, relative to it.
        missing: &'static str,
    },
    /// Nobody knows: the target can't be looked at.
    #[error("generation {number} points to {target}, which can't be read: {reason}")]
    Unreadable {
        /// The generation.
        number: GenerationNumber,
        /// Where it points.
        target: String,
        /// The system's words.
        reason: String,
    },
}

/// The number in a link's name, if it belongs to `profile`.
///
/// By the rule of Nix's `profiles.cc`, checked against nix-env: `<profile>-`, a
/// number up to the first `-link`, and whatever follows is ignored. Leading zeros
/// and a plus are read too, so two links may have one number; [`link_name`] tells
/// which name is Nix's own.
pub fn parse_link_name(profile: &str, name: &str) -> Option<GenerationNumber> {
    let rest = name.strip_prefix(profile)?.strip_prefix('-')?;
    let (number, _) = rest.split_once("-link")?;
    number.parse().ok().map(GenerationNumber)
}

/// The name that Nix gives a link: `system-42-link`.
pub fn link_name(profile: &str, number: GenerationNumber) -> String {
    format!("{profile}-{number}-link")
}

/// The current generation, from what the profile's own link points to.
pub fn current_generation(profile: &str, profile_target: &Path) -> Option<GenerationNumber> {
    parse_link_name(profile, profile_target.file_name()?.to_str()?)
}

/// The store path behind a link, or the reason why the generation is unusable.
///
/// # Errors
/// [`LinkProblem`]
pub fn check_link(link: &GenerationLink, state: TargetState) -> Result<StorePath, LinkProblem> {
    let number = link.number;
    let path = StorePath::from_path(&link.target)
        .map_err(|source| LinkProblem::NotAStorePath { number, source })?;
    let target = || path.to_absolute_path();
    match state {
        TargetState::Complete => Ok(path),
        TargetState::Absent => Err(LinkProblem::Dangling {
            number,
            target: target(),
        }),
        TargetState::Lacks(missing) => Err(LinkProblem::NotASystem {
            number,
            target: target(),
            missing,
        }),
        TargetState::Unreadable(reason) => Err(LinkProblem::Unreadable {
            number,
            target: target(),
            reason,
        }),
    }
}

/// The highest generation.
pub fn newest(links: &[GenerationLink]) -> Option<&GenerationLink> {
    links.iter().max_by_key(|link| link.number)
}

/// The highest generation below `number`.
pub fn before(links: &[GenerationLink], number: GenerationNumber) -> Option<&GenerationLink> {
    links
        .iter()
        .filter(|link| link.number < number)
        .max_by_key(|link| link.number)
}

/// The highest generation that points to this path.
pub fn by_target<'a>(links: &'a [GenerationLink], path: &StorePath) -> Option<&'a GenerationLink> {
    let target = PathBuf::from(path.to_absolute_path());
    links
        .iter()
        .filter(|link| link.target == target)
        .max_by_key(|link| link.number)
}

/// The generation that `nix-env --set` makes current for this path: the highest
/// one if it points there already, else a new one after it. `None` if no number
/// is left.
pub fn number_after_set(links: &[GenerationLink], path: &StorePath) -> Option<GenerationNumber> {
    match newest(links) {
        Some(link) if link.target == Path::new(&path.to_absolute_path()) => Some(link.number),
        Some(link) => link.number.0.checked_add(1).map(GenerationNumber),
        None => Some(GenerationNumber(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-nixos-system-a-26.05";
    const B: &str = "/nix/store/10bgd045z0d4icpbc2yyz4gx48ak44la-nixos-system-a-26.05";

    fn link(number: u64, target: &str) -> GenerationLink {
        GenerationLink {
            number: GenerationNumber(number),
            target: target.into(),
        }
    }

    #[test]
    fn names_as_nix_env_lists_them() {
        for (name, expected) in [
            ("system-42-link", Some(42)),
            ("system-0-link", Some(0)),
            ("system-007-link", Some(7)),
            ("system-+9-link", Some(9)),
            ("system-12-linkfoo", Some(12)),
            ("system-13-link-link", Some(13)),
            ("system-18446744073709551615-link", Some(u64::MAX)),
            ("system-18446744073709551616-link", None),
            ("system-0x-link", None),
            ("system--1-link", None),
            ("system- 5-link", None),
            ("system--link", None),
            ("system-8-LINK", None),
            ("system-8", None),
            ("system", None),
            ("other-3-link", None),
            ("system-x-4-link", None),
            ("system-web-4-link", None),
            ("", None),
        ] {
            assert_eq!(
                parse_link_name("system", name),
                expected.map(GenerationNumber),
                "{name}"
            );
        }
        assert_eq!(
            parse_link_name("system-web", "system-web-4-link"),
            Some(GenerationNumber(4))
        );
        assert_eq!(link_name("system", GenerationNumber(7)), "system-7-link");
        let current = |target: &str| current_generation("system", Path::new(target));
        assert_eq!(current("system-42-link"), Some(GenerationNumber(42)));
        assert_eq!(
            current("/nix/var/nix/profiles/system-3-link"),
            Some(GenerationNumber(3))
        );
        assert_eq!(current(A), None);
        assert_eq!(current("/"), None);
    }

    #[test]
    fn problems() {
        use TargetState::{Absent, Complete, Lacks, Unreadable};
        assert_eq!(
            check_link(&link(1, A), Complete)
                .unwrap()
                .to_absolute_path(),
            A
        );
        assert!(matches!(
            check_link(&link(1, A), Absent),
            Err(LinkProblem::Dangling { .. })
        ));
        let lacks = check_link(&link(1, A), Lacks(super::super::toplevel::NIXOS_VERSION));
        assert!(lacks.unwrap_err().to_string().contains("no nixos-version"));
        let unreadable = check_link(&link(1, A), Unreadable("denied".to_owned()));
        assert!(unreadable.unwrap_err().to_string().ends_with("denied"));
        for target in ["/srv/x", "system-1-link", "", &format!("{A}/sw")] {
            let problem = check_link(&link(2, target), Complete);
            assert!(
                matches!(problem, Err(LinkProblem::NotAStorePath { .. })),
                "{target}"
            );
        }
    }

    #[test]
    fn choices() {
        let links = [link(3, A), link(9, B), link(5, A)];
        let number = |link: Option<&GenerationLink>| link.map(|link| link.number.0);
        assert_eq!(number(newest(&links)), Some(9));
        assert_eq!(number(before(&links, GenerationNumber(9))), Some(5));
        assert_eq!(number(before(&links, GenerationNumber(3))), None);
        assert_eq!(number(by_target(&links, &A.parse().unwrap())), Some(5));
        // Only the highest is used again, as nix-env does.
        assert_eq!(
            number_after_set(&links, &A.parse().unwrap()),
            Some(GenerationNumber(10))
        );
        assert_eq!(
            number_after_set(&links, &B.parse().unwrap()),
            Some(GenerationNumber(9))
        );
        assert_eq!(
            number_after_set(&[], &A.parse().unwrap()),
            Some(GenerationNumber(1))
        );
        assert_eq!(
            number_after_set(&[link(u64::MAX, A)], &B.parse().unwrap()),
            None
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn round_trip(profile in "[a-z-]{1,12}", number in any::<u64>()) {
            let number = GenerationNumber(number);
            prop_assert_eq!(parse_link_name(&profile, &link_name(&profile, number)), Some(number));
        }

        #[test]
        fn hostile(profile in "\\PC{0,8}", name in "\\PC{0,24}", near in "(system|-|link|[0-9+]){0,6}") {
            let _ = parse_link_name(&profile, &name);
            let _ = parse_link_name("system", &near);
            let _ = current_generation(&profile, Path::new(&name));
        }
    }
}
