//! From verdicts to what can be done about them.

use crate::point::health::{Issue, Status, Verdict};

/// The issues of verdicts that fail, each once, in the order of the verdicts.
pub fn issues(verdicts: &[Verdict]) -> Vec<Issue> {
    issues_from(verdicts, Status::Failing)
}

/// The issues of verdicts that say `least` or worse: with
/// [`Status::Warning`], also what is about to become one.
pub fn issues_from(verdicts: &[Verdict], least: Status) -> Vec<Issue> {
    let least = least.max(Status::Warning);
    let mut found = Vec::new();
    for issue in verdicts
        .iter()
        .filter(|verdict| verdict.status >= least)
        .flat_map(of)
    {
        if !found.contains(&issue) {
            found.push(issue);
        }
    }
    found
}

fn of(verdict: &Verdict) -> Vec<Issue> {
    let each = |make: fn(String) -> Issue| verdict.subjects.iter().cloned().map(make).collect();
    let what = verdict.of.clone().unwrap_or_else(|| verdict.name.clone());
    match verdict.name.as_str() {
        "units" | "restarts" => each(Issue::ServiceDown),
        "disk" if verdict.subjects.iter().any(|s| s == "read-only") => {
            vec![Issue::DiskReadOnly(what)]
        }
        "disk" | "inodes" => vec![Issue::DiskFull(what)],
        "memory" | "swap" => vec![Issue::MemoryHigh],
        "cpu" | "load" => vec![Issue::CpuHigh],
        "temperature" => each(Issue::TemperatureHigh),
        "time" => vec![Issue::ClockWrong],
        "route" => vec![Issue::NetworkDown(None)],
        "resolve" | "host" => vec![Issue::NetworkDown(verdict.of.clone())],
        "store" => vec![Issue::StoreDamaged],
        "system" => each(Issue::SystemMissing),
        "configuration" => each(Issue::ConfigInvalid),
        "boot" => vec![Issue::BootEntriesStale],
        "check" | "file" => vec![Issue::CheckFailed(what)],
        "copies" => vec![Issue::CopiesOld(what)],
        name => vec![Issue::Other {
            kind: format!("{name}-{}", verdict.status.as_str()),
            subject: verdict.of.clone(),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::CHECKS;

    fn verdict(name: &str, of: Option<&str>, status: Status, subjects: &[&str]) -> Verdict {
        Verdict {
            name: name.into(),
            of: of.map(Into::into),
            required: true,
            status,
            value: None,
            detail: String::new(),
            subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
        }
    }

    #[test]
    fn each_check_has_an_issue_of_its_own() {
        for check in CHECKS {
            let failing = verdict(check.name, Some("x"), Status::Failing, &["x"]);
            let found = issues(&[failing]);
            assert_eq!(found.len(), 1, "{}", check.name);
            assert!(!matches!(found[0], Issue::Other { .. }), "{}", check.name);
        }
    }

    #[test]
    fn issues_say_what_is_at_fault_and_say_it_once() {
        let list = [
            verdict("units", None, Status::Failing, &["a.service", "b.service"]),
            verdict("restarts", None, Status::Failing, &["a.service"]),
            verdict("disk", Some("/nix"), Status::Failing, &[]),
            verdict("inodes", Some("/nix"), Status::Failing, &[]),
            verdict("disk", Some("/boot"), Status::Warning, &[]),
            verdict("disk", Some("/var"), Status::Failing, &["read-only"]),
            verdict("memory", None, Status::Ok, &[]),
            verdict("time", None, Status::Unknown, &[]),
        ];
        let words: Vec<String> = issues(&list).iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "service-down a.service",
                "service-down b.service",
                "disk-full /nix",
                "disk-read-only /var"
            ]
        );
        let soon = issues_from(&list, Status::Warning);
        assert!(soon.contains(&Issue::DiskFull("/boot".into())));
    }
}
