//! Making a remote, and letting go of one.

use std::path::{Path, PathBuf};

use super::super::policy::{self, PolicyFileError};
use super::super::{Engine, EngineError};
use super::{Access, RemoteError, Terms, find};
use crate::point::address::Address;
use crate::point::policy::{Change, Kind};
use crate::system::{policy_file, remotes, whereabouts};

/// A remote that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Whether its repository was made just now.
    pub made: bool,
    /// What to write into the NixOS configuration, where the policy is of one.
    pub declare: Option<String>,
}

/// A remote to add.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: String,
    /// The file with its password, as the policy names it.
    pub password_file: PathBuf,
    /// The file with what opens the server.
    pub environment_file: Option<PathBuf>,
    /// When points are sent.
    pub schedule: Option<String>,
    /// The Nix store for systems.
    pub closures: Option<String>,
}

impl Request {
    /// Whether a policy says all of it.
    fn is_in(&self, terms: &Terms) -> bool {
        let same =
            |wanted: &Option<PathBuf>, known: &Option<PathBuf>| wanted.is_none() || wanted == known;
        let said =
            |wanted: &Option<String>, known: &Option<String>| wanted.is_none() || wanted == known;
        terms.url == self.url
            && terms.password_file.as_ref() == Some(&self.password_file)
            && same(&self.environment_file, &terms.environment_file)
            && said(&self.schedule, &terms.schedule)
            && said(&self.closures, &terms.closures)
    }
}

/// Opens a remote, or makes its repository when `new` says so, and writes it
/// into the policy file. Only looks when `dry`.
///
/// # Errors
/// A name or an address that is none; a server that cannot be reached; a wrong
/// password; no repository there; a policy file that cannot be changed.
pub fn add(
    engine: &Engine<'_>,
    policy: &std::path::Path,
    request: &Request,
    new: bool,
    dry: bool,
) -> Result<Result<Added, PolicyFileError>, EngineError> {
    let name = &request.name;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !name.chars().all(plain)
        || name.len() > 40
    {
        return Err(RemoteError::BadName(name.clone()).into());
    }
    if let Some(there) = engine.policy.remotes.get(name)
        && there.url != request.url
    {
        return Err(RemoteError::Taken {
            name: name.clone(),
            address: there.url.clone(),
        }
        .into());
    }
    let remote = find(
        engine,
        &Access {
            name: Some(name.clone()),
            url: Some(request.url.clone()),
            password_file: Some(request.password_file.clone()),
            environment_file: request.environment_file.clone(),
        },
    )?;
    if let Address::Path(path) = &remote.address
        && let Some(held) = captured(engine, path)
    {
        let (address, held) = (request.url.clone(), held.to_owned());
        return Err(RemoteError::Captured { address, held }.into());
    }
    // What the policy says already, perhaps with more, is not written again; what
    // it cannot be told is found out before anything is made.
    let known = engine.policy.remotes.get(name);
    let known = known.is_some_and(|terms| request.is_in(terms));
    let change = change(request);
    let mut declared = false;
    if !known {
        match write(engine, policy, &change, true) {
            Ok(()) => {}
            Err(PolicyFileError::Declared { .. }) => declared = true,
            Err(other) => return Ok(Err(other)),
        }
    }
    if !known && !dry && !policy_file::is_there(policy)? {
        policy_file::make_folder(policy)?;
    }
    if !known && !dry && !declared {
        policy_file::may_write(policy)?;
    }
    let made = !remote.place.is_taken()? || (new && remote.place.is_half_made()?);
    // Folders above it are somebody's: a disk that is not mounted has none.
    if made
        && new
        && let Address::Path(path) = &remote.address
    {
        whereabouts::look_above(path)?;
    }
    let address = || remote.address.to_string();
    match (made, new, dry) {
        _ if made && remote.place.remains()?.is_some() => drop(remote.open(engine)?),
        (true, false, _) => return Err(RemoteError::NoneYet(address()).into()),
        (true, true, true) => {}
        (true, true, false) => drop(remote.place.make(&remote.password)?),
        (false, ..) => drop(remote.open(engine)?),
    }
    // What is known of one of this name is of another repository.
    if !dry && (made || remotes::read(engine.layout, name).is_ok_and(|r| r.address != address())) {
        remotes::forget(engine.layout, name)?;
    }
    let mut added = Added {
        name: name.clone(),
        address: remote.address.to_string(),
        made,
        declare: None,
    };
    if known {
        return Ok(Ok(added));
    }
    Ok(match write(engine, policy, &change, dry) {
        Ok(()) => Ok(added),
        Err(PolicyFileError::Declared { instead, .. }) => {
            added.declare = Some(instead);
            Ok(added)
        }
        Err(other) => Err(other),
    })
}

/// The path of the policy that holds it: a restore of that would take it away.
fn captured<'e>(engine: &Engine<'e>, path: &Path) -> Option<&'e Path> {
    let path = whereabouts::real(path);
    let policy = engine.policy;
    let holds = |held: &&PathBuf| path.starts_with(whereabouts::real(&engine.layout.real(held)));
    let config = policy.config_paths.iter().find(holds);
    let mut state = policy.state.values();
    let state = || {
        state.find_map(|set| match set.exclude.iter().any(|left| holds(&left)) {
            true => None,
            false => set.paths.iter().find(holds),
        })
    };
    config.or_else(state).map(PathBuf::as_path)
}

fn change(request: &Request) -> Change {
    let mut value = serde_json::Map::new();
    let mut put = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            value.insert(name.to_owned(), text.into());
        }
    };
    let path = |path: &PathBuf| path.display().to_string();
    put("url", Some(request.url.clone()));
    put("passwordFile", Some(path(&request.password_file)));
    put(
        "environmentFile",
        request.environment_file.as_ref().map(path),
    );
    put("schedule", request.schedule.clone());
    put("closures", request.closures.clone());
    Change {
        kind: Kind::Remote,
        name: request.name.clone(),
        add: Some(value.into()),
    }
}

/// Writes it; a machine without a policy gets the one to start from first.
fn write(
    engine: &Engine<'_>,
    policy: &std::path::Path,
    change: &Change,
    dry: bool,
) -> Result<(), PolicyFileError> {
    match policy::change(engine.layout, policy, change, dry) {
        Err(PolicyFileError::Absent(_)) if dry => Ok(()),
        Err(PolicyFileError::Absent(_)) => {
            policy::init(policy, false)?;
            policy::change(engine.layout, policy, change, false).map(drop)
        }
        other => other.map(drop),
    }
}

/// Takes a remote out of the policy file; what it keeps stays there.
///
/// # Errors
/// As [`policy::change`].
pub fn remove(
    engine: &Engine<'_>,
    policy: &std::path::Path,
    name: &str,
    dry: bool,
) -> Result<(), PolicyFileError> {
    let change = Change {
        kind: Kind::Remote,
        name: name.to_owned(),
        add: None,
    };
    policy::change(engine.layout, policy, &change, dry)?;
    if !dry {
        remotes::forget(engine.layout, name)?;
    }
    Ok(())
}
