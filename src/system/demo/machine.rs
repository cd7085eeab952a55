//! The demo's machine: making it, running commands on it, looking at it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::janitor::Janitor;
use super::object::{Leaf, Object};
use super::{STAND_IN, export, systems};
use crate::nix::nar::{HashingWriter, WriteError};
use crate::nix::store_path::{self, StorePath};
use crate::point::tree::Node;
use crate::system::clock::{Clock, SystemClock};
use crate::system::generations::{self, Profile};
use crate::system::run::{Call, Ended, RunError, Runner};
use crate::system::tree::{self, Leave};
use crate::system::{At, IoError, Layout};

/// Settings of the environment that would lead Nix or cairn elsewhere.
const UNSET: &str = "NIX_STORE_DIR NIX_STATE_DIR NIX_LOG_DIR NIX_CONF_DIR \
     NIX_USER_CONF_FILES XDG_DATA_HOME XDG_STATE_HOME XDG_CACHE_HOME XDG_CONFIG_HOME CAIRN_FAULT";

/// No network, and a store that belongs to us alone.
const NIX_CONFIG: &str = "substitute = false\nbuild-users-group =\n";

/// Why there is no machine to play on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A program could not be started.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The demo's own systems are not what Nix allows.
    #[error("the demo's systems are unusable: {0}")]
    Name(#[from] store_path::Error),
    /// They cannot be archived.
    #[error(transparent)]
    Archive(#[from] WriteError),
    /// They cannot be described.
    #[error("describing the demo's systems: {0}")]
    Describe(#[from] serde_json::Error),
    /// Programs in the temporary folder cannot be run.
    #[error("cannot run a script in {}: {why}", dir.display())]
    NoExec {
        /// The folder.
        dir: PathBuf,
        /// What the shell said.
        why: String,
    },
}

/// What the machine's store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A real one, kept by this version of Nix.
    Nix(String),
    /// Folders and links, and why.
    Synthetic(String),
}

/// A machine of its own in a private folder, which goes with this value.
#[derive(Debug)]
pub struct Machine {
    dir: PathBuf,
    layout: Layout,
    store: Store,
    systems: Vec<StorePath>,
    env: Vec<(OsString, OsString)>,
    janitor: Option<Janitor>,
}

impl Machine {
    /// Makes one: store, systems and configuration; no generation yet. With
    /// `keep` its folder stays.
    ///
    /// # Errors
    /// When the temporary folder cannot be written or holds no programs.
    pub fn make(runner: &dyn Runner, keep: bool) -> Result<Self, DemoError> {
        let dir = private_dir()?;
        let janitor = if keep {
            None
        } else {
            Some(Janitor::hire(&dir)?)
        };
        let (objects, systems) = systems::objects()?;
        let mut machine = Self {
            layout: Layout::new(dir.join("nixos"), PathBuf::new()),
            store: Store::Synthetic(String::new()),
            systems,
            env: Vec::new(),
            janitor,
            dir,
        };
        machine.settle("nixos")?;
        machine.store = match machine.import(runner, &objects)? {
            Ok(version) => Store::Nix(version),
            Err(why) => {
                machine.settle("synthetic")?;
                machine.lay_out(&objects)?;
                machine.stand_in(runner)?;
                Store::Synthetic(why)
            }
        };
        Ok(machine)
    }

    /// Makes the root `name` with its configuration, and turns to it.
    fn settle(&mut self, name: &str) -> Result<(), DemoError> {
        let root = self.dir.join(name);
        let state = root.join("var/lib/cairn");
        let config = root.join("etc/nixos");
        for dir in [&config, &self.dir.join("bin"), &self.dir.join("home")] {
            fs::create_dir_all(dir).at("create the folder", dir)?;
        }
        let hostname = root.join("etc/hostname");
        fs::write(&hostname, "demo\n").at("write", &hostname)?;
        for (name, mode, text) in systems::CONFIG {
            let path = config.join(name);
            let permissions = fs::Permissions::from_mode(mode);
            fs::write(&path, text).at("write", &path)?;
            fs::set_permissions(&path, permissions).at("set the mode of", &path)?;
        }
        let exe = std::env::current_exe().at("find", "the running program")?;
        link(&exe, &self.dir.join("bin/cairn"))?;
        let mut path = self.dir.join("bin").into_os_string();
        if let Some(old) = std::env::var_os("PATH") {
            path.push(":");
            path.push(old);
        }
        let profile = root.join("nix/var/nix/profiles/system");
        self.env = vec![
            ("PATH".into(), path),
            ("HOME".into(), self.dir.join("home").into()),
            ("NIX_CONFIG".into(), NIX_CONFIG.into()),
            ("NIX_REMOTE".into(), root.clone().into()),
            ("CAIRN_ROOT".into(), root.clone().into()),
            ("CAIRN_STATE_DIR".into(), state.clone().into()),
            ("CAIRN_POLICY".into(), "/dev/null".into()),
            ("PROFILE".into(), profile.into()),
        ];
        // Links as `nix-build` leaves them. Not variables: a collector takes
        // every store path in a running program's environment for a root.
        for (n, system) in (1..).zip(&self.systems) {
            let result = root.join(format!("result-{n}"));
            link(Path::new(&system.to_absolute_path()), &result)?;
        }
        self.layout = Layout::new(root, state);
        Ok(())
    }

    /// Registers the objects in a store of real Nix; gives its version, or why
    /// that is not to be.
    fn import(
        &self,
        runner: &dyn Runner,
        objects: &[Object],
    ) -> Result<Result<String, String>, DemoError> {
        let probe = self.run(runner, "nix-env --version && nix-store --version")?;
        if probe.code == 127 {
            return Ok(Err("nix-env and nix-store are not installed".to_owned()));
        } else if probe.code != 0 {
            return Ok(Err(last_line(&probe)));
        }
        let stream = self.dir.join("systems.export");
        fs::write(&stream, export::stream(objects)?).at("write", &stream)?;
        let line = "nix-store --store \"$CAIRN_ROOT\" --import <../systems.export";
        let imported = self.run(runner, line)?;
        let _ = fs::remove_file(&stream);
        if imported.code != 0 {
            return Ok(Err(format!(
                "nix-store --import failed: {}",
                last_line(&imported)
            )));
        }
        let version = last_line(&probe);
        let version = version.rsplit(' ').next().unwrap_or_default();
        Ok(Ok(version.to_owned()))
    }

    /// Makes the objects as folders, and what the stand-in wants to know.
    fn lay_out(&self, objects: &[Object]) -> Result<(), DemoError> {
        let nix = self.layout.real("/nix/var/nix");
        let known = nix.join("objects");
        for dir in [&known, &nix.join("profiles"), &nix.join("gcroots")] {
            fs::create_dir_all(dir).at("create the folder", dir)?;
        }
        for object in objects {
            let dir = self.layout.store_path(&object.path);
            fs::create_dir_all(&dir).at("create the folder", &dir)?;
            for (name, leaf) in &object.entries {
                let path = dir.join(name);
                match leaf {
                    Leaf::File(text) => fs::write(&path, text).at("write", &path)?,
                    Leaf::Link(target) => link(Path::new(target), &path)?,
                }
            }
            let mut nar = HashingWriter::new(io::sink());
            export::nar(object, &mut nar)?;
            let info = serde_json::to_string(&object.info(&nar.finish().0))?;
            // The references of the demo's objects need nothing themselves.
            let closure: String = std::iter::once(&object.path)
                .chain(&object.references)
                .map(|path| path.to_base_name() + "\n")
                .collect();
            let base = object.path.to_base_name();
            for (ending, text) in [("json", info), ("closure", closure)] {
                let path = known.join(format!("{base}.{ending}"));
                fs::write(&path, text).at("write", &path)?;
            }
        }
        Ok(())
    }

    /// Puts the stand-in where Nix's programs are looked for first.
    fn stand_in(&self, runner: &dyn Runner) -> Result<(), DemoError> {
        let bin = self.dir.join("bin");
        let script = bin.join("stand-in.sh");
        fs::write(&script, STAND_IN).at("write", &script)?;
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&script, executable).at("set the mode of", &script)?;
        for name in ["nix", "nix-env", "nix-store"] {
            link(Path::new("stand-in.sh"), &bin.join(name))?;
        }
        let probe = self.run(runner, "nix-env --version")?;
        if probe.code == 0 && last_line(&probe).contains("stand-in") {
            return Ok(());
        }
        Err(DemoError::NoExec {
            dir: bin,
            why: last_line(&probe),
        })
    }

    /// Sets a variable for the commands that are run.
    pub fn export(&mut self, name: &str, value: impl Into<OsString>) {
        self.env.push((name.into(), value.into()));
    }

    /// Runs a line of shell on the machine, in its root; complaints come in
    /// their place among what is printed.
    ///
    /// # Errors
    /// When no shell can be started.
    pub fn run(&self, runner: &dyn Runner, line: &str) -> Result<Ended, DemoError> {
        let script = format!("unset {UNSET}\nexec 2>&1\neval \"$1\"\n");
        let mut call = Call::new("sh").args(["-c", &script, "sh", line]);
        call.env.clone_from(&self.env);
        call.dir = Some(self.layout.root().to_owned());
        Ok(runner.run(&call)?)
    }

    /// Where its folder is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its paths.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What its store is.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Its systems: three good ones, oldest first, and a bad one.
    pub fn systems(&self) -> &[StorePath] {
        &self.systems
    }

    /// Its configuration as it is: names, contents, modes, owners.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn config(&self) -> Result<Vec<Node>, IoError> {
        let etc = self.layout.real("/etc");
        Ok(tree::list(&etc, Path::new("nixos"), Leave::default())?.nodes)
    }

    /// Its system profile.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn profile(&self) -> Result<Profile, IoError> {
        generations::read(&self.layout, "system")
    }

    /// Whether a store object is there.
    pub fn holds(&self, path: &StorePath) -> bool {
        self.layout.store_path(path).is_dir()
    }

    /// Ends it: removes the folder, unless it is kept.
    ///
    /// # Errors
    /// When something of it is left.
    pub fn end(mut self) -> Result<(), IoError> {
        self.janitor.take().map_or(Ok(()), Janitor::clean)
    }
}

/// A new folder that only we may enter.
fn private_dir() -> Result<PathBuf, IoError> {
    let base = std::env::temp_dir();
    let base = fs::canonicalize(&base).at("use the temporary folder", &base)?;
    let id = SystemClock.new_id(SystemClock.now()).hex();
    let dir = base.join(format!("cairn-demo-{}", &id[id.len() - 8..]));
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&dir)
        .at("create", &dir)?;
    Ok(dir)
}

/// Makes a symlink; one that is there already is fine.
fn link(target: &Path, path: &Path) -> Result<(), IoError> {
    match symlink(target, path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.at("link", path),
    }
}

fn last_line(ended: &Ended) -> String {
    String::from_utf8_lossy(&ended.stdout)
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("it said nothing")
        .to_owned()
}
