//! The generations of a profile, read from its links. No lock, no subprocess.
//!
//! The date of a generation is the modification time of its link, as for
//! `nix-env --list-generations`; links are only looked at, never touched.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::toplevel::{Facts, Reader};
use super::{At, IoError, Layout, error::optional};
use crate::nix::generation::{
    GenerationLink, GenerationNumber, TargetState, check_link, current_generation, link_name,
    parse_link_name,
};
use crate::nix::store_path::StorePath;

/// One usable generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number: a name for the link, gone with it.
    pub number: u64,
    /// What it is.
    pub toplevel: StorePath,
    /// When its link was made (UTC).
    #[serde(with = "chrono::serde::ts_nanoseconds")]
    pub date: DateTime<Utc>,
}

/// A link that looks like a generation and is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Name of the link.
    pub name: OsString,
    /// What is wrong with it.
    pub why: String,
}

/// A profile: its generations and where it points.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Oldest number first.
    pub generations: Vec<Generation>,
    /// What could not be used; the rest is listed all the same.
    pub broken: Vec<Broken>,
    /// The number the profile points to.
    pub current: Option<u64>,
    /// What is wrong with the profile link itself.
    pub fault: Option<String>,
}

impl Profile {
    /// The generation the profile points to, when it is usable.
    pub fn current(&self) -> Option<&Generation> {
        self.current.and_then(|n| self.number(n))
    }

    /// The generation with this number.
    pub fn number(&self, number: u64) -> Option<&Generation> {
        self.generations.iter().find(|g| g.number == number)
    }

    /// The highest-numbered generation of this toplevel.
    pub fn of(&self, toplevel: &StorePath) -> Option<&Generation> {
        self.generations
            .iter()
            .rev()
            .find(|g| &g.toplevel == toplevel)
    }
}

/// Reads the profile `name`.
///
/// # Errors
/// When the profiles directory cannot be listed; a missing one is an empty
/// profile.
pub fn read(layout: &Layout, name: &str) -> Result<Profile, IoError> {
    let dir = layout.profile_dir(name);
    let Some(entries) = optional(fs::read_dir(&dir).at("list the profiles in", &dir))? else {
        return Ok(Profile::default());
    };
    let mut profile = Profile::default();
    for entry in entries {
        let entry = entry.at("list the profiles in", &dir)?;
        let file_name = entry.file_name();
        let Some(number) = file_name.to_str().and_then(|n| parse_link_name(name, n)) else {
            continue;
        };
        if file_name.to_str() != Some(&link_name(name, number)) {
            let why = "its name is not one that Nix gives".to_owned();
            profile.broken.push(Broken {
                name: file_name,
                why,
            });
            continue;
        }
        match generation(layout, &entry.path(), number) {
            Ok(generation) => profile.generations.push(generation),
            Err(why) => profile.broken.push(Broken {
                name: file_name,
                why,
            }),
        }
    }
    profile.generations.sort_by_key(|g| g.number);
    profile.broken.sort_by(|a, b| a.name.cmp(&b.name));
    match current(layout, name) {
        Ok(number) => profile.current = number,
        Err(why) => profile.fault = Some(why),
    }
    if let Some(number) = profile.current
        && profile.number(number).is_none()
    {
        profile.fault = Some(format!(
            "the profile points to generation {number}, which is not usable"
        ));
    }
    Ok(profile)
}

fn generation(
    layout: &Layout,
    link: &Path,
    number: GenerationNumber,
) -> Result<Generation, String> {
    let meta = fs::symlink_metadata(link).map_err(|e| e.to_string())?;
    if !meta.is_symlink() {
        return Err("it is not a symlink".into());
    }
    let target = fs::read_link(link).map_err(|e| e.to_string())?;
    let state = target_state(layout, &target);
    let link = GenerationLink { number, target };
    let toplevel = check_link(&link, state).map_err(|e| e.to_string())?;
    let date = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH).into();
    Ok(Generation {
        number: number.0,
        toplevel,
        date,
    })
}

/// Whether what a link points to is there.
fn target_state(layout: &Layout, target: &Path) -> TargetState {
    match fs::symlink_metadata(layout.real(target)) {
        Ok(_) => TargetState::Complete,
        Err(e) if e.kind() == io::ErrorKind::NotFound => TargetState::Absent,
        Err(e) => TargetState::Unreadable(e.to_string()),
    }
}

/// The generation the profile `name` points to, without reading the others;
/// `None` when there is none that is usable.
pub fn current_of(layout: &Layout, name: &str) -> Option<Generation> {
    let number = GenerationNumber(current(layout, name).ok()??);
    let link = layout.profile_dir(name).join(link_name(name, number));
    generation(layout, &link, number).ok()
}

/// The system that the profile `name` leads to, be it there or gone.
pub fn target_of(layout: &Layout, name: &str) -> Option<StorePath> {
    let number = GenerationNumber(current(layout, name).ok()??);
    let link = layout.profile_dir(name).join(link_name(name, number));
    let target = fs::read_link(link).ok()?;
    StorePath::from_absolute_path(target.to_str()?.as_bytes()).ok()
}

/// The number a profile link points to.
fn current(layout: &Layout, name: &str) -> Result<Option<u64>, String> {
    let link = layout.profile(name);
    match fs::read_link(&link) {
        Ok(target) => {
            let number = current_generation(name, &target).map(|n| n.0);
            number.map(Some).ok_or_else(|| {
                format!(
                    "the profile link points to {}, not to a generation",
                    target.display()
                )
            })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
            Err(format!("{} is not a symlink", link.display()))
        }
        Err(e) => Err(format!(
            "cannot read the profile link {}: {e}",
            link.display()
        )),
    }
}

/// The facts of every generation, in order, read on two threads.
pub fn facts(layout: &Layout, generations: &[Generation]) -> Vec<Facts> {
    let reader = Reader::new(layout);
    let read = |part: &[Generation]| -> Vec<Facts> {
        part.iter().map(|g| reader.facts(&g.toplevel)).collect()
    };
    if generations.len() < 64 {
        return read(generations);
    }
    let (left, right) = generations.split_at(generations.len() / 2);
    thread::scope(|scope| {
        let right = scope.spawn(|| read(right));
        let mut all = read(left);
        match right.join() {
            Ok(right) => all.extend(right),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        all
    })
}

/// The specialisation (name and parent) that `running` is, if any generation
/// has it.
pub fn specialisation_of(
    layout: &Layout,
    profile: &Profile,
    running: &StorePath,
) -> Option<(String, StorePath)> {
    if profile.of(running).is_some() {
        return None;
    }
    profile.generations.iter().rev().find_map(|generation| {
        let name = name_of_specialisation(layout, &generation.toplevel, running)?;
        Some((name, generation.toplevel.clone()))
    })
}

/// The name under which `parent` has the specialisation `toplevel`, if it does.
pub fn name_of_specialisation(
    layout: &Layout,
    parent: &StorePath,
    toplevel: &StorePath,
) -> Option<String> {
    let reader = Reader::new(layout);
    let names = fs::read_dir(layout.store_path(parent).join("specialisation")).ok()?;
    names
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find(|name| reader.specialisation(parent, name).as_ref() == Some(toplevel))
}
