//! The JSON Schema of a policy, made from its types.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::Policy;
use crate::nix::store_path::StorePath;
use crate::point::Span;

/// Names of points, sets, checks, remotes and pins: parts of unit and file
/// names.
pub(super) const NAME: &str = "^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$";
/// Absolute paths.
pub(super) const PATH: &str = "^/";
/// Names of systemd units.
pub(super) const UNIT: &str = r"^[a-zA-Z0-9:_.\\@][a-zA-Z0-9:_.\\@-]*$";
/// A text that says something.
pub(super) const TEXT: &str = r"\S";
/// A host and a port.
pub(super) const HOST: &str = r"^\S+:[0-9]{1,5}$";
/// What [`crate::point::within`] reads.
pub(super) const WITHIN: &str = "^([0-9]+[ymwdh])+$";

/// The JSON Schema of a policy.
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Policy>();
    schema.insert("title".to_owned(), "The policy of cairn".into());
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
