//! JSON Schemas of what other programs read, made from the types. The policy has
//! its own in [`super::policy`].

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::document::Trigger;
use super::notice::Notice;
use super::{BytePath, Marks, Point, PointId, Span, Switch};
use crate::nix::store_path::StorePath;

/// What a schema is published of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A restore point's document.
    Point,
    /// What was said of a point since.
    Marks,
    /// The record of a switch.
    Switch,
    /// What commands are told on their standard input.
    Notice,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Point, Self::Marks, Self::Switch, Self::Notice];

    /// Its name, on the command line and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Marks => "marks",
            Self::Switch => "switch",
            Self::Notice => "notice",
        }
    }
}

/// The JSON Schema of a kind of documents. Fields that it does not name may be
/// added by later releases of the same version.
pub fn schema(kind: Kind) -> Value {
    // As they are written: what the program leaves out it may leave out.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let generator = settings.into_generator();
    let (mut schema, title) = match kind {
        Kind::Point => (
            generator.into_root_schema_for::<Point>(),
            "A restore point of cairn",
        ),
        Kind::Marks => (
            generator.into_root_schema_for::<Marks>(),
            "What is said of a restore point",
        ),
        Kind::Switch => (
            generator.into_root_schema_for::<Switch>(),
            "What a switch came to",
        ),
        Kind::Notice => (
            generator.into_root_schema_for::<Notice>(),
            "Something that cairn tells",
        ),
    };
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A span of time such as `30s`, `2min` or `1h 30min`.",
            "pattern": "^(\\s*[0-9][0-9\\s]*(\\.[0-9]+)?\\s*(ns|nsec|us|usec|µs|ms|msec|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hrs|hour|hours|d|day|days|w|wk|wks|week|weeks|M|month|months|y|yr|yrs|year|years))+\\s*$",
        })
    }
}

impl JsonSchema for StorePath {
    fn schema_name() -> Cow<'static, str> {
        "StorePath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A path of the Nix store, without anything below it.",
            "pattern": "^/nix/store/[0-9abcdfghijklmnpqrsvwxyz]{32}-[0-9a-zA-Z+._?=-]+$",
        })
    }
}

impl JsonSchema for PointId {
    fn schema_name() -> Cow<'static, str> {
        "PointId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "The id of a restore point or of a record: a UUID, version 7. Ids sort by time.",
            "format": "uuid",
            "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        })
    }
}

impl JsonSchema for BytePath {
    fn schema_name() -> Cow<'static, str> {
        "BytePath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A path; one that is no text as its bytes.",
            "oneOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "hex": { "type": "string", "pattern": "^([0-9a-f]{2})*$" } },
                    "required": ["hex"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

impl JsonSchema for Trigger {
    fn schema_name() -> Cow<'static, str> {
        "Trigger".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "What took the point.",
            "pattern": "^(manual|pre-switch|boot|pre-heal|pre-restore|merge|try|schedule:[a-zA-Z0-9_.-]{1,64})$",
        })
    }
}
