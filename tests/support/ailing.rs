//! A machine under a temporary root with units that can be healed.

use std::fs;

use serde_json::{Value, json};

use super::machine::Run;
use super::patient::Patient;

/// A machine whose units are files that a script takes for systemd's.
pub struct Ailing(pub Patient);

impl Ailing {
    /// One whose units are all well.
    pub fn new() -> Option<Self> {
        let patient = Patient::new()?;
        patient.tool("systemctl", include_str!("systemctl-heal"));
        fs::create_dir_all(patient.0.home().join("units.json.d")).unwrap();
        let ailing = Self(patient);
        ailing.policy(&json!({}));
        Some(ailing)
    }

    /// Writes the policy: nothing need settle, and disks may be what they like.
    pub fn policy(&self, policy: &Value) {
        let mut all = json!({
            "gate": { "window": "50ms" },
            "heal": { "settle": "0s" },
            "health": { "disabled": ["disk", "inodes"] },
        });
        merge(&mut all, policy);
        self.0.policy(&all);
    }

    /// A unit in a state.
    pub fn unit(&self, name: &str, state: &str) {
        self.say(name, &format!("{state}\n"));
    }

    /// Something the script reads about a unit.
    pub fn say(&self, file: &str, text: &str) {
        let dir = self.0.0.home().join("units.json.d");
        fs::write(dir.join(file), text).unwrap();
    }

    /// The state of a unit.
    pub fn state(&self, name: &str) -> String {
        let dir = self.0.0.home().join("units.json.d");
        fs::read_to_string(dir.join(name))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// What systemd was told to do, line by line.
    pub fn done(&self) -> String {
        fs::read_to_string(self.0.0.home().join("units.json.log")).unwrap_or_default()
    }

    /// Runs the program.
    pub fn run(&self, args: &[&str]) -> Run {
        self.0.run(args)
    }

    /// Runs the program with `--json`, which must end well.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        self.run(&args).ends(0).json()
    }

    /// `cairn heal --yes`, which must end with this code.
    #[track_caller]
    pub fn heal(&self, code: i32, args: &[&str]) -> Value {
        let all: Vec<&str> = ["--json", "heal", "--yes"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        self.run(&all).ends(code).json()["heal"].clone()
    }

    /// Ids of all points, oldest first.
    pub fn ids(&self) -> Vec<String> {
        self.0.0.ids()
    }

    /// The document of a point.
    pub fn document(&self, id: &str) -> Value {
        self.0.0.document(id)
    }

    /// The book of healing, as it is stored.
    pub fn book(&self) -> Value {
        let path = self.0.0.state().join("healing.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
