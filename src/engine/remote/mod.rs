//! Copies of restore points elsewhere.
//!
//! A remote is one ordinary restic repository with a key of its own, which its
//! password opens; any number of machines share it. Content is copied by the
//! original's id; a point is there when its parcel is, which is sent last
//! (`point/parcel.rs`). A push never deletes, so a server may forbid it.

mod add;
mod closure;
mod error;
pub(super) mod fit;
mod knowledge;
mod list;
mod pull;
mod push;
mod rules;
mod upkeep;

use std::path::{Path, PathBuf};

use super::{Engine, EngineError};
use crate::point::address::Address;
use crate::point::policy::Remote as Terms;
use crate::system::{secret, whereabouts};
use crate::vault::{Place, Repo, Secrets, VaultError};
use error::UNNAMED;

pub use add::{Added, Request as AddRequest, add, remove};
pub use error::RemoteError;
pub use fit::hardware_that_stays;
pub use list::{Kept, Listing, list};
pub use pull::{Pulled, Taken, Wanted, pull};
pub use push::{Pushed, push};
pub use upkeep::{Mended, Pruned, check, prune, repair};

/// Which remote is meant, and what opens it.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Its name; the only one there is, when absent.
    pub name: Option<String>,
    /// Its address, where the policy knows none: a machine that is new.
    pub url: Option<String>,
    /// The file with the password, instead of the policy's.
    pub password_file: Option<PathBuf>,
    /// The file with what opens the server, instead of the policy's.
    pub environment_file: Option<PathBuf>,
}

/// A remote of the policy.
pub struct Remote {
    /// Its name.
    pub name: String,
    /// What the policy says of it.
    pub terms: Terms,
    /// Where it is.
    pub address: Address,
    /// Its place.
    place: Place,
    password: String,
    /// What opens its server, and the store beside it.
    secrets: Secrets,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Remote").field(&self.name).finish()
    }
}

/// What opens a server.
fn secrets(file: Option<&std::path::Path>) -> Result<Secrets, EngineError> {
    let mut found = Secrets(secret::surroundings());
    if let Some(file) = file {
        found.0.extend(secret::environment(file)?);
    }
    Ok(found)
}

/// The remote that is meant; nothing is sent to it yet.
///
/// # Errors
/// No such remote; an address that is none; a password that cannot be read.
pub fn find(engine: &Engine<'_>, access: &Access) -> Result<Remote, EngineError> {
    let (name, terms) = match &access.url {
        Some(url) => (
            access.name.clone().unwrap_or_else(|| UNNAMED.to_owned()),
            terms(url),
        ),
        None => named(engine, access)?,
    };
    let password_file = access
        .password_file
        .as_ref()
        .or(terms.password_file.as_ref());
    let password_file = password_file.ok_or_else(|| RemoteError::NoPassword(name.clone()))?;
    let environment = access
        .environment_file
        .as_ref()
        .or(terms.environment_file.as_ref());
    let environment = environment.cloned();
    let password = secret::password(password_file)?;
    let address: Address = terms.url.parse().map_err(RemoteError::from)?;
    if let Address::Path(path) = &address
        && is_own(engine, path)
    {
        return Err(RemoteError::Own(terms.url.clone()).into());
    }
    let secrets = secrets(environment.as_deref())?;
    let cache = engine.layout.remotes().join("cache");
    Ok(Remote {
        name,
        terms,
        place: Place::at(&address, &secrets, &cache)?,
        address,
        password,
        secrets,
    })
}

/// Whether it is where this machine's own restore points are: as a remote it
/// would be pruned by other rules.
fn is_own(engine: &Engine<'_>, path: &Path) -> bool {
    let path = whereabouts::real(path);
    let vault = whereabouts::real(&engine.layout.vault());
    path.starts_with(&vault) || vault.starts_with(&path)
}

/// The remote of the policy that is meant.
fn named(engine: &Engine<'_>, access: &Access) -> Result<(String, Terms), EngineError> {
    let known = &engine.policy.remotes;
    let named = match &access.name {
        Some(name) => known.get_key_value(name),
        None if known.len() == 1 => known.first_key_value(),
        None => None,
    };
    let (name, terms) = named.ok_or_else(|| RemoteError::NoSuch {
        name: access.name.clone(),
        known: known.keys().cloned().collect(),
    })?;
    Ok((name.clone(), terms.clone()))
}

/// The name of the remote of the policy that is meant, where there is one.
fn known(engine: &Engine<'_>, access: &Access) -> Option<String> {
    match access.url {
        Some(_) => None,
        None => named(engine, access).ok().map(|(name, _)| name),
    }
}

/// A remote that only its address is known of.
fn terms(url: &str) -> Terms {
    Terms {
        url: url.to_owned(),
        password_file: None,
        environment_file: None,
        schedule: None,
        prune_schedule: None,
        check_schedule: None,
        keep: None,
        closures: None,
        max_age: None,
        knowledge: true,
    }
}

impl Remote {
    /// Opens its repository.
    ///
    /// # Errors
    /// A server that cannot be reached, no repository there, a wrong password.
    pub fn open(&self, engine: &Engine<'_>) -> Result<Repo, EngineError> {
        crate::system::durable::create_private_dir(&engine.layout.remotes())?;
        let unopenable = |what: String| -> EngineError {
            let address = self.address.to_string();
            RemoteError::Unopenable { address, what }.into()
        };
        if !self.place.is_taken()? {
            return Err(match self.place.remains()? {
                Some(_) => unopenable("its settings, the file config, are gone".to_owned()),
                None => RemoteError::NoRepository {
                    name: self.name.clone(),
                    address: self.address.to_string(),
                }
                .into(),
            });
        }
        match self.place.open(&self.password) {
            Ok(repo) => Ok(repo.watched(engine.watch())),
            Err(error) if error.is_key() => Err(RemoteError::WrongPassword {
                name: self.name.clone(),
                address: self.address.to_string(),
            }
            .into()),
            Err(VaultError::Damaged { files, detail, .. }) => {
                let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
                Err(unopenable(format!(
                    "damaged {}: {detail}",
                    files.join(", ")
                )))
            }
            Err(error) => Err(error.into()),
        }
    }
}
