//! Telling others: the journal, terminals, hook commands.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::run::{Call, RunError, Runner};
use super::{At, IoError, Layout};
use crate::point::notice::Notice;

/// Where the journal takes entries, one in a datagram (systemd's "Native
/// Journal Protocol").
const JOURNAL: &str = "/run/systemd/journal/socket";

/// How long a terminal may keep `wall` waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the terminals of sessions are.
const TERMINALS: &str = "/dev/pts";

/// Writes a notice to the journal of the root.
///
/// # Errors
/// When nobody listens there, or the entry is refused.
pub fn journal(layout: &Layout, notice: &Notice) -> Result<(), IoError> {
    let path = layout.real(JOURNAL);
    let socket = UnixDatagram::unbound().at("make a socket for", &path)?;
    // A journal that is stuck must hold nobody up.
    socket
        .set_nonblocking(true)
        .and_then(|()| socket.send_to(&entry(notice), &path))
        .at("write to the journal at", &path)?;
    Ok(())
}

/// A notice in the journal's own format.
fn entry(notice: &Notice) -> Vec<u8> {
    let mut entry = Vec::new();
    let mut put = |name: &str, value: &str| {
        if value.contains('\n') {
            // With a line break the length is told first.
            entry.extend(format!("{name}\n").into_bytes());
            let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
            entry.extend(length.to_le_bytes());
            entry.extend(value.bytes());
            entry.push(b'\n');
        } else {
            entry.extend(format!("{name}={value}\n").into_bytes());
        }
    };
    put("MESSAGE", &notice.message);
    put("MESSAGE_ID", notice.event.message_id());
    put("PRIORITY", &notice.event.priority().to_string());
    put("SYSLOG_IDENTIFIER", "cairn");
    for (name, value) in notice.fields() {
        put(name, &value);
    }
    entry
}

/// Tells everybody who is logged in, through `wall` where it is installed, else
/// on every terminal that can be written to.
///
/// # Errors
/// When `wall` is there and fails.
pub fn wall(runner: &dyn Runner, notice: &Notice) -> Result<(), RunError> {
    let call = Call::new("wall")
        .feed(notice.text().into_bytes())
        .limit(PATIENCE);
    match runner.check(&call) {
        Err(RunError::Start { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            on_terminals(&notice.text());
            Ok(())
        }
        other => other.map(|_| ()),
    }
}

/// Writes to every terminal there is. One that is gone or stuck has nobody who
/// reads.
fn on_terminals(text: &str) {
    let text = format!("\r\n{}", text.replace('\n', "\r\n"));
    let Ok(entries) = fs::read_dir(TERMINALS) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        let mut options = OpenOptions::new();
        options
            .write(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
        if let Ok(mut terminal) = options.open(entry.path()) {
            let _ = terminal.write_all(text.as_bytes());
        }
    }
}

/// The call of a hook command: the notice as JSON on its standard input, its
/// fields in the environment.
///
/// # Errors
/// When the notice cannot be written as JSON.
pub fn hook(command: &[String], notice: &Notice, limit: Duration) -> io::Result<Call> {
    let (program, args) = command
        .split_first()
        .ok_or_else(|| io::Error::other("the command is empty"))?;
    let mut json = serde_json::to_vec(notice)?;
    json.push(b'\n');
    let call = Call::new(program).args(args).feed(json).limit(limit);
    Ok(notice
        .fields()
        .into_iter()
        .fold(call, |call, (name, value)| call.env(name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::occasion::Occasion;
    use crate::system::run::Processes;

    fn notice() -> Notice {
        let at = "2026-11-23T07:00:00Z".parse().unwrap();
        Notice::new(Occasion::WentBack, at, "web-5 was taken back")
            .because(&["one failed".to_owned(), "two failed".to_owned()])
    }

    #[test]
    fn the_journal_gets_fields_and_lengths_where_lines_break() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path(), root.path().join("state"));
        assert!(journal(&layout, &notice()).is_err(), "nobody listens");
        let path = root.path().join("run/systemd/journal");
        fs::create_dir_all(&path).unwrap();
        let socket = UnixDatagram::bind(path.join("socket")).unwrap();
        journal(&layout, &notice()).unwrap();
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        let told = &buffer[..length];
        for line in [
            "MESSAGE=web-5 was taken back\n",
            "MESSAGE_ID=980382bd372e4f69a813e8db77eb806e\n",
            "PRIORITY=4\n",
            "CAIRN_EVENT=went-back\n",
        ] {
            let found = told.windows(line.len()).any(|part| part == line.as_bytes());
            assert!(found, "{line} in {}", String::from_utf8_lossy(told));
        }
        let reasons = b"CAIRN_REASONS\n\x15\0\0\0\0\0\0\0one failed\ntwo failed\n";
        assert!(told.windows(reasons.len()).any(|part| part == reasons));
    }

    #[test]
    fn a_hook_command_reads_json_and_has_the_fields_in_its_environment() {
        let script = r#"read -r json; printf '%s %s' "$CAIRN_EVENT" "$json"; cat >/dev/null"#;
        let command = ["sh", "-c", script].map(str::to_owned);
        let call = hook(&command, &notice(), Duration::from_secs(30)).unwrap();
        let ended = Processes.run(&call).unwrap();
        let told = String::from_utf8(ended.stdout).unwrap();
        let json = told.strip_prefix("went-back ").unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["event"], "went-back");
        assert_eq!(json["reasons"][1], "two failed");
        // One that reads nothing is no trouble.
        let call = hook(&["true".to_owned()], &notice(), Duration::from_secs(30)).unwrap();
        assert_eq!(Processes.run(&call).unwrap().code, 0);
        assert!(hook(&[], &notice(), Duration::from_secs(1)).is_err());
    }
}
