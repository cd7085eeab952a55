//! What every command needs: layout, policy, clock, output.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::args::{ActivationArgs, FetchArgs, Global};
use super::failure::Failure;
use super::out::Out;
use super::progress::Screen;
use crate::engine::Engine;
use crate::engine::fetch::Sources;
use crate::engine::hook::Watcher;
use crate::point::Policy;
use crate::render::Style;
use crate::system::clock::{Clock, SystemClock};
use crate::system::journal::{Activation, Scope};
use crate::system::policy_file::LoadError;
use crate::system::run::Processes;
use crate::system::state_dir::{self, Made};
use crate::system::{At, Layout, interrupt, picker, policy_file, terminal};

/// The effects and settings of one run of the program.
pub(super) struct Session {
    layout: Layout,
    _made: Made,
    policy: Policy,
    clock: SystemClock,
    runner: Processes,
    global: Global,
    progress: Arc<Screen>,
    /// Output.
    pub out: Out,
}

/// Output as the global options want it.
pub(super) fn output(global: &Global) -> Out {
    let style = Style {
        colour: terminal::wants_colour() && !global.json,
        width: terminal::width(),
        now: SystemClock.now(),
    };
    Out {
        json: global.json,
        quiet: global.quiet,
        verbose: global.verbose,
        style,
    }
}

/// The policy that was named, or that of the machine.
fn policy_of(global: &Global, bare: &Layout) -> Result<Policy, LoadError> {
    let policy = match &global.policy {
        Some(named) => policy_file::load(named)?,
        None => policy_file::find(bare)?,
    };
    Ok(policy.unwrap_or_default())
}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// A root, state directory or policy that cannot be used.
    pub(super) fn open(global: Global) -> Result<Self, Failure> {
        let bare = Layout::new(&global.root, PathBuf::new());
        let policy = policy_of(&global, &bare)?;
        Self::with(global, &bare, policy)
    }

    /// Opens a session for a way back, which no fault of a policy may bar: the
    /// defaults hold then, and that is told.
    ///
    /// # Errors
    /// A root or state directory that cannot be used.
    pub(super) fn open_for_a_way_back(global: Global) -> Result<Self, Failure> {
        let bare = Layout::new(&global.root, PathBuf::new());
        let policy = policy_of(&global, &bare).unwrap_or_else(|error| {
            output(&global).warn(format!(
                "{error}; its defaults hold for this run: cairn policy check"
            ));
            policy_file::stand_in(&bare, global.policy.as_deref())
        });
        Self::with(global, &bare, policy)
    }

    fn with(global: Global, bare: &Layout, policy: Policy) -> Result<Self, Failure> {
        let out = output(&global);
        let chosen = global.state_dir.clone().or_else(|| {
            policy
                .state_dir
                .as_ref()
                .map(|dir| bare.real(bare.resolve(dir).unwrap_or_else(|_| dir.clone())))
        });
        let (layout, kind, made) = state_dir::find(&global.root, chosen.as_deref())?;
        if kind == state_dir::Kind::Temporary {
            out.warn(format!(
                "restore points are in {}, which may not survive a reboot: \
                 no other state directory can be written",
                layout.state().display()
            ));
        }
        Ok(Self {
            layout,
            _made: made,
            policy,
            clock: SystemClock,
            runner: Processes,
            global,
            progress: Arc::new(Screen::new(&out)),
            out,
        })
    }

    /// The engine of this session.
    pub(super) fn engine(&self) -> Engine<'_> {
        Engine {
            layout: &self.layout,
            policy: &self.policy,
            clock: &self.clock,
            runner: &self.runner,
            patience: Duration::from_secs(self.global.lock_timeout),
            profile: &self.global.profile,
            progress: self.progress.clone(),
        }
    }

    /// From now on a Ctrl-C, or SIGTERM, stops at a safe place; a second one
    /// ends the program at once. Until then nothing is under way, and the
    /// first one does.
    pub(super) fn begin_work(&self) {
        let screen = Arc::clone(&self.progress);
        let heard = interrupt::listen(move || {
            screen.say("stopping at a safe place; Ctrl-C again ends it at once");
        });
        if let Err(error) = heard {
            self.out
                .warn(format!("a Ctrl-C will end this at once: {error}"));
        }
    }

    /// Where things are.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The path of this program, for a unit that goes on with its work.
    ///
    /// # Errors
    /// When the kernel does not tell it.
    pub(super) fn own_program(&self) -> Result<PathBuf, Failure> {
        Ok(std::env::current_exe().at("find", "/proc/self/exe")?)
    }

    /// Options that make another run work on the same root, state and policy.
    pub(super) fn same_place(&self) -> Vec<OsString> {
        let mut options: Vec<OsString> =
            vec!["--profile".into(), self.global.profile.clone().into()];
        if let Some(policy) = &self.global.policy {
            options.extend(["--policy".into(), policy.clone().into()]);
        }
        if let Some(state) = &self.global.state_dir {
            options.extend(["--state-dir".into(), state.clone().into()]);
        }
        if !self.layout.is_live() {
            options.extend(["--root".into(), self.layout.root().into()]);
        }
        options
    }

    /// How this program is called to watch a switch, in a unit of its own.
    ///
    /// # Errors
    /// When its path is not known.
    pub(super) fn watcher(&self) -> Result<Watcher, Failure> {
        let mut args = self.same_place();
        args.extend(["hook".into(), "watch".into()]);
        Ok(Watcher {
            program: self.own_program()?,
            args,
        })
    }

    /// Whether the machine's own policy holds, not one that was named.
    pub(super) fn has_own_policy(&self) -> bool {
        self.global.policy.is_none()
    }

    /// The file of the policy that holds, or would.
    pub(super) fn policy_file(&self) -> PathBuf {
        let named = self.global.policy.clone();
        named.unwrap_or_else(|| policy_file::in_force(&self.layout))
    }

    /// A path of this machine, as another folder would have to name it.
    ///
    /// # Errors
    /// When the current folder is unknown.
    pub(super) fn absolute(&self, path: &std::path::Path) -> Result<PathBuf, Failure> {
        Ok(std::path::absolute(path).at("find", path)?)
    }

    /// Whether only to show what would happen.
    pub(super) fn dry_run(&self) -> bool {
        self.global.dry_run
    }

    /// Whether everything was answered with yes beforehand.
    pub(super) fn says_yes(&self) -> bool {
        self.global.yes
    }

    /// The logical form of a path given on the command line.
    ///
    /// # Errors
    /// When the current folder is unknown.
    pub(super) fn logical(&self, path: &std::path::Path) -> Result<PathBuf, Failure> {
        Ok(self.layout.logical(path)?)
    }

    /// Whether a person is there to pick something, and did not say yes to
    /// everything beforehand.
    pub(super) fn may_pick(&self) -> bool {
        !self.global.yes && !self.global.json && picker::is_possible()
    }

    /// Asks a question that may be left open: nobody there is a no.
    pub(super) fn may(&self, question: &str) -> bool {
        let somebody = !self.global.yes && !self.global.json && terminal::is_interactive();
        somebody && terminal::ask(question)
    }

    /// How a system is to be activated. A boot loader is installed in the boot
    /// step, which another root has only when it is asked for.
    pub(super) fn activate(&self, args: ActivationArgs, scope: &mut Scope) {
        let boot = args.boot || (args.install_bootloader && !self.layout.is_live());
        scope.activation = match (boot, args.test) {
            (true, _) => Activation::Boot,
            (_, true) => Activation::Test,
            _ => scope.activation,
        };
        scope.bootloader |= args.install_bootloader;
    }

    /// Where a system may come from that is gone.
    pub(super) fn sources(&self, args: FetchArgs) -> Sources {
        let policy = Sources::of(&self.policy);
        Sources {
            urls: if args.from.is_empty() {
                policy.urls
            } else {
                args.from
            },
            unsigned: args.no_check_sigs,
        }
    }

    /// Asks before something changes; `--yes` answers.
    ///
    /// # Errors
    /// When the answer is no, or there is nobody to ask.
    pub(super) fn confirm(&self, verb: &'static str, question: &str) -> Result<(), Failure> {
        if self.global.yes {
            return Ok(());
        }
        if self.global.json || !terminal::is_interactive() {
            return Err(Failure::NoTerminal(verb));
        }
        if terminal::ask(question) {
            Ok(())
        } else {
            Err(Failure::Declined)
        }
    }
}
