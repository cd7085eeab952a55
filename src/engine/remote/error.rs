//! What can be wrong with a remote before anything is sent.

use std::path::PathBuf;

use crate::next::{Next, quoted};
use crate::point::address::AddressError;

/// Why a remote cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It is not in the policy, or it is not said which is meant.
    #[error("{}", no_such(.name.as_deref(), .known))]
    NoSuch {
        /// The name that was given.
        name: Option<String>,
        /// Those that are known.
        known: Vec<String>,
    },
    /// The policy says no file with the password, and no other was named.
    #[error("no file is known that holds the password of {}", called(.0))]
    NoPassword(String),
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// There is no repository.
    #[error("there is no repository at {address}")]
    NoRepository {
        /// The remote's name.
        name: String,
        /// Its address.
        address: String,
    },
    /// There is no repository to add.
    #[error("there is no repository at {0} yet")]
    NoneYet(String),
    /// There is what is left of one.
    #[error("the repository at {address} cannot be opened: {what}; what it keeps is left as it is")]
    Unopenable {
        /// Its address.
        address: String,
        /// What of it is lost or damaged.
        what: String,
    },
    /// It is where restore points are kept here.
    #[error("{0} belongs to this machine's own restore points: a copy there would be none")]
    Own(String),
    /// It is among what restore points hold.
    #[error("{address} is in {}, which restore points hold: a restore would take it away", .held.display())]
    Captured {
        /// The address.
        address: String,
        /// The path of the policy.
        held: PathBuf,
    },
    /// Its password opens nothing there.
    #[error("the password does not open {} at {address}", called(.name))]
    WrongPassword {
        /// The remote's name.
        name: String,
        /// Its address.
        address: String,
    },
    /// A remote of that name is there, with another address.
    #[error("the remote {name} is there already, at {address}")]
    Taken {
        /// Its name.
        name: String,
        /// Its address.
        address: String,
    },
    /// No machine of that name has points there.
    #[error("no machine {host} has restore points on {}; there are: {}", called(.name), list(.known))]
    NoSuchHost {
        /// The remote's name.
        name: String,
        /// The machine.
        host: String,
        /// Those that have.
        known: Vec<String>,
    },
    /// A name that cannot be one.
    #[error(
        "{0:?} is no name of a remote: it has small letters, digits and - only, and begins with a letter"
    )]
    BadName(String),
    /// A point on a remote of which not all is there.
    #[error("restore point {point} is not whole on {}: {what}", called(.name))]
    NotWhole {
        /// The remote's name.
        name: String,
        /// Short id.
        point: String,
        /// What is missing or damaged.
        what: String,
    },
    /// Nothing named so is there.
    #[error("no restore point {point} of {host} is on {}", called(.name))]
    NoSuchPoint {
        /// The remote's name.
        name: String,
        /// The machine.
        host: String,
        /// What was asked for.
        point: String,
    },
    /// A file there cannot be read, and that is in the way.
    #[error("{} is damaged: {what} (mend it on each machine that pushes there)", called(.name))]
    Damaged {
        /// The remote's name.
        name: String,
        /// Its address.
        address: String,
        /// Which file, and how.
        what: String,
    },
    /// It was asked for systems, and the policy says no store for them.
    #[error(
        "the policy says no Nix store for the systems of {} (remotes.{}.closures, such as \
         \"file:///mnt/cache\")",
        called(.0), .0
    )]
    NoClosures(String),
}

/// The name of a remote that only its address is known of. No policy can have it.
pub(super) const UNNAMED: &str = "-";

fn called(name: &str) -> String {
    match name {
        UNNAMED => "the remote".to_owned(),
        name => format!("the remote {name}"),
    }
}

/// How a remote is named on a command line.
fn how(name: &str) -> &str {
    match name {
        UNNAMED => "--url ADDRESS --password-file FILE",
        name => name,
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

fn no_such(name: Option<&str>, known: &[String]) -> String {
    match (name, known) {
        (_, []) => "the policy has no remote".to_owned(),
        (Some(name), known) => format!("the policy has no remote {name}; it has {}", list(known)),
        (None, known) => format!("say which remote is meant: {}", list(known)),
    }
}

impl RemoteError {
    /// What to run next.
    pub fn next(&self) -> Next {
        Next::run(match self {
            Self::NoSuch { known, .. } if known.is_empty() => {
                "cairn remote add NAME ADDRESS --password-file FILE".to_owned()
            }
            Self::NoSuch { name: None, known } => {
                let about = |name: &String| Next::again_with(name, None);
                let all = known.iter().map(about).reduce(Next::or_else);
                return all.unwrap_or_else(|| "cairn remote list".into());
            }
            Self::NoSuch { .. } => "cairn remote list".to_owned(),
            Self::NoPassword(_) | Self::WrongPassword { .. } => {
                return Next::again_with("--password-file", Some("FILE"));
            }
            Self::Address(_) | Self::BadName(_) => "cairn remote add --help".to_owned(),
            // What a path leads to may only be not mounted.
            Self::NoRepository { address, .. } if address.starts_with('/') => {
                format!("ls -la {}", quoted(address))
            }
            Self::NoRepository { name, address } => {
                let name = if name == UNNAMED { "NAME" } else { name };
                let address = quoted(address);
                format!("cairn remote add {name} {address} --new --password-file FILE")
            }
            Self::NoneYet(_) => return Next::again_with("--new", None),
            Self::Unopenable { .. } | Self::Own(_) | Self::Captured { .. } => {
                "cairn remote add NAME ADDRESS --new --password-file FILE".to_owned()
            }
            Self::Taken { name, .. } => format!("cairn remote remove {name}"),
            Self::NoSuchHost { name, .. } => format!("cairn remote list {}", how(name)),
            Self::NotWhole { name, .. } => format!("cairn remote check {} --read-data", how(name)),
            Self::NoSuchPoint { name, host, .. } => {
                format!("cairn remote list {} --host {}", how(name), quoted(host))
            }
            Self::Damaged { name, .. } => format!("cairn remote check {} --repair", how(name)),
            Self::NoClosures(_) => "cairn policy show".to_owned(),
        })
    }
}
