//! What cairn wrote down in a machine, and what it said.

use serde_json::Value;

use super::{Bed, Out};

/// What came of a switch: how far it came, its exit code where that is known,
/// the verdict, what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub reached: String,
    pub exit: Option<i64>,
    pub verdict: String,
    pub done: String,
}

/// See [`Told`].
pub fn told(reached: &str, exit: impl Into<Option<i64>>, verdict: &str, done: &str) -> Told {
    Told {
        reached: reached.into(),
        exit: exit.into(),
        verdict: verdict.into(),
        done: done.into(),
    }
}

impl Bed {
    /// Waits until no switch is watched any more; the records, newest first.
    #[track_caller]
    pub fn history(&self) -> Vec<Value> {
        self.wait_for(
            "cairn --json history | python3 -c \"import json,sys; \
             sys.exit(any('result' not in i for i in json.load(sys.stdin)['history']['items']))\"",
        );
        self.json("history")["history"]["items"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// What came of the newest switch.
    #[track_caller]
    pub fn newest(&self) -> Told {
        came_to(&self.history()[0])
    }

    /// Why, as it was written down: reasons and trouble.
    #[track_caller]
    pub fn reasons(&self) -> String {
        let result = &self.history()[0]["result"];
        format!("{} {}", result["reasons"], result["trouble"])
    }

    /// Restore points taken by a trigger, as they are listed.
    #[track_caller]
    pub fn points(&self, trigger: &str) -> Vec<Value> {
        let listed = self.json(&format!("list --trigger {trigger}"));
        listed["points"]["items"].as_array().unwrap().clone()
    }

    /// The document of a restore point.
    #[track_caller]
    pub fn point(&self, selector: &str) -> Value {
        self.json(&format!("show {selector}"))["point"].clone()
    }

    /// What the watchers of this boot said.
    pub fn watchers(&self) -> String {
        self.sh("journalctl --boot --no-pager -o cat -u 'cairn-gate-*'")
            .out
    }

    /// `nixos-rebuild switch` into a specialisation.
    pub fn specialise(&self, parent: &str, name: &str) -> Out {
        self.sh(&format!(
            "nixos-rebuild switch {} {name}",
            self.path(parent)
        ))
    }

    /// The store path of a specialisation.
    pub fn specialisation(&self, parent: &str, name: &str) -> String {
        let link = format!("{}/specialisation/{name}", self.path(parent));
        self.sh(&format!("readlink -f {link}")).ok()
    }

    /// Fills the file system that holds cairn's state to the last byte.
    pub fn fill_state(&self) {
        self.sh("umask 077; cp -a /var/lib/cairn /run/kept && \
             mount -t tmpfs -o size=8m,mode=0700 tmpfs /var/lib/cairn && \
             cp -a /run/kept/. /var/lib/cairn/ && rm -r /run/kept && \
             ! dd if=/dev/zero of=/var/lib/cairn/full bs=4k status=none 2>/dev/null")
            .ok();
    }
}

/// What a record says came of its switch.
#[track_caller]
pub fn came_to(record: &Value) -> Told {
    let result = &record["result"];
    let text = |name: &str| result[name].as_str().unwrap().to_owned();
    Told {
        reached: text("reached"),
        exit: result["exit"].as_i64(),
        verdict: text("verdict"),
        done: text("done"),
    }
}
