//! Whether a JSON value has the shape its schema asks for: types, fields that
//! are unknown or missing, words, and least numbers. All that is wrong is
//! found, not only the first.
//!
//! The part of JSON Schema that the types of a policy come to, no more. Texts
//! with a meaning are read by their own types, not by the schema's patterns.

use serde_json::{Map, Value};

use super::locate::{Part, token};
use super::near::hint;
use crate::nix::store_path::StorePath;
use crate::point::Span;

/// Something wrong, by pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) pointer: String,
    pub(super) part: Part,
    pub(super) message: String,
}

impl Wrong {
    /// A value that is wrong.
    pub(super) fn value(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            part: Part::Value,
            message: message.into(),
        }
    }

    /// A name that is wrong.
    pub(super) fn name(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            part: Part::Name,
            ..Self::value(pointer, message)
        }
    }
}

/// Holds a value to a schema.
pub(super) fn check(value: &Value, schema: &Value) -> Vec<Wrong> {
    let mut shape = Shape {
        root: schema,
        wrong: Vec::new(),
    };
    shape.check(value, schema, "");
    shape.wrong
}

struct Shape<'s> {
    root: &'s Value,
    wrong: Vec<Wrong>,
}

impl<'s> Shape<'s> {
    fn say(&mut self, pointer: &str, message: String) {
        self.wrong.push(Wrong::value(pointer, message));
    }

    fn check(&mut self, value: &Value, schema: &'s Value, pointer: &str) {
        if let Some(name) = schema["$ref"]
            .as_str()
            .and_then(|r| r.strip_prefix("#/$defs/"))
        {
            let message = value.as_str().and_then(|text| meaning(name, text));
            match message {
                Some(message) => self.say(pointer, message),
                None => self.check(value, &self.root["$defs"][name], pointer),
            }
        } else if let Some(any) = schema["anyOf"].as_array() {
            // The types come to one kind of alternative only: something, or null.
            if !value.is_null()
                && let Some(other) = any.iter().find(|s| s["type"] != "null")
            {
                self.check(value, other, pointer);
            }
        } else if let Some(words) = words(schema) {
            self.word(value, &words, pointer);
        } else {
            self.by_type(value, schema, pointer);
        }
    }

    fn word(&mut self, value: &Value, words: &[&str], pointer: &str) {
        match value.as_str() {
            Some(text) if words.contains(&text) => {}
            Some(text) => self.say(
                pointer,
                format!("unknown value \"{text}\", {}", hint(text, words)),
            ),
            None => self.say(
                pointer,
                format!(
                    "expected one of {}, found {}",
                    words.join(", "),
                    kind(value)
                ),
            ),
        }
    }

    fn by_type(&mut self, value: &Value, schema: &'s Value, pointer: &str) {
        let types: Vec<&str> = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect(),
        };
        let fits = |name: &&str| match *name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "null" => value.is_null(),
            _ => false,
        };
        let Some(found) = types.iter().find(|name| fits(name)) else {
            let wanted = types.first().copied().map_or("something else", plain);
            return self.say(pointer, format!("expected {wanted}, found {}", kind(value)));
        };
        match (*found, value) {
            ("object", Value::Object(map)) => self.object(map, schema, pointer),
            ("array", Value::Array(items)) => {
                for (n, item) in items.iter().enumerate() {
                    self.check(item, &schema["items"], &format!("{pointer}/{n}"));
                }
            }
            ("integer", _) => {
                let least = schema["minimum"].as_u64().unwrap_or(0);
                let most = schema["maximum"].as_u64().unwrap_or(u64::from(u32::MAX));
                if !value.as_u64().is_some_and(|n| n >= least && n <= most) {
                    let message = format!("{value} is not a whole number from {least} to {most}");
                    self.say(pointer, message);
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, map: &Map<String, Value>, schema: &'s Value, pointer: &str) {
        let known = schema["properties"].as_object();
        for (name, value) in map {
            let place = format!("{pointer}/{}", token(name));
            let more = &schema["additionalProperties"];
            match known.and_then(|known| known.get(name)) {
                Some(schema) => self.check(value, schema, &place),
                None if more.is_object() => self.check(value, more, &place),
                None => {
                    let names: Vec<&str> =
                        known.map_or_else(Vec::new, |k| k.keys().map(String::as_str).collect());
                    let message = format!("unknown field, {}", hint(name, &names));
                    self.wrong.push(Wrong::name(place, message));
                }
            }
        }
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if !map.contains_key(name) {
                self.wrong
                    .push(Wrong::name(pointer, format!("{name} is missing")));
            }
        }
    }
}

/// What is wrong with a text that a type of its own reads.
fn meaning(name: &str, text: &str) -> Option<String> {
    match name {
        "Span" => text.parse::<Span>().err().map(|e| e.to_string()),
        "StorePath" => StorePath::from_absolute_path(text.as_bytes())
            .err()
            .map(|e| format!("'{text}' is not a store path: {e}")),
        _ => None,
    }
}

/// The words a schema allows, if it is a choice of words.
fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(words) = schema["enum"].as_array() {
        return Some(words.iter().filter_map(Value::as_str).collect());
    }
    let choices = schema["oneOf"].as_array()?.iter();
    Some(choices.filter_map(|one| one["const"].as_str()).collect())
}

fn plain(name: &str) -> &'static str {
    match name {
        "object" => "an object",
        "array" => "a list",
        "string" => "a text",
        "boolean" => "true or false",
        "integer" => "a whole number",
        _ => "something else",
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(on) => on.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => {
            let short: String = text.chars().take(40).collect();
            format!("the text \"{short}\"")
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
