//! Where a remote is: restic's way of writing it.
//!
//! An address never holds a password: it is shown, stored and passed on.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// Where the repository of a remote is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A directory of this machine, perhaps mounted: `/mnt/backup`.
    Path(PathBuf),
    /// A REST server: `rest:https://host/name`.
    Rest(Url),
    /// An object store: `s3:https://host/bucket/prefix`.
    S3 {
        /// The server, with its port.
        endpoint: Url,
        /// The bucket.
        bucket: String,
        /// What precedes all names in it; may be empty.
        prefix: String,
    },
    /// A machine with an SFTP server: `sftp:user@host:/path`.
    Sftp {
        /// Host, perhaps with a user before it and a port behind it.
        host: String,
        /// The directory there.
        path: String,
    },
}

/// Why an address is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// None of the four kinds.
    #[error(
        "{0:?} is no address: there are /PATH, rest:https://HOST/NAME, s3:https://HOST/BUCKET/NAME and sftp:USER@HOST:/PATH"
    )]
    Unknown(String),
    /// A part that cannot be.
    #[error("the address {address:?} {why}")]
    Part {
        /// The address.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// A password where everybody sees it.
    #[error(
        "the address has a password in it, where everybody sees it: put it into a file and name that as environmentFile (see cairn remote add --help)"
    )]
    Password,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let seen: String = text.chars().filter(|c| !c.is_control()).collect();
        if has_password(text) || has_password(&seen) {
            return Err(AddressError::Password);
        }
        let part = |why: &str| AddressError::Part {
            address: text.to_owned(),
            why: why.to_owned(),
        };
        if seen != text {
            return Err(part("has a character in it that cannot be seen"));
        }
        let web = |rest: &str| -> Result<Url, AddressError> {
            let url = Url::parse(rest).map_err(|e| part(&format!("cannot be read: {e}")))?;
            // However it was written.
            if url.password().is_some() {
                return Err(AddressError::Password);
            }
            if url.query().is_some() || url.fragment().is_some() {
                return Err(part("has a ? or # in it, which names no repository"));
            }
            match (url.scheme(), url.host_str()) {
                ("http" | "https", Some(_)) => Ok(url),
                _ => Err(part("is neither http nor https")),
            }
        };
        if let Some(rest) = text.strip_prefix("rest:") {
            return Ok(Self::Rest(web(rest)?));
        }
        if let Some(rest) = text.strip_prefix("s3:") {
            let is_full = ["http://", "https://"]
                .iter()
                .any(|web| rest.starts_with(web));
            let full = match is_full {
                true => rest.to_owned(),
                false => format!("https://{rest}"),
            };
            let mut endpoint = web(&full)?;
            if !endpoint.username().is_empty() {
                return Err(part("has a user in it, which an object store has not"));
            }
            let path = endpoint.path().trim_matches('/').to_owned();
            let (bucket, prefix) = path.split_once('/').unwrap_or((&path, ""));
            if bucket.is_empty() {
                return Err(part("names no bucket"));
            }
            endpoint.set_path("");
            let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
            return Ok(Self::S3 {
                endpoint,
                bucket,
                prefix,
            });
        }
        if let Some(rest) = text.strip_prefix("sftp:") {
            let (host, path) = match rest.strip_prefix("//") {
                Some(rest) => rest.split_once('/'),
                None => rest.split_once(':'),
            }
            .ok_or_else(|| part("names no directory"))?;
            let name = host.rsplit_once('@').map_or(host, |(_, name)| name);
            if name.is_empty() || name.starts_with([':', '-']) || host.starts_with('-') {
                return Err(part("names no host"));
            }
            if !path.starts_with('/') {
                return Err(part(
                    "needs the whole path of the directory: sftp:HOST:/PATH, or sftp://HOST:PORT//PATH",
                ));
            }
            let (host, path) = (host.to_owned(), path.to_owned());
            return Ok(Self::Sftp { host, path });
        }
        match text.starts_with('/') && !text.contains('\0') {
            true => Ok(Self::Path(PathBuf::from(text))),
            false => Err(AddressError::Unknown(text.to_owned())),
        }
    }
}

/// Whether something like `user:password@` is in an address, readable or not.
fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once(':') else {
        return false;
    };
    let user = |part: &str| {
        part.rsplit_once('@')
            .is_some_and(|(user, _)| user.contains(':'))
    };
    !text.starts_with('/') && rest.split('/').any(user)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Rest(url) => write!(f, "rest:{url}"),
            Self::S3 {
                endpoint,
                bucket,
                prefix,
            } => {
                let server = endpoint.as_str().trim_end_matches('/');
                let name = format!("{bucket}/{prefix}");
                write!(f, "s3:{server}/{}", name.trim_end_matches('/'))
            }
            // With a port or the like, only the other way of writing it is clear.
            Self::Sftp { host, path } if host.contains([':', '/']) => {
                write!(f, "sftp://{host}/{path}")
            }
            Self::Sftp { host, path } => write!(f, "sftp:{host}:{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_kinds_are_read_and_written_as_restic_has_them() {
        for (text, shown) in [
            ("/mnt/backup", "/mnt/backup"),
            ("rest:http://h:8000/a/", "rest:http://h:8000/a/"),
            ("rest:https://me@h/a", "rest:https://me@h/a"),
            ("s3:https://h:9000/b/c/d/", "s3:https://h:9000/b/c/d"),
            ("s3:s3.amazonaws.com/b", "s3:https://s3.amazonaws.com/b"),
            ("sftp:me@h:/srv/x", "sftp:me@h:/srv/x"),
            ("sftp://me@h:2222//srv/x", "sftp://me@h:2222//srv/x"),
            ("sftp://me@h//srv/x", "sftp:me@h:/srv/x"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_none_is_refused_and_no_password_is_repeated() {
        for text in [
            "",
            "backup",
            "rest:ftp://h/x",
            "rest:",
            "s3:https://h",
            "s3:https://h/#x/b",
            "s3:h?b/c",
            "rest:https://h/x?y",
            "sftp:host",
            "sftp:me@:/x",
            "sftp:host:srv/x",
            "sftp://host:22/srv/x",
            "rest:https://h/\tx",
            "s3:https://me@h/b",
            "sftp:-oProxyCommand=x:/y",
            "b2:bucket",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        for text in [
            "rest:https://me:hunter2@h/",
            "sftp:me:hunter2@h:/x",
            "s3:https://a:hunter2@h/b",
            "rest:http://me:hunter2@[h/",
            "b2:me:hunter2@h",
            "s3::me:\0hunter2@s://h/b",
            "rest:h\nttps://me:hunter2@h/",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
