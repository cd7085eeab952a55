//! What was tried and worked, or did not: names, hosts, commands, files.

use crate::health::{Finding, seen::Tried};
use crate::point::health::{Status, Unit, Value};

/// Its own words say why it failed.
pub(in crate::health) fn tried(seen: &Tried) -> Finding {
    let mut finding = match &seen.result {
        // Times in milliseconds are exact far beyond any timeout.
        #[allow(clippy::cast_precision_loss)]
        Ok(took) => {
            Finding::new(Status::Ok, "answers").value(Value::new(*took as f64, Unit::Milliseconds))
        }
        Err(why) => Finding::new(Status::Failing, why),
    };
    finding.required = seen.required;
    finding.of(&seen.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_says_why() {
        let of = |result| {
            tried(&Tried {
                host: "web".into(),
                required: Some(false),
                result,
            })
        };
        let good = of(Ok(12));
        assert_eq!((good.status, good.required), (Status::Ok, Some(false)));
        assert_eq!(good.value, Value::new(12.0, Unit::Milliseconds));
        let bad = of(Err("exit code 3".into()));
        assert_eq!((bad.status, &*bad.detail), (Status::Failing, "exit code 3"));
        assert_eq!(bad.of.as_deref(), Some("web"));
    }
}
