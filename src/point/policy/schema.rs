//! The JSON Schema of a policy, made from its types.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Policy;

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
