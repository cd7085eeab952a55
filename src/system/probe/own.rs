//! What the policy names: names to resolve, hosts to reach, commands and files
//! to run.

use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::Layout;
use super::super::run::{Call, Runner, TIMED_OUT};
use super::race::{Job, Work, no_answer};
use super::{Depth, Machine, elsewhere};
use crate::health::seen::Tried;
use crate::health::{Check, Finding};

type Judge = fn(&Tried) -> Finding;

/// Names of hosts, resolved.
pub(super) fn resolve<'a>(
    machine: &Machine<'_>,
    check: &'static Check,
    judge: Judge,
    (time, cut): (Duration, bool),
) -> Vec<Job<'a>> {
    let job = |name: &String| {
        let name = name.clone();
        Job {
            check,
            of: Some(name.clone()),
            required: None,
            time,
            cut,
            work: network(machine, name, judge, |name| {
                let found = (name, 0).to_socket_addrs().map_err(|e| plain(&e))?.next();
                found
                    .map(|_| ())
                    .ok_or_else(|| "it has no address".to_owned())
            }),
        }
    };
    machine.health.resolve.iter().map(job).collect()
}

/// Hosts, connected to.
pub(super) fn hosts<'a>(
    machine: &Machine<'_>,
    check: &'static Check,
    judge: Judge,
    (time, cut): (Duration, bool),
) -> Vec<Job<'a>> {
    let job = |host: &String| {
        let host = host.clone();
        Job {
            check,
            of: Some(host.clone()),
            required: None,
            time,
            cut,
            work: network(machine, host, judge, move |host| connect(host, time)),
        }
    };
    machine.health.hosts.iter().map(job).collect()
}

/// Tries something with a name in a thread that may be left behind.
fn network<'a>(
    machine: &Machine<'_>,
    host: String,
    judge: Judge,
    try_it: impl FnOnce(&str) -> Result<(), String> + Send + 'static,
) -> Work<'a> {
    if !machine.live {
        return Work::free(move || vec![elsewhere().of(host)]);
    }
    Work::free(move || {
        let begun = Instant::now();
        let result = try_it(&host).map(|()| millis(begun));
        vec![judge(&Tried {
            host,
            required: None,
            result,
        })]
    })
}

fn connect(host: &str, time: Duration) -> Result<(), String> {
    let begun = Instant::now();
    let mut why = "it has no address".to_owned();
    for address in host.to_socket_addrs().map_err(|e| plain(&e))? {
        let left = time.saturating_sub(begun.elapsed());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(_) => return Ok(()),
            Err(error) => why = plain(&error),
        }
    }
    Err(why)
}

/// The standard library's words, without its prefix and the error's number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text);
    let text = text.split(" (os error").next().unwrap_or(text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => "no reason given".to_owned(),
    }
}

/// Commands of the policy; at the hook only those that decide at the gate.
pub(super) fn commands<'a>(
    machine: &'a Machine<'_>,
    depth: Depth,
    check: &'static Check,
    judge: Judge,
) -> Vec<Job<'a>> {
    let all = machine.health.checks.iter();
    all.filter(|(_, own)| own.required || depth != Depth::Hook)
        .filter_map(|(name, own)| {
            let (program, args) = own.command.split_first()?;
            let call = Call::new(program).args(args);
            let one = Program {
                of: name.clone(),
                call,
                required: own.required,
                timeout: own.timeout.duration(),
            };
            Some(run(machine, depth, check, judge, one))
        })
        .collect()
}

/// Executable files of the policy's folders, by name; at the hook only those
/// that decide at the gate.
pub(super) fn files<'a>(
    machine: &'a Machine<'_>,
    depth: Depth,
    check: &'static Check,
    judge: Judge,
) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for dir in &machine.health.dirs {
        for (folder, required) in [("required.d", true), ("wanted.d", false)] {
            if depth == Depth::Hook && !required {
                continue;
            }
            for file in executables(machine.layout, &dir.join(folder)) {
                let of = file.file_name().unwrap_or_default().to_string_lossy();
                let one = Program {
                    of: of.into_owned(),
                    call: Call::new(&file),
                    required,
                    timeout: check.timeout,
                };
                jobs.push(run(machine, depth, check, judge, one));
            }
        }
    }
    jobs
}

/// Files of a folder that may be run, by name.
fn executables(layout: &Layout, dir: &Path) -> Vec<PathBuf> {
    let real = layout.follow(&dir.to_string_lossy());
    let entries = fs::read_dir(real).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let visible = path
                .file_name()
                .is_some_and(|name| !name.to_string_lossy().starts_with('.'));
            // NixOS has links to the store in /etc.
            let runs =
                |meta: fs::Metadata| meta.is_file() && meta.permissions().mode() & 0o111 != 0;
            visible && fs::metadata(path).is_ok_and(runs)
        })
        .collect();
    found.sort();
    found
}

struct Program {
    of: String,
    call: Call,
    required: bool,
    timeout: Duration,
}

fn run<'a>(
    machine: &'a Machine<'_>,
    depth: Depth,
    check: &'static Check,
    judge: Judge,
    program: Program,
) -> Job<'a> {
    let (time, cut) = depth.time(check, program.timeout);
    let (of, required) = (program.of.clone(), Some(program.required));
    let (live, runner) = (machine.live, machine.runner);
    Job {
        check,
        of: Some(program.of.clone()),
        required,
        time,
        cut,
        work: Work::Bound(Box::new(move || {
            let mut finding = if live {
                try_run(runner, program, judge, (time, cut))
            } else {
                elsewhere()
            };
            finding.of = Some(of);
            finding.required = required;
            vec![finding]
        })),
    }
}

fn try_run(
    runner: &dyn Runner,
    program: Program,
    judge: Judge,
    (time, cut): (Duration, bool),
) -> Finding {
    let begun = Instant::now();
    let result = match runner.run(&program.call.limit(time).mute()) {
        Ok(ended) if ended.code == 0 => Ok(millis(begun)),
        Ok(ended) if ended.code == TIMED_OUT && begun.elapsed() >= time => {
            return no_answer(time, cut);
        }
        Ok(ended) => Err(format!("exit code {}", ended.code)),
        Err(error) => Err(error.to_string()),
    };
    judge(&Tried {
        host: program.of,
        required: Some(program.required),
        result,
    })
}

fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_host_takes_connections_or_says_why_not() {
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = open.local_addr().unwrap().to_string();
        let time = Duration::from_secs(5);
        assert_eq!(connect(&address, time), Ok(()));
        // A port that was free a moment ago may be another's by now.
        let refused = connect("127.0.0.1:1", time);
        assert_eq!(refused, Err("connection refused".to_owned()));
        assert!(connect("name.invalid:1", time).is_err());
    }

    #[test]
    fn only_what_may_be_run_is_and_in_the_order_of_names() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path().join("state"));
        let folder = dir.path().join("etc/check/required.d");
        fs::create_dir_all(folder.join("sub")).unwrap();
        for (name, mode) in [
            ("20-b", 0o755),
            ("10-a", 0o755),
            ("x.md", 0o644),
            (".h", 0o755),
        ] {
            fs::write(folder.join(name), "").unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let found = executables(&layout, Path::new("/etc/check/required.d"));
        assert_eq!(found, [folder.join("10-a"), folder.join("20-b")]);
        assert!(executables(&layout, Path::new("/none")).is_empty());
    }
}
