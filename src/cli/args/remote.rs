//! The arguments of the verbs that go elsewhere.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::KeepArgs;
use crate::engine::remote::Access;

/// `remote`
#[derive(Debug, Subcommand)]
pub enum Remote {
    /// Make a remote known, and its repository with --new
    Add(AddRemote),
    /// Forget a remote; what it keeps stays there
    Remove {
        /// Its name
        name: String,
    },
    /// List the machines and points on a remote, or the remotes there are
    #[command(visible_alias = "ls")]
    List {
        /// Which remote
        #[command(flatten)]
        access: NamedArgs,
        /// Only the points of this machine
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
        /// The points of all machines, one by one
        #[arg(long, conflicts_with = "host")]
        all_hosts: bool,
    },
    /// Send points that are not there yet
    Push {
        /// Which remote
        #[command(flatten)]
        access: NamedArgs,
        /// Their systems too, to the Nix store that the policy names for it
        #[arg(long)]
        closure: bool,
    },
    /// Take points in
    Pull {
        /// The starts of their ids [default: the newest]
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// Where from
        #[command(flatten)]
        access: RemoteArgs,
        /// The machine that took them [default: this one]
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
        /// All points of that machine
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Check what a remote keeps
    Check {
        /// Which remote
        #[command(flatten)]
        access: NamedArgs,
        /// Read all of it
        #[arg(long)]
        read_data: bool,
        /// Mend the index, remove what is torn, and send again what of this machine is lost
        #[arg(long)]
        repair: bool,
    },
    /// Remove this machine's points there that no rule keeps
    Prune {
        /// Which remote
        #[command(flatten)]
        access: NamedArgs,
        /// The points of all machines, by the same rules
        #[arg(long)]
        all_hosts: bool,
        /// Rules, instead of the policy's
        #[command(flatten)]
        keep: KeepArgs,
    },
}

/// `remote add`
#[derive(Debug, Args)]
pub struct AddRemote {
    /// Its name: small letters, digits and -
    pub name: String,
    /// /PATH, rest:https://HOST/NAME, s3:https://HOST/BUCKET/NAME or sftp:USER@HOST:/PATH
    pub url: String,
    /// The file with the repository's password
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_file: PathBuf,
    /// A file of NAME=VALUE lines that open the server, such as RESTIC_REST_PASSWORD
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub environment_file: Option<PathBuf>,
    /// Make the repository, where there is none
    #[arg(long)]
    pub new: bool,
    /// When the module's timer sends points, as systemd's OnCalendar has it
    #[arg(long, value_name = "WHEN")]
    pub schedule: Option<String>,
    /// The Nix store that systems are sent to, such as file:///mnt/cache
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub closures: Option<String>,
}

/// A remote by its name, as the first argument.
#[derive(Clone, Debug, Default, Args)]
pub struct NamedArgs {
    /// The remote's name [default: the only one there is]
    pub name: Option<String>,
    /// What opens it
    #[command(flatten)]
    pub key: KeyArgs,
}

/// A remote by an option.
#[derive(Clone, Debug, Default, Args)]
pub struct RemoteArgs {
    /// The remote's name [default: the only one there is]
    #[arg(long, value_name = "NAME")]
    pub remote: Option<String>,
    /// What opens it
    #[command(flatten)]
    pub key: KeyArgs,
}

/// What opens a remote, where the policy does not say it.
#[derive(Clone, Debug, Default, Args)]
pub struct KeyArgs {
    /// Its address, on a machine whose policy does not know it
    #[arg(long, value_name = "ADDRESS")]
    pub url: Option<String>,
    /// The file with its password [default: the policy's]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
    /// The file with what opens its server [default: the policy's]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub environment_file: Option<PathBuf>,
}

impl KeyArgs {
    fn access(self, name: Option<String>) -> Access {
        Access {
            name,
            url: self.url,
            password_file: self.password_file,
            environment_file: self.environment_file,
        }
    }
}

impl RemoteArgs {
    /// Whether a remote is meant at all.
    pub fn is_given(&self) -> bool {
        self.remote.is_some() || self.key.url.is_some()
    }
}

impl From<NamedArgs> for Access {
    fn from(args: NamedArgs) -> Self {
        args.key.access(args.name)
    }
}

impl From<RemoteArgs> for Access {
    fn from(args: RemoteArgs) -> Self {
        args.key.access(args.remote)
    }
}
