//! Reading a policy, or telling everything that is wrong with it.

use serde_json::Value;

use super::locate::{self, Part, Places};
use super::shape::{self, Wrong};
use super::{BadPolicy, Fault, Policy, VERSION, check, schema};

/// Parses a policy.
pub(super) fn parse(text: &str) -> Result<Policy, BadPolicy> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| one(text, syntax(text, &error)))?;
    let places = Places::of(text);
    if let Some(version) = value.get("version").filter(|v| **v != VERSION) {
        // Another version may have other fields: nothing else can be said.
        let message = format!("version {version}: this cairn reads version {VERSION}");
        let at = places.find("/version", Part::Value);
        return Err(one(text, (at, "/version".to_owned(), message)));
    }
    let mut wrong: Vec<(usize, Wrong)> = Vec::new();
    for (pointer, at) in &places.twice {
        let message = "this field is there twice; remove one";
        wrong.push((*at, Wrong::name(pointer, message)));
    }
    let sets = value.get("state").and_then(Value::as_object).cloned();
    let sets: Vec<&str> = sets
        .iter()
        .flat_map(|s| s.keys())
        .map(String::as_str)
        .collect();
    let (rest, shapes) = mend(value);
    let policy = match serde_json::from_value::<Policy>(rest) {
        Ok(policy) => {
            let senseless = check::check(&policy, &sets);
            let known = |w: &Wrong| shapes.iter().any(|s| related(&s.pointer, &w.pointer));
            let senseless: Vec<Wrong> = senseless.into_iter().filter(|w| !known(w)).collect();
            wrong.extend(placed(&places, senseless));
            Some(policy)
        }
        // The types are stricter than their schema: never silently so.
        Err(error) => {
            if shapes.is_empty() {
                wrong.push((0, Wrong::value("", error.to_string())));
            }
            None
        }
    };
    wrong.extend(placed(&places, shapes));
    match policy {
        Some(policy) if wrong.is_empty() => Ok(policy),
        _ => {
            wrong.sort_by_key(|(at, _)| *at);
            let faults = wrong.into_iter();
            Err(BadPolicy {
                faults: faults
                    .map(|(at, w)| fault(text, (at, w.pointer, w.message)))
                    .collect(),
            })
        }
    }
}

/// What is wrong with the shape, and the value without all that.
fn mend(mut value: Value) -> (Value, Vec<Wrong>) {
    let schema = schema();
    let found = shape::check(&value, &schema);
    let mut left = found.clone();
    // What lacks a field now that it was taken out goes too.
    while !left.is_empty() {
        for wrong in &left {
            take_out(&mut value, &wrong.pointer);
        }
        left = shape::check(&value, &schema);
    }
    (value, found)
}

/// Takes a field out; of a list, which counts its items, the whole list.
fn take_out(value: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        *value = Value::Object(serde_json::Map::new());
        return;
    };
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.remove(&name.replace("~1", "/").replace("~0", "~"));
        }
        Some(_) => take_out(value, parent),
        None => {}
    }
}

/// Whether one of two values holds the other.
fn related(a: &str, b: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    holds(a, b) || holds(b, a)
}

fn placed(places: &Places, wrong: Vec<Wrong>) -> impl Iterator<Item = (usize, Wrong)> {
    wrong
        .into_iter()
        .map(|w| (places.find(&w.pointer, w.part), w))
}

fn syntax(text: &str, error: &serde_json::Error) -> (usize, String, String) {
    let start: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let mut at = (start + error.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let message = if error.is_eof() {
        "the text ends too early".to_owned()
    } else {
        let told = error.to_string();
        let told = told
            .rsplit_once(" at line ")
            .map_or(&*told, |(what, _)| what);
        told.replace('`', "")
    };
    let end = if error.is_eof() { text.len() } else { at };
    (
        at,
        locate::innermost(&text[..end]),
        format!("not JSON: {message}"),
    )
}

fn fault(text: &str, (at, pointer, message): (usize, String, String)) -> Fault {
    let (line, column) = locate::line_and_column(text, at);
    Fault {
        line,
        column,
        pointer,
        message,
    }
}

/// A fault of the value at a pointer.
pub(super) fn fault_at(text: &str, pointer: &str, message: String) -> Fault {
    let at = Places::of(text).find(pointer, Part::Value);
    fault(text, (at, pointer.to_owned(), message))
}

fn one(text: &str, wrong: (usize, String, String)) -> BadPolicy {
    BadPolicy {
        faults: vec![fault(text, wrong)],
    }
}
