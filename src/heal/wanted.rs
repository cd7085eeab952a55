//! Which issues a person means: `KIND`, or `KIND:SUBJECT`; in the policy `*`
//! stands for any text.

use std::fmt;
use std::str::FromStr;

use crate::point::Issue;
use crate::point::health::KINDS;
use crate::point::near::hint;

/// One kind of issue, perhaps about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The kind.
    pub kind: String,
    /// What it is about; any, when absent.
    pub subject: Option<String>,
}

impl Wanted {
    /// Whether this is one of those.
    pub fn means(&self, issue: &Issue) -> bool {
        self.kind == issue.kind()
            && (self.subject.is_none() || self.subject.as_deref() == issue.subject())
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, subject) = match text.split_once(':') {
            Some((kind, subject)) => (kind, Some(subject)),
            None => (text, None),
        };
        if !KINDS.contains(&kind) {
            return Err(format!(
                "'{kind}' is no kind of issue, {}",
                hint(kind, KINDS)
            ));
        }
        if subject == Some("") {
            return Err(format!("name what it is about, or write {kind} alone"));
        }
        Ok(Self {
            kind: kind.to_owned(),
            subject: subject.map(str::to_owned),
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{}:{subject}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

/// Whether one of the policy's patterns is of this issue.
pub fn is_ignored(issue: &Issue, patterns: &[String]) -> bool {
    let subject = issue.subject().unwrap_or_default();
    patterns
        .iter()
        .any(|pattern| match pattern.split_once(':') {
            Some((kind, of)) => matches(kind, issue.kind()) && matches(of, subject),
            None => matches(pattern, issue.kind()),
        })
}

/// `*` stands for any text, all else for itself.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(between) = last.replace(part) {
            match rest.split_once(between) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
    }
    match last {
        Some(end) => rest.ends_with(end),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_means_all_of_it_and_a_subject_one() {
        let web = Issue::ServiceDown("web.service".into());
        let kind: Wanted = "service-down".parse().unwrap();
        let one: Wanted = "service-down:web.service".parse().unwrap();
        let other: Wanted = "service-down:db.service".parse().unwrap();
        assert!(kind.means(&web) && one.means(&web) && !other.means(&web));
        assert!(!kind.means(&Issue::CpuHigh));
        assert_eq!(one.to_string(), "service-down:web.service");
        let bad = "service-dwon".parse::<Wanted>().unwrap_err();
        assert!(bad.contains("did you mean service-down?"), "{bad}");
        assert!("cpu-high:".parse::<Wanted>().is_err());
    }

    #[test]
    fn patterns_leave_issues_out() {
        let web = Issue::ServiceDown("web-1.service".into());
        let ignored = |pattern: &str| is_ignored(&web, &[pattern.to_owned()]);
        for yes in [
            "*",
            "service-*",
            "service-down",
            "service-down:*",
            "service-down:web*",
            "service-down:*.service",
            "service-down:web-*.ser*ce",
            "*:web-1.service",
        ] {
            assert!(ignored(yes), "{yes}");
        }
        for no in [
            "service",
            "cpu-high",
            "service-down:web",
            "service-down:*.socket",
            "service-down:*b*b*",
            "service-down:web-1.service*x",
        ] {
            assert!(!ignored(no), "{no}");
        }
    }
}
