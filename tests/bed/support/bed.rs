//! One machine: booted, switched, rebooted, cut off from power.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::place::Place;
use super::trees::{self, Trees};

/// How `systemd-nspawn` ends when its machine rebooted.
const REBOOTED: i32 = 133;
/// How it tells its machine's first process.
const LEADER: &str = "X_NSPAWN_LEADER_PID=";
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine.
pub struct Bed {
    place: Place,
    lower: String,
    trees: &'static Trees,
    set: &'static str,
    boots: usize,
    container: Option<Container>,
}

struct Container {
    nspawn: Child,
    leader: i32,
}

/// How a command ended.
#[derive(Debug)]
pub struct Out {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// What the four pointers lead to, as names of generations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointers {
    pub profile: String,
    pub running: String,
    pub booted: String,
    pub loader: String,
}

impl Pointers {
    /// Of a machine that was booted into one generation; see the fields.
    pub fn all(name: &str) -> Self {
        Self {
            profile: name.to_owned(),
            running: name.to_owned(),
            booted: name.to_owned(),
            loader: name.to_owned(),
        }
    }
}

impl Out {
    /// Asserts the exit code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }

    /// Asserts success; gives the output without its last newline.
    #[track_caller]
    pub fn ok(self) -> String {
        self.ends(0).out.trim_end().to_owned()
    }

    /// Asserts success; gives the output as JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e} in: {text}"))
    }

    /// Both streams.
    pub fn text(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

impl From<Output> for Out {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Bed {
    /// A machine whose generations have no cairn, booted into `good`.
    pub fn plain() -> Option<Self> {
        Self::of("plain", "good")
    }

    /// A machine whose generations have cairn, booted into `good`.
    pub fn with_cairn() -> Option<Self> {
        Self::of("cairn", "good")
    }

    /// A machine with one of the sets of `systems.nix`, booted into one of its
    /// generations; `None`, after it was said, where there can be no beds.
    pub fn of(set: &'static str, name: &str) -> Option<Self> {
        let mut bed = Self::off_with(set, name, None)?;
        bed.start();
        Some(bed)
    }

    /// The same machine, not yet booted, with a layer over its tree.
    pub fn off_with(set: &'static str, name: &str, layer: Option<&Path>) -> Option<Self> {
        let trees = trees::get()?;
        let layer = layer.map(|layer| format!("{}:", layer.display()));
        let bed = Self {
            place: Place::new(),
            lower: layer.unwrap_or_default() + &trees.lower,
            trees,
            set,
            boots: 0,
            container: None,
        };
        let system = bed.path(name);
        let script = format!(
            "nix-env -p /nix/var/nix/profiles/system --set {system} && {system}/install-bootloader {system}"
        );
        bed.off(&script).ok();
        Some(bed)
    }

    /// The bed's directory on the machine that runs the tests.
    pub fn dir(&self) -> &Path {
        &self.place.dir
    }

    /// The store path of a generation; `set/name` is one of another set.
    #[track_caller]
    pub fn path(&self, name: &str) -> String {
        let (set, name) = name.split_once('/').unwrap_or((self.set, name));
        self.trees.paths[set][name].clone()
    }

    /// The name of a store path, if it is one of this machine's generations.
    pub fn name(&self, path: &str) -> String {
        let sets = self.trees.paths.iter();
        let mut names: Vec<String> = sets
            .flat_map(|(set, paths)| paths.iter().map(move |(name, path)| (set, name, path)))
            .filter(|(_, _, found)| *found == path)
            .map(|(set, name, _)| match set == self.set {
                true => name.clone(),
                false => format!("{set}/{name}"),
            })
            .collect();
        names.sort_by_key(|name| name.contains('/'));
        names.into_iter().next().unwrap_or_else(|| path.to_owned())
    }

    /// Runs a script in the machine.
    pub fn sh(&self, script: &str) -> Out {
        self.command(script).output().unwrap().into()
    }

    /// The command that runs a script in the machine.
    pub fn command(&self, script: &str) -> Command {
        let leader = self.container.as_ref().unwrap().leader;
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &leader.to_string(), "--all", "--"])
            .args(["/usr/bin/env", "-i", "HOME=/root", "LANG=C.UTF-8"])
            .arg("PATH=/run/current-system/sw/bin:/opt/bed/bin:/usr/bin:/usr/sbin")
            .args(["timeout", "--kill-after=5", "60", "bash", "-c", script])
            .stdin(Stdio::null());
        command
    }

    /// Runs a script in the tree of a machine that is off.
    pub fn off(&self, script: &str) -> Out {
        assert!(self.container.is_none(), "the machine is on");
        self.launch()
            .args(["run", "/bin/bash", "-c", script])
            .stdin(Stdio::null())
            .output()
            .unwrap()
            .into()
    }

    /// Runs a script beside a machine that is off, on the machine that runs the
    /// tests: `$ROOT` is the tree, `cairn` the program under test.
    pub fn beside(&self, script: &str) -> Out {
        assert!(self.container.is_none(), "the machine is on");
        let program = Path::new(env!("CARGO_BIN_EXE_cairn")).parent().unwrap();
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", program.display());
        self.launch()
            .args(["beside", "/bin/bash", "-c", script])
            .env("PATH", path)
            .env("HOME", self.dir())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap()
            .into()
    }

    /// Switches the machine off in good order.
    pub fn shut_down(&mut self) {
        // The connection may go before the answer comes.
        self.sh("systemctl poweroff");
        self.gone();
    }

    /// `nixos-rebuild ACTION` of a generation.
    pub fn rebuild(&self, action: &str, name: &str) -> Out {
        self.sh(&format!("nixos-rebuild {action} {}", self.path(name)))
    }

    /// `nixos-rebuild switch` to a generation.
    pub fn switch(&self, name: &str) -> Out {
        self.rebuild("switch", name)
    }

    /// `switch-to-configuration ACTION` of a generation, and nothing else.
    pub fn bare(&self, action: &str, name: &str) -> Out {
        let system = self.path(name);
        self.sh(&format!("{system}/bin/switch-to-configuration {action}"))
    }

    /// Where the pointers lead.
    pub fn pointers(&self) -> Pointers {
        let text = self
            .sh("cd /boot/loader; readlink -f /nix/var/nix/profiles/system \
                 /run/current-system /run/booted-system; \
                 sed -n 's/^options .*init=\\([^ ]*\\)\\/init.*/\\1/p' \
                 entries/$(sed -n 's/^default //p' loader.conf)")
            .ok();
        let mut names = text.lines().map(|path| self.name(path));
        Pointers {
            profile: names.next().unwrap(),
            running: names.next().unwrap(),
            booted: names.next().unwrap(),
            loader: names.next().unwrap(),
        }
    }

    /// Number of the profile's current generation.
    pub fn generation(&self) -> u32 {
        let link = self.sh("readlink /nix/var/nix/profiles/system").ok();
        link.split('-').nth(1).unwrap().parse().unwrap()
    }

    /// A property of a unit.
    pub fn unit(&self, name: &str, property: &str) -> String {
        self.sh(&format!("systemctl show --value -p {property} {name}"))
            .ok()
    }

    /// Whether a unit is `active`, `failed` …
    pub fn state(&self, unit: &str) -> String {
        self.unit(unit, "ActiveState")
    }

    /// The version of the app that runs; the name of its generation.
    pub fn app(&self) -> String {
        let text = self.unit("app.service", "Environment");
        text.trim_start_matches("VERSION=").to_owned()
    }

    /// The journal, or what was asked of it.
    pub fn journal(&self, options: &str) -> String {
        self.sh(&format!(
            "journalctl --no-pager -o short-monotonic {options}"
        ))
        .ok()
    }

    /// Waits until a script succeeds.
    #[track_caller]
    pub fn wait_for(&self, script: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let out = self.sh(script);
            if out.code == 0 {
                return;
            }
            assert!(Instant::now() < end, "not in time: {script}\n{out:?}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Runs `cairn`.
    pub fn cairn(&self, args: &str) -> Out {
        self.sh(&format!("cairn {args}"))
    }

    /// Runs `cairn --json`, which must end well.
    #[track_caller]
    pub fn json(&self, args: &str) -> Value {
        self.sh(&format!("cairn --json {args}")).json()
    }

    /// Reboots in good order.
    pub fn reboot(&mut self) {
        // The connection may go before the answer comes.
        self.sh("systemctl reboot");
        let status = self.gone();
        assert_eq!(status.code(), Some(REBOOTED), "{}", self.console());
        self.start();
    }

    /// Cuts the power, and boots again.
    pub fn power_cut(&mut self) {
        self.cut();
        self.start();
    }

    /// Cuts the power; the machine stays off.
    pub fn cut(&mut self) {
        let leader = self.container.as_ref().unwrap().leader;
        kill_process(Pid::from_raw(leader).unwrap(), Signal::KILL).unwrap();
        self.gone();
    }

    /// Switches the power on, and waits until the machine has booted.
    pub fn start(&mut self) {
        if let Err(why) = self.try_start() {
            panic!("{why}:\n{}", self.console());
        }
    }

    /// Switches the power on; a machine that does not boot is off again.
    pub fn try_start(&mut self) -> Result<(), String> {
        self.boot_until("READY=1")
    }

    /// Switches the power on, and cuts it off again as soon as a script
    /// succeeds while the machine boots.
    #[track_caller]
    pub fn cut_while_booting(&mut self, script: &str) {
        self.boot_until(LEADER).unwrap();
        self.wait_for(script);
        self.cut();
    }

    fn boot_until(&mut self, message: &str) -> Result<(), String> {
        assert!(self.container.is_none(), "the machine is on");
        self.boots += 1;
        let name = self.place.group(self.boots);
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let log = File::create(self.console_file()).unwrap();
        let nspawn = self
            .launch()
            .arg("boot")
            .args(self.binds())
            .env("NOTIFY_SOCKET", format!("@{name}"))
            .env("CGROUPS", super::groups::of(&name))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut container = Container { nspawn, leader: 0 };
        let result = wait_for_message(&mut container, &socket, message);
        self.container = Some(container);
        if result.is_err() {
            self.place.end();
            self.gone();
        }
        result
    }

    /// Chooses a boot entry for the next boot only, as a person at the menu or
    /// the loader itself would.
    pub fn choose_entry(&self, generation: u32) {
        let entry = format!("nixos-generation-{generation}.conf");
        self.sh(&format!("echo {entry} >/boot/loader/once")).ok();
    }

    /// What the machine wrote to its console in this boot.
    pub fn console(&self) -> String {
        fs::read_to_string(self.console_file()).unwrap_or_default()
    }

    fn console_file(&self) -> PathBuf {
        self.place.dir.join(format!("console-{}", self.boots))
    }

    fn launch(&self) -> Command {
        let mut command = Command::new(trees::recipes().join("launch.sh"));
        command.arg(&self.place.dir).arg(&self.lower);
        command
    }

    fn binds(&self) -> Vec<String> {
        let bind = |(from, to): &(PathBuf, &str)| format!("--bind-ro={}:{to}", from.display());
        lent().iter().map(bind).collect()
    }

    /// Copies what would be lent into the tree.
    pub fn lend(&self) {
        for (from, to) in lent() {
            let to = self
                .place
                .dir
                .join("upper")
                .join(to.trim_start_matches('/'));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(from, to).unwrap();
        }
    }

    /// Writes the tree to disks for a machine with firmware, with what else is
    /// on the system partition.
    pub fn disks(&self, esp: &Path) -> Out {
        let mut command = self.launch();
        let output = command.arg("disks").arg(esp).stdin(Stdio::null()).output();
        output.unwrap().into()
    }

    /// The name of a socket and of control groups that are this machine's alone.
    pub fn alone(&self) -> String {
        self.place.group(0)
    }

    /// Waits until the container is gone.
    fn gone(&mut self) -> ExitStatus {
        let mut container = self.container.take().unwrap();
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = container.nspawn.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > end {
                container.nspawn.kill().unwrap();
            }
            sleep(Duration::from_millis(5));
        };
        self.place.end();
        status
    }
}

/// What is lent to a machine: the program under test (`BED_CAIRN=/path` takes
/// another build of it), and the tools that switch.
fn lent() -> [(PathBuf, &'static str); 3] {
    let guest = trees::recipes().join("guest");
    let built = env!("CARGO_BIN_EXE_cairn");
    let cairn = std::env::var_os("BED_CAIRN").map_or(built.into(), PathBuf::from);
    let stand_in = guest.join("switch-to-configuration.py");
    let switch = std::env::var_os("BED_STC").map_or(stand_in, PathBuf::from);
    [
        (cairn, "/opt/cairn/bin/cairn"),
        (switch, "/opt/bed/stc"),
        (guest.join("nixos-rebuild.sh"), "/opt/bed/bin/nixos-rebuild"),
    ]
}

impl Drop for Bed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        if self.container.is_some() {
            self.place.end();
            self.gone();
        }
    }
}

impl Bed {
    /// What a person needs to know when a test failed.
    fn tell(&self) {
        if self.container.is_some() {
            let out = self.sh(
                "journalctl --no-pager -o short-monotonic -n 80; systemctl --failed --no-legend",
            );
            println!("the machine's journal:\n{}", out.text());
        }
    }
}

/// Reads the messages of `systemd-nspawn` until one begins like this: who
/// leads, that it has booted.
fn wait_for_message(
    container: &mut Container,
    socket: &UnixDatagram,
    wanted: &str,
) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; 4096];
    while Instant::now() < end {
        if let Ok(length) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            for line in text.lines() {
                if let Some(leader) = line.strip_prefix(LEADER) {
                    container.leader = leader.parse().unwrap();
                }
                if line.starts_with(wanted) && container.leader != 0 {
                    return Ok(());
                }
            }
        } else if let Some(status) = container.nspawn.try_wait().unwrap() {
            return Err(format!("the container ended: {status}"));
        }
    }
    Err("the machine did not boot in time".to_owned())
}
