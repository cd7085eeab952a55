//! A machine with firmware: a boot loader and a kernel of its own, in an
//! emulator. Slow, so it is for what only firmware and a boot loader can show.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::bed::{Bed, Out};
use super::{groups, trees};

/// How long a boot may take on a machine that has much to do.
const BOOT: Duration = Duration::from_secs(600);
/// How long anything else may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// A machine.
pub struct Machine {
    bed: Bed,
    qemu: Child,
    console: BufReader<UnixStream>,
    calls: usize,
}

impl Machine {
    /// A machine with one of the sets of `systems.nix`, booted into one of its
    /// generations; `None`, after it was said, where there can be none.
    pub fn of(set: &'static str, name: &str) -> Option<Self> {
        let firmware = trees::firmware()?;
        let bed = Bed::off_with(set, name, Some(&firmware.join("upper")))?;
        bed.lend();
        let dir = bed.dir();
        bed.disks(&firmware.join("esp")).ok();
        let socket = bed.alone();
        let drive = |n: usize, file: &str, more: &str| {
            let path = dir.join(file);
            let drive = format!(
                "if=none,id=disk{n},format=raw,cache=unsafe,file={}",
                path.display()
            );
            [
                "-drive".to_owned(),
                drive,
                "-device".to_owned(),
                format!("virtio-blk-pci,drive=disk{n}{more}"),
            ]
        };
        let flash = |n: usize, more: &str, path: &str| {
            let flash = format!("if=pflash,unit={n},format=raw{more},file={path}");
            ["-drive".to_owned(), flash]
        };
        let vars = dir.join("vars.fd").display().to_string();
        let qemu = Command::new("qemu-system-x86_64")
            .args([
                "-machine",
                "q35,smm=off",
                "-accel",
                "tcg",
                "-cpu",
                "qemu64,+rdrand",
            ])
            // Its time is what it gets done: no time-out depends on the load here.
            .args(["-icount", "shift=1"])
            .args(["-smp", "1", "-m", "768", "-nodefaults", "-display", "none"])
            .args(flash(0, ",readonly=on", "/usr/share/OVMF/OVMF_CODE_4M.fd"))
            .args(flash(1, ",cache=unsafe", &vars))
            .args(drive(0, "root.img", ""))
            .args(drive(1, "esp.img", ",bootindex=1"))
            .args(["-serial", &format!("file:{}", dir.join("serial").display())])
            .args([
                "-device",
                "virtio-serial-pci",
                "-device",
                "virtconsole,chardev=agent",
            ])
            .arg("-chardev")
            .arg(format!(
                "socket,id=agent,abstract=on,server=on,wait=off,path={socket}"
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // So that nothing of it outlives a test that was killed.
        groups::join(&socket, qemu.id());
        let console = BufReader::new(connect(&socket));
        let mut machine = Self {
            bed,
            qemu,
            console,
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
        self.calls += 1;
        let head = format!("{} ", self.calls);
        let line = format!("{head}{}\n", BASE64.encode(script));
        self.console.get_mut().write_all(line.as_bytes()).unwrap();
        let answer = self.read(PATIENCE, |line| line.starts_with(&head));
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

    /// Runs `cairn`.
    #[track_caller]
    pub fn cairn(&mut self, args: &str) -> Out {
        self.sh(&format!("cairn {args}"))
    }

    /// Waits until a script succeeds.
    #[track_caller]
    pub fn wait_for(&mut self, script: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let out = self.sh(script);
            if out.code == 0 {
                return;
            }
            assert!(Instant::now() < end, "not in time: {script}\n{out:?}");
            sleep(Duration::from_millis(300));
        }
    }

    /// The name of the generation a link leads to.
    #[track_caller]
    pub fn leads(&mut self, link: &str) -> String {
        let path = self.sh(&format!("readlink -f {link}")).ok();
        self.name(&path)
    }

    /// Reboots in good order, and waits until a system is up again.
    pub fn reboot(&mut self) {
        self.sh("systemctl --no-block reboot").ok();
        self.booted();
    }

    /// What the kernels wrote to the serial port, in all boots.
    pub fn serial(&self) -> String {
        let bytes = fs::read(self.bed.dir().join("serial")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn booted(&mut self) {
        self.read(BOOT, |line| line == "ready");
    }

    /// The first line that fits; those before it are of no interest.
    #[track_caller]
    fn read(&mut self, patience: Duration, fits: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + patience;
        let mut line = Vec::new();
        loop {
            // A time-out keeps what was read.
            let read = self.console.read_until(b'\n', &mut line);
            if read.is_ok_and(|_| line.ends_with(b"\n")) {
                let text = String::from_utf8_lossy(&line);
                if fits(text.trim()) {
                    return text.trim().to_owned();
                }
                line.clear();
            }
            let ended = self.qemu.try_wait().unwrap();
            assert!(ended.is_none(), "the machine ended: {ended:?}");
            assert!(Instant::now() < end, "no answer in time:\n{}", self.tail());
        }
    }

    fn tail(&self) -> String {
        let serial = self.serial();
        let lines: Vec<&str> = serial.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

/// The machine listens a moment after it was started.
fn connect(name: &str) -> UnixStream {
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let end = Instant::now() + PATIENCE;
    let stream = loop {
        match UnixStream::connect_addr(&address) {
            Ok(stream) => break stream,
            Err(why) => assert!(Instant::now() < end, "the emulator: {why}"),
        }
        sleep(Duration::from_millis(20));
    };
    stream
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    stream
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the machine's serial port:\n{}", self.tail());
        }
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
