//! Object stores and SFTP servers, through OpenDAL. A listing that fails in the
//! middle is an error: a file that was not listed must never pass for one that
//! is not there.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use opendal::blocking::Operator;
use opendal::layers::{RetryLayer, TimeoutLayer};
use opendal::options::{ListOptions, ReadOptions};
use opendal::{Builder, services};
use rustic_core::{
    BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend,
};
use tokio::runtime::Runtime;

use crate::point::address::Address;
use crate::vault::place::Secrets;

/// How often a request that failed is tried again.
const RETRIES: usize = 3;
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The files of a repository in a bucket, or in a directory of an SFTP server.
#[derive(Clone)]
pub(crate) struct Objects {
    operator: Operator,
    address: String,
    /// What it runs on; ends with it.
    _runtime: Arc<Runtime>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Objects").field(&self.address).finish()
    }
}

/// One runtime for all of them.
fn runtime() -> Result<Arc<Runtime>, String> {
    static RUNTIME: OnceLock<Arc<Runtime>> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(Arc::clone(runtime));
    }
    // Its HTTP client, which it installs by itself only where it registers all
    // services at the start of the process.
    opendal::install_default();
    let made = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| format!("no runtime: {e}"))?;
    Ok(Arc::clone(RUNTIME.get_or_init(|| Arc::new(made))))
}

impl Objects {
    /// A store for an address of one of both kinds.
    ///
    /// # Errors
    /// What is missing or wrong, in one line without a secret.
    pub(crate) fn new(address: &Address, secrets: &Secrets) -> Result<Self, String> {
        let operator = match address {
            Address::S3 {
                endpoint,
                bucket,
                prefix,
            } => {
                let secret = |name: &str| {
                    secrets
                        .get(name)
                        .ok_or_else(|| format!("{name} is not set"))
                };
                let region = secrets
                    .get("AWS_REGION")
                    .or_else(|| secrets.get("AWS_DEFAULT_REGION"));
                let mut service = services::S3::default()
                    .endpoint(endpoint.as_str().trim_end_matches('/'))
                    .bucket(bucket)
                    .root(&format!("/{prefix}"))
                    .region(region.unwrap_or("us-east-1"))
                    .access_key_id(secret("AWS_ACCESS_KEY_ID")?)
                    .secret_access_key(secret("AWS_SECRET_ACCESS_KEY")?)
                    .disable_config_load();
                if let Some(token) = secrets.get("AWS_SESSION_TOKEN") {
                    service = service.session_token(token);
                }
                built(service)?
            }
            Address::Sftp { host, path } => {
                let mut service = services::Sftp::default()
                    .endpoint(&ssh(host))
                    .root(path)
                    .known_hosts_strategy("strict");
                if let Some((user, _)) = host.split_once('@') {
                    service = service.user(user);
                }
                if let Some(key) = secrets.get("CAIRN_SSH_KEY") {
                    service = service.key(key);
                }
                built(service)?
            }
            other => return Err(format!("{other} is neither an object store nor SFTP")),
        };
        let runtime = runtime()?;
        let entered = runtime.enter();
        let operator = Operator::new(operator).map_err(|e| e.to_string())?;
        drop(entered);
        Ok(Self {
            operator,
            address: address.to_string(),
            _runtime: runtime,
        })
    }

    fn name(tpe: FileType, id: &Id) -> String {
        let hex = id.to_hex();
        match tpe {
            FileType::Config => "config".to_owned(),
            FileType::Pack => format!("data/{}/{}", &hex.as_str()[..2], hex.as_str()),
            _ => format!("{}/{}", tpe.dirname(), hex.as_str()),
        }
    }

    fn told(&self, what: &str, name: &str) -> impl FnOnce(opendal::Error) -> Box<RusticError> {
        let text = format!("could not {what} {name}");
        move |error| {
            let kind = error.kind();
            let mut why = error.message().to_owned();
            // Of ssh, only what is behind it says anything.
            if why.contains("ssh") {
                let mut behind = std::error::Error::source(&error);
                while let Some(cause) = behind {
                    why.push_str(&format!(": {cause}"));
                    behind = cause.source();
                }
            }
            RusticError::new(ErrorKind::Backend, "{text}, said the store: {kind}: {why}")
                .attach_context("text", text)
                .attach_context("kind", kind.to_string())
                .attach_context("why", why)
        }
    }
}

/// `host` as ssh takes it: the port is behind a colon of an address only.
fn ssh(host: &str) -> String {
    let bare = host.split_once('@').map_or(host, |(_, bare)| bare);
    match bare.contains(':') {
        true => format!("ssh://{bare}"),
        false => bare.to_owned(),
    }
}

fn built(service: impl Builder) -> Result<opendal::Operator, String> {
    let operator = opendal::Operator::new(service).map_err(|e| e.message().to_owned())?;
    Ok(operator
        .layer(
            TimeoutLayer::new()
                .with_timeout(TIMEOUT)
                .with_io_timeout(TIMEOUT),
        )
        .layer(RetryLayer::new().with_max_times(RETRIES).with_jitter()))
}

impl ReadBackend for Objects {
    fn location(&self) -> String {
        self.address.clone()
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let size = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
        if tpe == FileType::Config {
            return match self.operator.stat("config") {
                Ok(found) => Ok(vec![(Id::default(), size(found.content_length()))]),
                Err(e) if e.kind() == opendal::ErrorKind::NotFound => Ok(Vec::new()),
                Err(e) => Err(self.told("look for", "config")(e)),
            };
        }
        let folder = format!("{}/", tpe.dirname());
        let options = ListOptions {
            recursive: true,
            ..ListOptions::default()
        };
        let lister = match self.operator.lister_options(&folder, options) {
            // A store has no folders before their first file.
            Err(e) if e.kind() == opendal::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(self.told("list", &folder))?,
        };
        let mut found = Vec::new();
        for entry in lister {
            let entry = match entry {
                Err(e) if e.kind() == opendal::ErrorKind::NotFound => continue,
                other => other.map_err(self.told("list", &folder))?,
            };
            let Some(id) = crate::vault::store::parse_id(entry.name()) else {
                continue;
            };
            let mut bytes = entry.metadata().content_length();
            // Not every store tells sizes in its listings.
            if bytes == 0 && entry.metadata().is_file() {
                let told = self.operator.stat(entry.path());
                bytes = told
                    .map_err(self.told("look at", entry.path()))?
                    .content_length();
            }
            found.push((id, size(bytes)));
        }
        Ok(found)
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        let name = Self::name(tpe, id);
        let read = self.operator.read(&name);
        Ok(read.map_err(self.told("read", &name))?.to_bytes())
    }

    fn read_partial(
        &self,
        tpe: FileType,
        id: &Id,
        _cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let name = Self::name(tpe, id);
        let range = u64::from(offset)..u64::from(offset) + u64::from(length);
        let options = ReadOptions {
            range: range.into(),
            ..ReadOptions::default()
        };
        let read = self.operator.read_options(&name, options);
        Ok(read.map_err(self.told("read", &name))?.to_bytes())
    }

    fn warmup_path(&self, tpe: FileType, id: &Id) -> String {
        Self::name(tpe, id)
    }
}

impl WriteBackend for Objects {
    fn create(&self) -> RusticResult<()> {
        let kinds = ["data", "index", "keys", "locks", "snapshots"];
        for kind in kinds {
            let folder = format!("{kind}/");
            (self.operator.create_dir(&folder)).map_err(self.told("make", &folder))?;
        }
        Ok(())
    }

    fn write_bytes(
        &self,
        tpe: FileType,
        id: &Id,
        _cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        let name = Self::name(tpe, id);
        let mut whole = Vec::with_capacity(content.size());
        for part in content.slice() {
            whole.extend_from_slice(part);
        }
        let written = self.operator.write(&name, whole);
        written.map(drop).map_err(self.told("write", &name))
    }

    fn remove(&self, tpe: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let name = Self::name(tpe, id);
        self.operator
            .delete(&name)
            .map_err(self.told("remove", &name))
    }
}
