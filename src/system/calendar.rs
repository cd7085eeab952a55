//! Calendar events, as systemd itself reads them.

use std::time::Duration;

use super::run::{Call, Runner};

/// How long it has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why systemd refuses a calendar event; `None` when it takes it, or is not
/// there to be asked.
pub fn refused(runner: &dyn Runner, event: &str) -> Option<String> {
    let call = Call::new("systemd-analyze")
        .args(["calendar", "--iterations=1", "--"])
        .arg(event)
        .limit(PATIENCE);
    let ended = runner.run(&call).ok()?;
    // It ends with 1 and the reason, other codes are of its own troubles.
    (ended.code == 1).then(|| {
        let said = ended.stderr.lines().next().unwrap_or_default().trim();
        format!("systemd takes this for no calendar event: {said}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::run::{Ended, RunError};

    struct Says(i32, &'static str);

    impl Runner for Says {
        fn run(&self, _: &Call) -> Result<Ended, RunError> {
            Ok(Ended {
                code: self.0,
                stderr: self.1.to_owned(),
                ..Ended::default()
            })
        }
    }

    #[test]
    fn only_what_systemd_refuses_is_refused() {
        assert_eq!(refused(&Says(0, ""), "daily"), None);
        assert_eq!(refused(&Says(127, "no such program"), "dayly"), None);
        let why = refused(&Says(1, "Failed to parse calendar\nmore"), "dayly").unwrap();
        assert!(why.ends_with("Failed to parse calendar"), "{why}");
    }
}
