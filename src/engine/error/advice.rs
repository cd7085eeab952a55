//! What an error means for whoever asked: what is untouched, and what to do next.

use std::path::{Path, PathBuf};

use super::EngineError;
use crate::next::{Next, quoted};
use crate::point::document::RootKind;
use crate::system::IoError;
use crate::system::journal;
use crate::system::lock::LockError;
use crate::system::points::StoreDocumentError;
use crate::system::whereabouts::as_far_as_there;
use crate::vault::VaultError;

impl EngineError {
    /// Whether it was stopped on request.
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::Stopped | Self::StoppedPrune => true,
            Self::Vault(e) => e.is_stopped(),
            Self::Halfway { why, .. } => why.is_stopped(),
            _ => false,
        }
    }

    /// A path that is none of those a point holds, with the one that may have
    /// been meant.
    pub(in crate::engine) fn not_in_point<'p>(
        point: &crate::point::Point,
        path: &std::path::Path,
        held: impl Iterator<Item = &'p PathBuf>,
    ) -> Self {
        if let Some(error) = Self::known_missing(point, path) {
            return error;
        }
        let known: Vec<&str> = held.filter_map(|p| p.to_str()).collect();
        let near = path
            .to_str()
            .and_then(|text| crate::point::near::nearest(text, &known));
        Self::NotInPoint {
            point: point.id.short_among([]),
            path: path.to_owned(),
            near: near.map(PathBuf::from),
        }
    }

    /// A path that a restore was to bring back, and that is neither in the point
    /// nor on disk.
    pub(in crate::engine) fn nowhere(point: &crate::point::Point, path: PathBuf) -> Self {
        Self::known_missing(point, &path).unwrap_or_else(|| Self::NoSuchPath {
            point: point.id.short_among([]),
            path,
        })
    }

    /// What the point itself says of a path that it does not hold.
    fn known_missing(point: &crate::point::Point, path: &std::path::Path) -> Option<Self> {
        let (short, held) = (point.id.short_among([]), path.to_owned());
        let mut missing = point.completeness.missing().iter();
        if let Some(missing) = missing.find(|m| path.starts_with(m.what.as_path())) {
            return Some(Self::NotCaptured {
                point: short,
                path: held,
                why: missing.why.clone(),
            });
        }
        let config = point.config.iter().flat_map(|c| &c.roots);
        let mut roots = config.chain(point.state.values().flat_map(|set| &set.roots));
        let absent = roots
            .any(|root| root.kind == RootKind::Absent && path.starts_with(root.path.as_path()));
        absent.then_some(Self::AbsentThen {
            point: short,
            path: held,
        })
    }

    /// Whether nothing was begun because somebody else is at work, or did not
    /// end what they had begun.
    pub fn is_kept_out(&self) -> bool {
        matches!(
            self,
            Self::Lock(LockError::Held { .. }) | Self::Unfinished(_)
        )
    }

    /// Whether the disk is full.
    pub fn is_no_space(&self) -> bool {
        let full = |kind| {
            matches!(
                kind,
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        };
        match self {
            Self::Vault(e) => e.is_no_space(),
            Self::Io(e) => full(e.kind()),
            Self::Document(StoreDocumentError::Io(e)) => full(e.kind()),
            _ => false,
        }
    }

    /// The file operation that failed, if one did.
    fn io(&self) -> Option<(&std::path::Path, std::io::ErrorKind)> {
        match self {
            Self::Io(e) | Self::Document(StoreDocumentError::Io(e)) => Some((&e.path, e.kind())),
            Self::Lock(LockError::Io(e)) => Some((&e.path, e.kind())),
            Self::Vault(VaultError::Io { path, source, .. }) => Some((path, source.kind())),
            _ => None,
        }
    }

    /// What to do about a file operation that failed, where that can be told.
    fn next_of_io(&self) -> Option<Next> {
        use std::io::ErrorKind;

        let (path, kind) = self.io()?;
        match kind {
            ErrorKind::ReadOnlyFilesystem => Some(
                Next::run(format!(
                    "mount -o remount,rw \"$(findmnt -n -o TARGET -T {})\"",
                    quoted(as_far_as_there(path))
                ))
                .or("cairn restore ID --to DIR")
                .or("cairn export ID FILE"),
            ),
            // In the vault it is full of points; elsewhere of other things. The
            // file itself may be one that is gone by now.
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded
                if !matches!(self, Self::Vault(_)) =>
            {
                let folder = as_far_as_there(path.parent().unwrap_or(path));
                Some(Next::run(format!("df -h {}", quoted(folder))))
            }
            ErrorKind::PermissionDenied if !rustix::process::geteuid().is_root() => {
                Some(Next::again_as_root())
            }
            ErrorKind::AddrInUse => Some(Next::run("ss -lnp").or("cairn serve --help")),
            // What the vault lacks is damage.
            _ if matches!(self, Self::Vault(_)) => None,
            // What is wrong is what is in it; secrets are nobody else's.
            ErrorKind::Other | ErrorKind::InvalidData if !self.is_secret() => None,
            _ => Some(Next::run(format!("ls -ld {}", quoted(meant(path))))),
        }
    }

    /// Whether a file with a secret is what cannot be used.
    fn is_secret(&self) -> bool {
        let of = |error: &IoError| {
            let mut words = ["password", "environment"].iter();
            words.any(|word| error.operation.contains(word))
        };
        matches!(self, Self::Io(error) if of(error))
    }

    /// What was left as it was, as the end of a sentence.
    pub fn untouched(&self) -> &'static str {
        match self {
            Self::Unfinished(_) => "nothing more was changed",
            Self::Halfway { .. } => {
                "the restore is not finished; what was there before is in the restore point \
                 taken first"
            }
            Self::Run(_) => "restore points are unchanged",
            Self::StoppedPrune => "what was removed stays so, the rest is as it was",
            e if e.is_stopped() => "nothing was changed",
            _ => "nothing was changed",
        }
    }

    /// What to run next.
    pub fn next(&self) -> Next {
        if let Self::Io(error) = self
            && error.operation == journal::READ
        {
            return "cairn verify --repair".into();
        }
        if let Some(next) = self.next_of_io() {
            return next;
        }
        match self {
            Self::Unfinished(_) | Self::Halfway { .. } => {
                Next::run("cairn resume").or("cairn abort")
            }
            Self::StoppedPrune => "cairn prune".into(),
            e if e.is_stopped() => Next::again(),
            Self::OtherVersion(_) => "cairn restore ID --state SET".into(),
            Self::LinkAbove(path) => {
                Next::run(format!("ls -l {}", quoted(path))).or("cairn restore ID --to DIR")
            }
            Self::Remote(error) => error.next(),
            Self::Vault(VaultError::Unset { .. }) => {
                Next::again_with("--environment-file", Some("FILE"))
            }
            // The server may be there again by now.
            Self::Vault(VaultError::Far { .. }) => Next::again(),
            Self::NoWay(_) => "cairn diff".into(),
            Self::NotRunning => "cairn health".into(),
            Self::Unanswerable(_) | Self::TooLate { .. } => "cairn history".into(),
            Self::NoChange(_) => "cairn risk -- nixos-rebuild build".into(),
            Self::Share(_) => "cairn learn export --help".into(),
            Self::Policy(_) => "cairn policy check".into(),
            Self::SelectDamaged { .. } => "cairn verify --repair".into(),
            Self::Select(_) | Self::NoRestore(_) => "cairn list".into(),
            Self::NotHeld { point, .. }
            | Self::NoSuchPath { point, .. }
            | Self::NotInPoint { point, .. }
            | Self::AbsentThen { point, .. }
            | Self::NotCaptured { point, .. }
            | Self::NoSuchSet { point, .. } => Next::run(format!("cairn show {point}")),
            Self::Conflicts { .. } => Next::again_with("--allow-conflicts", None),
            Self::NoBase { .. } => Next::again_with("--merge-base", Some("ID")),
            Self::Taken(path) => Next::run(format!("ls -ld {}", quoted(path))),
            Self::NotFresh { path, .. } => {
                let mut beside = path.as_os_str().to_owned();
                beside.push("-restored");
                Next::again_with("--to", Some(&beside.to_string_lossy()))
            }
            Self::Import { next, .. } => next.clone(),
            Self::WrongPassword(_) => Next::again_with("--password-file", Some("FILE")),
            Self::UnknownSet(_) => "cairn create -n".into(),
            Self::NoStateVault => "cairn verify".into(),
            Self::NoRoom { .. } => "cairn prune".into(),
            Self::Units(_) => "systemctl --failed".into(),
            Self::Switching { .. } => in_a_while(),
            Self::Lock(LockError::Held { .. }) => in_a_while().or("cairn status"),
            // It also frees what this attempt had stored.
            Self::Vault(e) if e.is_no_space() => "cairn prune".into(),
            Self::Vault(VaultError::Key { path, .. }) if path.ends_with("key.json") => {
                let vault = path.parent().unwrap_or(path);
                Next::run(format!(
                    "restic -r {} --password-file {} snapshots",
                    quoted(vault.join("config")),
                    quoted(vault.join("recovery-password"))
                ))
            }
            Self::Vault(_) => Next::run("cairn verify --read-data").or("cairn verify --repair"),
            Self::ToplevelGone { point, recipe, .. } => match recipe {
                Some(line) => Next::run(format!("cairn restore {point} --rebuild"))
                    .or(format!("cairn restore {point} --from URL"))
                    .or(format!("cairn restore {point} --only config && {line}")),
                None => Next::run(format!("cairn restore {point} --from URL")),
            },
            Self::NotFetched {
                unsigned, tried, ..
            } => {
                let signature = |t: &String| t.contains("signature");
                match !unsigned && tried.iter().any(signature) {
                    true => Next::again_with("--no-check-sigs", None),
                    false => Next::again_with("--rebuild", None)
                        .without("--from", true)
                        .or_else(Next::again_with("--from", Some("URL"))),
                }
            }
            Self::NoRecipe { point } => Next::run(format!("cairn restore {point} --from URL")),
            Self::NotAllowed { .. } => Next::again_as_root(),
            Self::NoGeneration { .. } => "cairn generations list".into(),
            Self::Prune(_) => Next::again_with("--keep-last", Some("20")).with("--dry-run"),
            Self::Within(_) => "cairn prune --keep-last 20 --dry-run".into(),
            Self::Protected { point, .. } => Next::run(format!("cairn unpin {point}")),
            _ => "cairn status".into(),
        }
    }
}

/// What somebody knows of: the folder, where a file is one that is made there
/// before it gets its name.
fn meant(path: &Path) -> &Path {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    match path.parent() {
        Some(folder) if name.starts_with(b".tmp-") => folder,
        _ => path,
    }
}

/// The same, and wait for whoever is at work.
fn in_a_while() -> Next {
    Next::again_with("--lock-timeout", Some("300"))
}
