//! Real servers on loopback that keep a repository: REST, S3, SFTP.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::need;

/// A server that ends with the test.
pub struct Server {
    child: Child,
    port: u16,
    again: Box<dyn Fn(u16) -> Command>,
    _dir: Option<tempfile::TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    fn start(again: impl Fn(u16) -> Command + 'static, dir: Option<tempfile::TempDir>) -> Self {
        let port = free_port();
        let child = again(port).spawn().unwrap();
        let server = Self {
            child,
            port,
            again: Box::new(again),
            _dir: dir,
        };
        server.wait();
        server
    }

    fn wait(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "the server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// restic's REST protocol, as rclone serves it; `folder` keeps the files.
    pub fn rest(folder: &Path, options: &[&str]) -> Option<Self> {
        if !need(&["rclone"]) {
            return None;
        }
        let folder = folder.to_owned();
        let options: Vec<String> = options.iter().map(|&o| o.to_owned()).collect();
        let again = move |port: u16| {
            let mut command = quiet("rclone");
            command
                .args(["serve", "restic", "--addr", &format!("127.0.0.1:{port}")])
                .args(&options)
                .arg(&folder);
            command
        };
        Some(Self::start(again, None))
    }

    /// An object store with a bucket `cairn`.
    pub fn s3() -> Option<Self> {
        if !need(&["moto_server", "curl"]) {
            return None;
        }
        let again = |port: u16| {
            let mut command = quiet("moto_server");
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        };
        let server = Self::start(again, None);
        let made = Command::new("curl")
            .args(["-s", "-X", "PUT"])
            .arg(format!("http://127.0.0.1:{}/cairn", server.port))
            .output();
        assert!(made.unwrap().status.success());
        Some(server)
    }

    /// An SFTP server, and a folder whose `ssh` reaches it without a question.
    pub fn sftp() -> Option<(Self, PathBuf)> {
        if !need(&["ssh", "ssh-keygen"]) || !Path::new("/usr/sbin/sshd").exists() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().to_owned();
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at.join(key))
                .status();
            assert!(made.unwrap().success());
        }
        fs::copy(at.join("user.pub"), at.join("authorized")).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        let folder = at.clone();
        let again = move |port: u16| {
            let config = format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nPidFile none\n\
                 AuthorizedKeysFile {0}/authorized\nStrictModes no\nUsePAM no\n\
                 PermitRootLogin yes\nSubsystem sftp internal-sftp\n",
                folder.display()
            );
            fs::write(folder.join("sshd_config"), config).unwrap();
            let mut command = quiet("/usr/sbin/sshd");
            command
                .args(["-D", "-e", "-f"])
                .arg(folder.join("sshd_config"));
            command
        };
        let server = Self::start(again, Some(dir));
        let host = fs::read_to_string(at.join("host.pub")).unwrap();
        let known = format!("[127.0.0.1]:{} {host}", server.port);
        fs::write(at.join("known"), known).unwrap();
        let config = format!(
            "Host backup\n  HostName 127.0.0.1\n  Port {}\n  User root\n  HostKeyAlias [127.0.0.1]:{}\n  \
             UserKnownHostsFile {2}/known\n  IdentityFile {2}/user\n  IdentitiesOnly yes\n",
            server.port,
            server.port,
            at.display()
        );
        fs::write(at.join("ssh_config"), config).unwrap();
        let bin = at.join("bin");
        let script = format!("exec /usr/bin/ssh -F {}/ssh_config \"$@\"\n", at.display());
        super::executable(&bin.join("ssh"), &script);
        Some((server, bin))
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, on the same port.
    pub fn start_again(&mut self) {
        self.kill();
        self.child = (self.again)(self.port).spawn().unwrap();
        self.wait();
    }
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
