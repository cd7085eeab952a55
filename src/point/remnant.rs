//! What a damaged document still says.
//!
//! A document is written with one value a line, indented by its depth (see
//! [`Point::to_json`](super::Point::to_json)). So what is left of one that was
//! cut off, or lost a few bytes, is read line by line: a line that is none is
//! passed over, and costs its own value alone.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::MAX_BYTES;

/// Values that could be read, by where they stand: the keys above them and
/// their own, without array indices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remnant(BTreeMap<Vec<String>, Vec<Value>>);

impl Remnant {
    /// Reads what can be read of a damaged document.
    pub fn of(text: &[u8]) -> Self {
        let text = &text[..text.len().min(MAX_BYTES)];
        let mut found = Self::default();
        // The keys that are open, each with its depth.
        let mut open: Vec<(usize, String)> = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            let bare = line.trim_start_matches(' ');
            let depth = line.len() - bare.len();
            while open.last().is_some_and(|(above, _)| *above >= depth) {
                open.pop();
            }
            let bare = bare.trim_end_matches(',');
            let (key, value) = match split(bare) {
                Some((key, value)) => (Some(key), value),
                None => (None, bare),
            };
            let mut place: Vec<String> = open.iter().map(|(_, key)| key.clone()).collect();
            place.extend(key.clone());
            match (value, key) {
                ("{" | "[", Some(key)) => open.push((depth, key)),
                _ => {
                    if let Ok(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) =
                        serde_json::from_str(value)
                    {
                        found.0.entry(place).or_default().push(value);
                    }
                }
            }
        }
        found
    }

    /// The one value at a place, if it can be read and is of this type.
    pub fn one<T: DeserializeOwned>(&self, place: &[&str]) -> Option<T> {
        match self.values(place) {
            [value] => serde_json::from_value(value.clone()).ok(),
            _ => None,
        }
    }

    /// All values at a place that are of this type.
    pub fn all<T: DeserializeOwned>(&self, place: &[&str]) -> Vec<T> {
        let values = self.values(place).iter();
        values
            .filter_map(|value| serde_json::from_value(value.clone()).ok())
            .collect()
    }

    /// The names directly below a place.
    pub fn names(&self, place: &[&str]) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .0
            .keys()
            .filter(|key| key.len() > place.len() && key.iter().zip(place).all(|(a, b)| a == b))
            .map(|key| key[place.len()].as_str())
            .collect();
        names.dedup();
        names
    }

    fn values(&self, place: &[&str]) -> &[Value] {
        let place: Vec<String> = place.iter().map(|&key| key.to_owned()).collect();
        self.0.get(&place).map_or(&[], Vec::as_slice)
    }
}

/// A line's key and the text of its value.
fn split(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.split_once("\": ")?;
    let key = serde_json::from_str(&format!("{key}\"")).ok()?;
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "{\n  \"version\": 1,\n  \"reason\": \"a \\\"b\\\": c\",\n  \"tags\": [\n    \
                         \"x\",\n    \"y\"\n  ],\n  \"state\": {\n    \"blog\": {\n      \
                         \"snapshot\": \"ab12\",\n      \"units\": [\n        \"blog.service\"\n      \
                         ]\n    },\n    \"shop\": {\n      \"snapshot\": \"cd34\"\n    }\n  }\n}\n";

    #[test]
    fn each_value_is_found_at_its_place() {
        let found = Remnant::of(WHOLE.as_bytes());
        assert_eq!(found.one::<u32>(&["version"]), Some(1));
        assert_eq!(found.one::<String>(&["reason"]).unwrap(), "a \"b\": c");
        assert_eq!(found.all::<String>(&["tags"]), ["x", "y"]);
        assert_eq!(found.names(&["state"]), ["blog", "shop"]);
        let snapshot = |name| found.one::<String>(&["state", name, "snapshot"]);
        assert_eq!(snapshot("blog").as_deref(), Some("ab12"));
        assert_eq!(snapshot("shop").as_deref(), Some("cd34"));
        let units: Vec<String> = found.all(&["state", "blog", "units"]);
        assert_eq!(units, ["blog.service"]);
        assert_eq!(found.one::<u32>(&["reason"]), None);
        assert_eq!(found.one::<String>(&["tags"]), None, "there are two");
    }

    #[test]
    fn a_document_that_was_cut_off_says_what_came_before() {
        let end = WHOLE.find("\"shop\"").unwrap();
        let found = Remnant::of(&WHOLE.as_bytes()[..end]);
        assert_eq!(found.names(&["state"]), ["blog"]);
        assert_eq!(found.all::<String>(&["tags"]).len(), 2);
        assert_eq!(Remnant::of(b""), Remnant::default());
        assert_eq!(Remnant::of(&[0; 4096]), Remnant::default());
    }

    #[test]
    fn a_damaged_line_costs_its_own_value_alone() {
        let broken = WHOLE.replace("\"snapshot\": \"ab12\"", "\"snapshot\": \"a\u{0}");
        let found = Remnant::of(broken.as_bytes());
        assert_eq!(found.one::<String>(&["state", "blog", "snapshot"]), None);
        let other: Option<String> = found.one(&["state", "shop", "snapshot"]);
        assert_eq!(other.as_deref(), Some("cd34"));
    }

    #[test]
    fn a_real_document_is_read_as_it_was_written() {
        let id: crate::point::PointId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let mut value = serde_json::json!({
            "version": 1, "id": id, "created": "2026-11-20T10:00:00Z", "host": "h",
            "reason": "r", "trigger": "manual", "system": {}, "completeness": { "status": "complete" },
        });
        value["userdata"] = serde_json::json!({ "ticket": "7" });
        let point: crate::point::Point = serde_json::from_value(value).unwrap();
        let found = Remnant::of(&point.to_json().unwrap());
        assert_eq!(found.one::<crate::point::PointId>(&["id"]), Some(id));
        assert_eq!(found.one::<String>(&["userdata", "ticket"]).unwrap(), "7");
        let created: chrono::DateTime<chrono::Utc> = found.one(&["created"]).unwrap();
        assert_eq!(created, point.created);
    }
}
