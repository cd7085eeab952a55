//! What is believed before anything was experienced: `priors.json`, which says
//! what its values mean.

use std::collections::BTreeMap;

use serde::Deserialize;

const TEXT: &str = include_str!("priors.json");

/// The priors and the weights of experience.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Priors {
    #[allow(dead_code, reason = "checked by a test")]
    version: u32,
    #[allow(dead_code, reason = "for who reads the file")]
    about: Vec<String>,
    /// After so many days, experience weighs half.
    pub half_life_days: f64,
    /// What one experience of another machine weighs, one's own being 1.
    pub imported_weight: f64,
    /// What all experience of others weighs at most, for one action: however
    /// many machines say so, a few attempts of one's own are heard.
    pub imported_most: f64,
    /// What a prior weighs, in attempts.
    pub strength: f64,
    /// Draws are made as if all that is known had been known so many times
    /// over: less of what is little known, more of what is known to help.
    pub narrow: f64,
    any: Prior,
    actions: BTreeMap<String, Prior>,
    issues: BTreeMap<String, BTreeMap<String, Prior>>,
}

/// What is believed of one action.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// How often it makes the issue go away.
    pub chance: f64,
    /// How long that takes.
    pub seconds: f64,
}

impl Priors {
    /// The priors of this build.
    pub fn builtin() -> Self {
        // A test reads the file: this fallback is what no build has.
        serde_json::from_str(TEXT).unwrap_or_else(|_| Self {
            version: 1,
            about: Vec::new(),
            half_life_days: 180.0,
            imported_weight: 0.25,
            imported_most: 20.0,
            strength: 4.0,
            narrow: 16.0,
            any: Prior {
                chance: 0.4,
                seconds: 30.0,
            },
            actions: BTreeMap::new(),
            issues: BTreeMap::new(),
        })
    }

    /// What is believed of an action against an issue: of the two together, or
    /// of the action, or of any.
    pub fn of(&self, issue: &str, action: &str) -> Prior {
        self.issues
            .get(issue)
            .and_then(|actions| actions.get(action))
            .or_else(|| self.actions.get(action))
            .copied()
            .unwrap_or(self.any)
    }

    /// What an experience of this age weighs.
    pub fn decay(&self, days: f64) -> f64 {
        (-days / self.half_life_days).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_makes_sense() {
        let priors: Priors = serde_json::from_str(TEXT).unwrap();
        assert_eq!(priors.version, 1);
        assert!(priors.strength >= 1.0 && priors.half_life_days > 30.0);
        assert!(priors.imported_weight > 0.0 && priors.imported_weight < 1.0);
        let of_issues = priors.issues.values().flat_map(BTreeMap::values);
        for prior in of_issues
            .chain(priors.actions.values())
            .chain([&priors.any])
        {
            assert!(prior.chance > 0.0 && prior.chance < 1.0, "{prior:?}");
            assert!(prior.seconds >= 1.0, "{prior:?}");
        }
        for actions in priors.issues.values() {
            for action in actions.keys() {
                assert!(priors.actions.contains_key(action), "{action}");
            }
        }
    }

    #[test]
    fn the_closest_prior_counts_and_old_experience_fades() {
        let priors = Priors::builtin();
        assert_eq!(priors.of("disk-full", "collect-garbage").chance, 0.6);
        assert_eq!(priors.of("memory", "collect-garbage").chance, 0.5);
        assert_eq!(priors.of("memory", "unheard-of").chance, 0.4);
        assert_eq!(priors.decay(0.0), 1.0);
        assert_eq!(priors.decay(180.0), 0.5);
    }
}
