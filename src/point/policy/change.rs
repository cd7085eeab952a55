//! Changing a policy's text: one thing is added or removed, all else stays as
//! it was written, order and layout too.

use std::fmt;

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use serde_json::Value;

use super::{BadPolicy, Policy};
use crate::point::near::nearest;

/// What a policy has several of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Points that are taken without being asked for.
    Point,
    /// State sets.
    State,
    /// Health checks.
    Check,
    /// Store paths that are never collected.
    Pin,
    /// Paths of the configuration.
    Path,
    /// Places for copies.
    Remote,
}

impl Kind {
    /// The fields that lead to where things of this kind are.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Point => &["points"],
            Self::State => &["state"],
            Self::Check => &["health", "checks"],
            Self::Pin => &["pins"],
            Self::Path => &["configPaths"],
            Self::Remote => &["remotes"],
        }
    }

    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::State => "state",
            Self::Check => "check",
            Self::Pin => "pin",
            Self::Path => "path",
            Self::Remote => "remote",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What it is about.
    pub kind: Kind,
    /// Its name; the path itself for a path.
    pub name: String,
    /// What to add; nothing removes.
    pub add: Option<Value>,
}

/// Why a policy was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It is unusable as it is.
    #[error("is unusable: {0}")]
    Bad(BadPolicy),
    /// The change would make it unusable.
    #[error("would be unusable: {0}")]
    Broken(BadPolicy),
    /// There is another thing of that name.
    #[error("has another {kind} {name} already")]
    Exists {
        /// What kind of thing.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// There is nothing of that name.
    #[error("has no {kind} {name}{}", .near.as_ref().map_or_else(String::new, |n| format!(", did you mean {n}?")))]
    Absent {
        /// What kind of thing.
        kind: Kind,
        /// The name.
        name: String,
        /// A name that is there and alike.
        near: Option<String>,
    },
    /// The text could be read, but not taken apart.
    #[error("cannot be changed in place: {0}")]
    Layout(String),
}

impl Change {
    /// The text after the change; the same text when it is already so.
    ///
    /// # Errors
    /// Every [`ChangeError`]. What comes out can always be parsed.
    pub fn apply(&self, text: &str) -> Result<String, ChangeError> {
        let policy = Policy::parse(text).map_err(ChangeError::Bad)?;
        let root =
            CstRootNode::parse(text, &strict()).map_err(|e| ChangeError::Layout(e.to_string()))?;
        let object = root.object_value_or_set();
        if self.kind == Kind::Path {
            self.apply_to_paths(&object, &policy)?;
        } else {
            self.apply_to_names(&object)?;
        }
        let changed = root.to_string();
        Policy::parse(&changed).map_err(ChangeError::Broken)?;
        Ok(changed)
    }

    fn apply_to_names(&self, object: &CstObject) -> Result<(), ChangeError> {
        let fields = self.kind.fields();
        let holder = fields
            .iter()
            .try_fold(object.clone(), |object, field| object.object_value(field));
        let there = holder.as_ref().and_then(|holder| holder.get(&self.name));
        match (&self.add, there) {
            (Some(value), Some(there)) => {
                if there.value().and_then(|v| v.to_serde_value()).as_ref() == Some(value) {
                    return Ok(());
                }
                Err(ChangeError::Exists {
                    kind: self.kind,
                    name: self.name.clone(),
                })
            }
            (Some(value), None) => {
                let holder = fields.iter().fold(object.clone(), |object, field| {
                    object.object_value_or_set(field)
                });
                holder.append(&self.name, input(value));
                Ok(())
            }
            (None, Some(there)) => {
                there.remove();
                Ok(())
            }
            (None, None) => {
                let names = holder.map_or_else(Vec::new, |h| h.properties());
                let names: Vec<String> = names.iter().filter_map(|p| p.decoded_name()).collect();
                Err(self.absent(&names))
            }
        }
    }

    fn apply_to_paths(&self, object: &CstObject, policy: &Policy) -> Result<(), ChangeError> {
        let paths: Vec<String> = policy
            .config_paths
            .iter()
            .map(|p| p.to_string_lossy().into_owned())
            .collect();
        let at = paths.iter().position(|path| *path == self.name);
        match (&self.add, at, object.array_value("configPaths")) {
            (Some(_), Some(_), _) => Ok(()),
            (Some(value), None, Some(list)) => {
                list.append(input(value));
                Ok(())
            }
            (Some(value), None, None) => {
                // Named alone, it would take the place of the default.
                let list = object.array_value_or_set("configPaths");
                for path in paths {
                    list.append(path.into());
                }
                list.append(input(value));
                Ok(())
            }
            (None, Some(at), Some(list)) => {
                // The last one goes, and the others move up: so the layout stays.
                let mut rest = paths;
                rest.remove(at);
                let mut elements = list.elements();
                let last = elements.pop();
                for (element, path) in elements.into_iter().zip(&rest).skip(at) {
                    if let Some(text) = element.as_string_lit() {
                        text.replace_with(path.as_str().into());
                    }
                }
                if let Some(last) = last {
                    last.remove();
                }
                Ok(())
            }
            (None, _, _) => Err(self.absent(&paths)),
        }
    }

    fn absent(&self, names: &[String]) -> ChangeError {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        ChangeError::Absent {
            kind: self.kind,
            name: self.name.clone(),
            near: nearest(&self.name, &names).map(str::to_owned),
        }
    }

    /// The same change for a NixOS configuration, given what holds now.
    pub fn for_nixos(&self, policy: &Policy) -> String {
        let option = format!("services.cairn.{}", self.kind.fields().join("."));
        if self.kind == Kind::Path {
            let mut paths: Vec<Value> = policy
                .config_paths
                .iter()
                .map(|p| Value::from(p.to_string_lossy()))
                .filter(|p| *p != *self.name)
                .collect();
            paths.extend(self.add.clone());
            return format!(
                "set {option} = {};",
                super::nix::value(&Value::Array(paths))
            );
        }
        let option = format!("{option}.{}", super::nix::name(&self.name));
        match &self.add {
            Some(value) => format!("set {option} = {};", super::nix::value(value)),
            None => format!("remove {option}"),
        }
    }
}

fn strict() -> ParseOptions {
    ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(on) => CstInputValue::Bool(*on),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(map) => CstInputValue::Object(
            map.iter()
                .map(|(name, value)| (name.clone(), input(value)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "{\n    \"points\": { \"b\": {\"schedule\":\"daily\"} },\n    \
                        \"version\": 1, \"configPaths\": [ \"/a\",\n      \"/b\" ]\n}\n";

    fn change(kind: Kind, name: &str, add: Option<Value>) -> Change {
        let name = name.to_owned();
        Change { kind, name, add }
    }

    #[test]
    fn all_else_stays_as_it_was_written() {
        let pin = "/nix/store/00000000000000000000000000000000-a";
        for (kind, name, value) in [
            (Kind::Point, "a", json!({"trigger": "boot"})),
            (
                Kind::State,
                "db",
                json!({"paths": ["/db"], "units": ["db.service"]}),
            ),
            (
                Kind::Check,
                "web",
                json!({"command": ["true"], "required": false}),
            ),
            (Kind::Pin, "p", json!(pin)),
            (Kind::Remote, "r", json!({"url": "/x \"y\""})),
            (Kind::Path, "/c", json!("/c")),
        ] {
            let added = change(kind, name, Some(value.clone())).apply(TEXT).unwrap();
            // What was there is there, in its order, whatever is between.
            let mut rest = added.as_str();
            for part in TEXT.split_whitespace().filter(|part| part.len() > 1) {
                let at = rest
                    .find(part)
                    .unwrap_or_else(|| panic!("{part} in {added}"));
                rest = &rest[at + part.len()..];
            }
            let at = kind.fields().join("/");
            let there: Value = serde_json::from_str(&added).unwrap();
            let there = there.pointer(&format!("/{at}")).unwrap();
            match there {
                Value::Array(items) => assert_eq!(items.last(), Some(&value)),
                there => assert_eq!(there[name], value),
            }
            // Once more changes nothing; another thing of that name is refused.
            let again = change(kind, name, Some(value)).apply(&added).unwrap();
            assert_eq!(again, added);
            if kind != Kind::Path {
                let other = change(kind, name, Some(json!({}))).apply(&added);
                assert!(
                    matches!(other, Err(ChangeError::Exists { .. })),
                    "{other:?}"
                );
            }
            let removed = change(kind, name, None).apply(&added).unwrap();
            let (removed, text): (Value, Value) = (
                serde_json::from_str(&removed).unwrap(),
                serde_json::from_str(TEXT).unwrap(),
            );
            for (field, value) in text.as_object().unwrap() {
                assert_eq!(&removed[field], value);
            }
        }
    }

    #[test]
    fn paths_move_up_and_the_default_is_not_lost() {
        let path = |name: &str, add: bool| change(Kind::Path, name, add.then(|| name.into()));
        let removed = path("/a", false).apply(TEXT).unwrap();
        assert!(removed.contains("[ \"/b\"\n ]"), "{removed}");
        let added = path("/c", true).apply("{}").unwrap();
        let added: Value = serde_json::from_str(&added).unwrap();
        assert_eq!(added["configPaths"], json!(["/etc/nixos", "/c"]));
        let last = path("/a", false).apply(r#"{"configPaths": ["/a"]}"#);
        let last: Value = serde_json::from_str(&last.unwrap()).unwrap();
        assert_eq!(last["configPaths"], json!([]));
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let told = |change: Change, text| change.apply(text).unwrap_err().to_string();
        assert_eq!(
            told(change(Kind::Point, "c", None), TEXT),
            "has no point c, did you mean b?"
        );
        assert_eq!(told(change(Kind::Pin, "c", None), TEXT), "has no pin c");
        assert_eq!(
            told(
                change(Kind::Point, "c", Some(json!({}))),
                r#"{"points":{}}"#
            ),
            "would be unusable: line 2, /points/c: schedule is missing; say when, such as \
             \"daily\", or name another trigger"
        );
        let bad = told(change(Kind::Point, "c", None), "{\n\"point\": 1}");
        assert!(bad.starts_with("is unusable: line 2, /point"), "{bad}");
    }

    #[test]
    fn the_same_change_is_told_for_nixos() {
        let policy = Policy::parse(TEXT).unwrap();
        let told = |kind, name, add| change(kind, name, add).for_nixos(&policy);
        assert_eq!(
            told(Kind::Point, "a", Some(json!({"schedule": "daily"}))),
            "set services.cairn.points.a = { schedule = \"daily\"; };"
        );
        assert_eq!(
            told(Kind::Path, "/c", Some(json!("/c"))),
            "set services.cairn.configPaths = [ \"/a\" \"/b\" \"/c\" ];"
        );
        assert_eq!(
            told(Kind::Path, "/b", None),
            "set services.cairn.configPaths = [ \"/a\" ];"
        );
        assert_eq!(
            told(Kind::Check, "1", None),
            "remove services.cairn.health.checks.\"1\""
        );
    }
}
