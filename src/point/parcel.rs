//! What a remote keeps of a restore point beside its content: the document and
//! the marks, and what another machine has to know to bring it back.
//!
//! It is the description of one small snapshot, which is sent last: a point is
//! on a remote when its parcel is. Marks that change later come with a newer
//! parcel of the same point.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{DocumentError, MAX_BYTES};
use super::{Marks, Point};

/// The tag of the snapshots that are parcels.
pub const TAG: &str = "cairn:point";

/// The tag of the snapshots that tell what a machine learned.
pub const KNOWLEDGE: &str = "cairn:knowledge";

/// The tag of a snapshot of nothing, on which hangs what is of no point: on
/// content it would keep that from ever being removed.
pub const BARE: &str = "cairn:bare";

/// The version this build writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// Names of users and groups by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owners {
    /// Users.
    #[serde(default)]
    pub users: BTreeMap<u32, String>,
    /// Groups.
    #[serde(default)]
    pub groups: BTreeMap<u32, String>,
}

/// What is known of the machine that took a point: what another one needs to
/// tell whether it fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct There {
    /// Who owns the point's state there.
    #[serde(default)]
    pub owners: Owners,
    /// What its systems run on, as Nix names it: `x86_64-linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// What is known of a point on a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Its document, as the machine has it that took it.
    pub point: Point,
    /// Its marks.
    pub marks: Marks,
    /// What is known of the machine that took it.
    pub there: There,
}

#[derive(Serialize, Deserialize)]
struct Text {
    version: u32,
    point: serde_json::Value,
    #[serde(default)]
    marks: Marks,
    #[serde(default)]
    there: There,
}

impl Parcel {
    /// Reads one. It is somebody else's text.
    ///
    /// # Errors
    /// As [`Point::parse`].
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        if text.len() > MAX_BYTES {
            return Err(DocumentError::TooLarge(text.len()));
        }
        let read: Text = serde_json::from_str(text).map_err(DocumentError::Damaged)?;
        if read.version != VERSION {
            return Err(DocumentError::Version {
                found: read.version.into(),
            });
        }
        let point = serde_json::to_vec(&read.point).map_err(DocumentError::Damaged)?;
        Ok(Self {
            point: Point::parse_loose(&point)?,
            marks: read.marks,
            there: read.there,
        })
    }

    /// Its text. What is true on one machine only, the links that keep a system
    /// there, stays out.
    ///
    /// # Errors
    /// Never in practice: every field has a JSON form.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut point = self.point.clone();
        point.pins.clear();
        serde_json::to_string(&Text {
            version: VERSION,
            point: serde_json::to_value(&point)?,
            marks: self.marks.clone(),
            there: self.there.clone(),
        })
    }
}
