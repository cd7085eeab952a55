//! A machine with firmware: a boot loader and a kernel of its own, in an
//! emulator. Slow, so it is for what only firmware and a boot loader can show.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::bed::{Bed, Out, Pointers};
use super::{groups, trees};

/// How long a boot may take on a machine that has much to do.
const BOOT: Duration = Duration::from_secs(1200);
/// How often it may reset itself before a system is up.
const RESETS: usize = 8;
/// How long anything else may take.
const PATIENCE: Duration = Duration::from_secs(1200);

/// A machine. Its reset button is a new emulator with the same disks and the
/// same memory of its firmware.
pub struct Machine {
    bed: Bed,
    listener: UnixListener,
    power: Option<Power>,
    starts: usize,
    calls: usize,
}

/// An emulator that runs, and the console of the agent in it.
struct Power {
    qemu: Child,
    console: BufReader<UnixStream>,
}

impl Machine {
    /// A machine with one of the sets of `systems.nix`, booted into one of its
    /// generations; `None`, after it was said, where there can be none.
    pub fn of(set: &'static str, name: &str) -> Option<Self> {
        let firmware = trees::firmware()?;
        let bed = Bed::off_with(set, name, Some(&firmware.join("upper")))?;
        bed.lend();
        bed.disks(&firmware.join("esp")).ok();
        let address = SocketAddr::from_abstract_name(bed.alone()).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut machine = Self {
            bed,
            listener,
            power: None,
            starts: 0,
            calls: 0,
        };
        machine.booted();
        Some(machine)
    }

    /// The store path of a generation.
    #[track_caller]
    pub fn path(&self, name: &str) -> String {
        self.bed.path(name)
    }

    /// The name of a store path, if it is one of this machine's generations.
    pub fn name(&self, path: &str) -> String {
        self.bed.name(path)
    }

    /// Runs a script in the machine.
    #[track_caller]
    pub fn sh(&mut self, script: &str) -> Out {
        let head = self.send(script);
        let answer = self.read(PATIENCE, |line| line.starts_with(&head));
        let answer = answer.unwrap_or_else(|| panic!("the machine ended:\n{}", self.tail()));
        let mut words = answer[head.len()..].split(' ');
        let code = words.next().unwrap().parse().unwrap();
        let mut text = || {
            let bytes = BASE64.decode(words.next().unwrap_or_default()).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Out {
            code,
            out: text(),
            err: text(),
        }
    }

    /// Has a script run, and gives how the answer will begin.
    fn send(&mut self, script: &str) -> String {
        self.calls += 1;
        let head = format!("{} ", self.calls);
        let line = format!("{head}{}\n", BASE64.encode(script));
        let console = &mut self.power.as_mut().unwrap().console;
        console.get_mut().write_all(line.as_bytes()).unwrap();
        head
    }

    /// Runs `cairn`.
    #[track_caller]
    pub fn cairn(&mut self, args: &str) -> Out {
        self.sh(&format!("cairn {args}"))
    }

    /// Waits until a script succeeds. The machine itself asks again and again,
    /// and not too often: each process costs it much.
    #[track_caller]
    pub fn wait_for(&mut self, script: &str) {
        self.sh(&format!("until {{ {script}; }}; do sleep 1; done"))
            .ok();
    }

    /// Waits until all that a boot starts has started or failed; a unit that
    /// failed is an error.
    #[track_caller]
    pub fn settled(&mut self) {
        let state = self.sh("systemctl is-system-running --wait; systemctl --failed --no-legend");
        let told = self.sh("journalctl --no-pager -b -u cairn-boot.service");
        assert_eq!(state.out, "running\n", "{}", told.text());
    }

    /// The name of the generation a link leads to.
    #[track_caller]
    pub fn leads(&mut self, link: &str) -> String {
        let path = self.sh(&format!("readlink -f {link}")).ok();
        self.name(&path)
    }

    /// Where the pointers lead, as cairn sees them.
    #[track_caller]
    pub fn pointers(&mut self) -> Pointers {
        let status = self.cairn("--json status").json();
        let system = &status["status"]["system"];
        let name = |pointer: &str| {
            let path = system.pointer(pointer).and_then(Value::as_str);
            self.name(path.unwrap_or_else(|| panic!("{pointer} of {system}")))
        };
        Pointers {
            profile: name("/profile/toplevel"),
            running: name("/current"),
            booted: name("/booted"),
            loader: name("/loaderDefault"),
        }
    }

    /// Reboots in good order, and waits until a system is up again.
    pub fn reboot(&mut self) {
        // Who would answer may be gone before the answer is.
        self.send("systemctl --no-block reboot");
        let end = self.read(PATIENCE, |_| false);
        assert_eq!(end, None);
        self.booted();
    }

    /// What the kernels wrote to the serial port, in all boots.
    pub fn serial(&self) -> String {
        let bytes = fs::read(self.bed.dir().join("serial")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How often it was started, resets by itself among them.
    pub fn starts(&self) -> usize {
        self.starts
    }

    /// Starts it as often as it resets itself, until a system is up.
    #[track_caller]
    fn booted(&mut self) {
        for _ in 0..RESETS {
            if self.power.is_none() {
                self.start();
            }
            let up = self.read(BOOT, |line| line == "ready");
            if up.is_some() {
                return;
            }
        }
        panic!("it only resets:\n{}", self.tail());
    }

    fn start(&mut self) {
        self.starts += 1;
        let socket = self.bed.alone();
        let mut qemu = emulator(self.bed.dir(), &socket).spawn().unwrap();
        // So that nothing of it outlives a test that was killed.
        groups::join(&socket, qemu.id());
        let end = Instant::now() + PATIENCE;
        let console = loop {
            match self.listener.accept() {
                Ok((console, _)) => break console,
                Err(why) => assert!(Instant::now() < end, "the emulator: {why}"),
            }
            let ended = qemu.try_wait().unwrap();
            assert!(ended.is_none(), "the emulator ended: {ended:?}");
            sleep(Duration::from_millis(20));
        };
        console.set_nonblocking(false).unwrap();
        console
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let console = BufReader::new(console);
        self.power = Some(Power { qemu, console });
    }

    /// The first line that fits; those before it are of no interest. `None`
    /// when the machine went off instead.
    #[track_caller]
    fn read(&mut self, patience: Duration, fits: impl Fn(&str) -> bool) -> Option<String> {
        let end = Instant::now() + patience;
        let mut line = Vec::new();
        loop {
            let Power { qemu, console } = self.power.as_mut().unwrap();
            // Before what it left to be read.
            let ended = qemu.try_wait().unwrap();
            // A time-out keeps what was read.
            let read = console.read_until(b'\n', &mut line);
            if matches!(read, Ok(0)) {
                // The other end is closed, and the emulator about to end.
                sleep(Duration::from_millis(20));
            }
            if line.ends_with(b"\n") {
                let text = String::from_utf8_lossy(&line);
                if fits(text.trim()) {
                    return Some(text.trim().to_owned());
                }
                line.clear();
            } else if let Some(status) = ended {
                self.power = None;
                assert!(status.success(), "{status}:\n{}", self.tail());
                return None;
            }
            assert!(Instant::now() < end, "no answer in time:\n{}", self.tail());
        }
    }

    fn tail(&self) -> String {
        let serial = self.serial();
        let lines: Vec<&str> = serial.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

/// The emulator: one processor, two disks, firmware, the kernel's port and the
/// agent's. It ends where a machine would reset.
fn emulator(dir: &Path, socket: &str) -> Command {
    let file = |name: &str| dir.join(name).display().to_string();
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-machine", "q35,smm=off", "-accel", "tcg"])
        .args(["-cpu", "qemu64,+rdrand", "-smp", "1", "-m", "768"])
        .args(["-nodefaults", "-display", "none", "-no-reboot"]);
    let code = "readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd".to_owned();
    let vars = format!("cache=unsafe,file={}", file("vars.fd"));
    for (unit, flash) in [code, vars].iter().enumerate() {
        qemu.arg("-drive")
            .arg(format!("if=pflash,unit={unit},format=raw,{flash}"));
    }
    for (name, more) in [("root", ""), ("esp", ",bootindex=1")] {
        let image = file(&format!("{name}.img"));
        qemu.arg("-drive")
            .arg(format!(
                "if=none,id={name},format=raw,cache=unsafe,file={image}"
            ))
            .arg("-device")
            .arg(format!("virtio-blk-pci,drive={name}{more}"));
    }
    qemu.arg("-chardev")
        .arg(format!("file,id=kernel,append=on,path={}", file("serial")))
        .args(["-serial", "chardev:kernel"])
        .arg("-chardev")
        .arg(format!("socket,id=agent,abstract=on,path={socket}"))
        .args(["-device", "virtio-serial-pci"])
        .args(["-device", "virtconsole,chardev=agent"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    qemu
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the machine's serial port:\n{}", self.tail());
        }
        if let Some(mut power) = self.power.take() {
            let _ = power.qemu.kill();
            let _ = power.qemu.wait();
        }
    }
}
