//! Where copies of the points go to.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Keep, schema};
use crate::point::Span;

/// A place that copies of the points go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Remote {
    /// Where: a path, `rest:https://…`, `s3:…` or `sftp:…`.
    #[schemars(regex(pattern = schema::TEXT))]
    pub url: String,
    /// The file that holds the repository's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = schema::PATH))]
    pub password_file: Option<PathBuf>,
    /// The file that says what opens its server, as `NAME=VALUE` lines:
    /// `RESTIC_REST_USERNAME`, `RESTIC_REST_PASSWORD`, `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `CAIRN_SSH_KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = schema::PATH))]
    pub environment_file: Option<PathBuf>,
    /// When copies are sent, as systemd's `OnCalendar` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = schema::TEXT))]
    pub schedule: Option<String>,
    /// When those that `keep` does not keep are removed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = schema::TEXT))]
    pub prune_schedule: Option<String>,
    /// When it is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = schema::TEXT))]
    pub check_schedule: Option<String>,
    /// How long points are kept there; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// The Nix store that systems are sent to: `file:///…`, `s3://…`, `ssh://…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::TEXT))]
    pub closures: Option<String>,
    /// How old the newest copy may be before the machine is said not to be well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
    /// Whether machines tell each other through it what they learned.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub knowledge: bool,
}

const fn yes() -> bool {
    true
}

impl Remote {
    /// Its calendar events, each with the name of its field.
    pub fn schedules(&self) -> impl Iterator<Item = (&'static str, &String)> {
        [
            ("schedule", &self.schedule),
            ("pruneSchedule", &self.prune_schedule),
            ("checkSchedule", &self.check_schedule),
        ]
        .into_iter()
        .filter_map(|(field, schedule)| Some((field, schedule.as_ref()?)))
    }
}
