//! For those who watch: figures, the page, and the server of both.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Machine, System, need};
use serde_json::{Value, json};

/// Text that would do something, wherever it is not escaped.
const HOSTILE: &str = "<script>document.title='owned'</script>\"><img src=x \
                       onerror=\"document.title='owned'\">]]>&amp;{{ 7*7 }}{% raw %}|`$(x)`\u{1b}[31m";

/// A machine where something happened.
fn lived() -> Option<Machine> {
    let machine = Machine::new()?;
    machine.write(
        "etc/cairn/policy.json",
        json!({
            "state": { "app": { "paths": ["/var/lib/app"] } },
            "remotes": { "office": { "url": "/mnt/office", "maxAge": "1d" } },
        })
        .to_string(),
    );
    machine.write("var/lib/app/data", "1\n");
    machine.create("before the upgrade");
    machine.write("etc/nixos/web.nix", "{ }\n");
    let id = machine.create(HOSTILE);
    machine.ok(&["pin", &id]);
    machine.ok(&["mark-good", &id]);
    machine.set(System::Three);
    machine.run_system(System::Three);
    machine.write("etc/nixos/web.nix", "{ broken = true; }\n");
    machine.create("after");
    machine.ok(&["restore", &id, "--only", "config", "--yes"]);
    Some(machine)
}

fn promtool(args: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(args)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success(), "{args:?}: {said}\n{input}");
}

fn value<'t>(text: &'t str, sample: &str) -> &'t str {
    text.lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no {sample} in {text}"))
}

#[test]
fn figures_are_what_happened_and_pass_the_checks_of_prometheus() {
    let Some(machine) = lived() else { return };
    let text = machine.ok(&["metrics"]);
    let expected = [
        (
            "cairn_backup_operations_total{type=\"manual\",status=\"success\"}",
            "3",
        ),
        (
            "cairn_backup_operations_total{type=\"pre-restore\",status=\"success\"}",
            "1",
        ),
        ("cairn_restore_operations_total{status=\"success\"}", "1"),
        // What has not happened yet is there: else its first time is no increase.
        ("cairn_restore_operations_total{status=\"failure\"}", "0"),
        ("cairn_gate_rollbacks_total{status=\"failure\"}", "0"),
        ("cairn_gate_rollbacks_total{status=\"success\"}", "0"),
        ("cairn_gate_verdicts_total{status=\"failure\"}", "0"),
        ("cairn_heal_attempts_total{status=\"failure\"}", "0"),
        (
            "cairn_backup_operations_total{type=\"schedule\",status=\"failure\"}",
            "0",
        ),
        ("cairn_generation_current", "3"),
        ("cairn_generation_count", "3"),
        ("cairn_points", "4"),
        ("cairn_points_pinned", "1"),
        ("cairn_restore_unfinished", "0"),
        ("cairn_issues{kind=\"copies-old\"}", "1"),
        ("cairn_remote_failing{remote=\"office\"}", "0"),
    ];
    for (sample, count) in expected {
        assert_eq!(value(&text, sample), count, "{sample}");
    }
    for sample in ["config", "state"] {
        let sample = format!("cairn_backup_storage_bytes{{type=\"{sample}\"}}");
        assert!(value(&text, &sample).parse::<u64>().unwrap() > 100);
    }
    let score: u8 = value(&text, "cairn_health_score").parse().unwrap();
    assert!(score <= 100);
    let observed: i64 = value(&text, "cairn_observed_timestamp_seconds")
        .parse()
        .unwrap();
    let newest = "cairn_last_success_timestamp_seconds";
    assert!(observed >= value(&text, newest).parse().unwrap());
    assert!(observed > 1_600_000_000);
    // Counters do not go back when points go.
    machine.ok(&["prune", "--keep-last", "1", "--yes"]);
    let later = machine.ok(&["metrics"]);
    let manual = "cairn_backup_operations_total{type=\"manual\",status=\"success\"}";
    assert_eq!(value(&later, manual), "3");
    let open = machine.ok(&["metrics", "--openmetrics"]);
    assert!(open.ends_with("# EOF\n"), "{open}");
    // A record that cannot be read is no remote without copies.
    let remotes = machine.state().join("remotes");
    fs::create_dir_all(&remotes).unwrap();
    fs::write(remotes.join("office.json"), "{").unwrap();
    let unread = machine.cairn(&["metrics"]).ends(0);
    assert!(unread.err.contains("office.json"), "{}", unread.err);
    assert!(!unread.out.contains("remote=\"office\""), "{}", unread.out);
    let file = machine.home().join("cairn.prom");
    machine.ok(&["metrics", "--textfile", file.to_str().unwrap()]);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o644
    );
    machine
        .cairn(&["metrics", "--textfile", "/nowhere/cairn.txt"])
        .fails(2, "does not end in .prom", "cairn metrics --help");
    if need(&["promtool"]) {
        promtool(&["check", "metrics"], &text);
        promtool(&["check", "metrics"], &fs::read_to_string(&file).unwrap());
        // What parses OpenMetrics there wants to know when each sample was.
        let dated: String = open
            .lines()
            .map(|line| match line.starts_with('#') {
                true => format!("{line}\n"),
                false => format!("{line} 1700000000\n"),
            })
            .collect();
        let (text, blocks) = (machine.home().join("om.txt"), machine.home().join("blocks"));
        fs::write(&text, dated).unwrap();
        let (text, blocks) = (text.to_str().unwrap(), blocks.to_str().unwrap());
        promtool(
            &["tsdb", "create-blocks-from", "openmetrics", text, blocks],
            "",
        );
    }
}

#[test]
fn alerts_and_the_dashboard_ask_for_what_there_is() {
    if !need(&["promtool"]) {
        return;
    }
    promtool(&["check", "rules", "alerts.yml"], "");
    promtool(&["test", "rules", "alerts_test.yml"], "");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring");
    let text = fs::read_to_string(folder.join("grafana.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let mut asked: Vec<String> = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            asked.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    for note in board["annotations"]["list"].as_array().unwrap() {
        asked.push(note["expr"].as_str().unwrap().to_owned());
    }
    assert!(asked.len() > 10);
    let rules: Vec<Value> = asked
        .iter()
        .enumerate()
        .map(|(n, expr)| json!({ "record": format!("asked:{n}"), "expr": expr }))
        .collect();
    let file = tempfile::NamedTempFile::with_suffix(".yml").unwrap();
    let all = json!({ "groups": [{ "name": "board", "rules": rules }] });
    fs::write(file.path(), all.to_string()).unwrap();
    promtool(&["check", "rules", file.path().to_str().unwrap()], "");
    // Every alert is tried.
    let alerts = fs::read_to_string(folder.join("alerts.yml")).unwrap();
    let tried = fs::read_to_string(folder.join("alerts_test.yml")).unwrap();
    for line in alerts.lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            let shown = format!("alertname: {name}\n        exp_alerts:\n          -");
            assert!(tried.contains(&shown), "{name} is never seen to fire");
        }
    }
    // Every name is one that the program has.
    let source = include_str!("../../src/render/metrics.rs");
    let name = regex::Regex::new(r"cairn_([a-z_]+)").unwrap();
    for found in name.captures_iter(&format!("{} {alerts}", asked.join(" "))) {
        let bare = found[1].trim_end_matches("_total");
        let bare = bare.trim_end_matches("_seconds").trim_end_matches("_bytes");
        assert!(source.contains(&format!("\"{bare}\"")), "cairn_{bare}");
    }
}

/// A page in a real browser: the document after all that it would run has run.
fn in_browser(page: &Path, more: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let out = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ])
        .args([
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--virtual-time-budget=2000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(more)
        .arg(format!("file://{}", page.display()))
        .env("HOME", profile.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn picture(page: &Path, name: &str, size: &str, more: &[&str]) -> Vec<u8> {
    let keep = std::env::var_os("CAIRN_TEST_PICTURES").map(PathBuf::from);
    let dir = tempfile::tempdir().unwrap();
    let file = keep.as_deref().unwrap_or(dir.path()).join(name);
    let shot = format!("--screenshot={}", file.display());
    let window = format!("--window-size={size}");
    in_browser(page, &[&[shot.as_str(), window.as_str()], more].concat());
    fs::read(&file).unwrap()
}

#[test]
fn the_page_is_whole_in_itself_and_runs_nobodys_text() {
    let Some(machine) = lived() else { return };
    let page = machine.home().join("page.html");
    machine.ok(&["report", "--html", "-o", page.to_str().unwrap()]);
    let text = fs::read_to_string(&page).unwrap();
    assert!(
        text.trim_start().starts_with("<!doctype html>"),
        "{}",
        &text[..80]
    );
    // Nothing from elsewhere, and no script at all.
    for word in [
        "<script", "http://", "https://", "<link", "<iframe", "@import", "url(",
    ] {
        assert!(!text.contains(word), "{word}");
    }
    assert!(
        text.contains("&lt;script&gt;"),
        "the reason is there, escaped"
    );
    assert!(text.contains("{{ 7*7 }}"), "and is no template");
    for part in [
        "before the upgrade",
        "generation 3",
        "restores",
        "pinned",
        "copy on office",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains('\u{1b}'), "nothing of it reaches a terminal");
    let markdown = machine.ok(&["report", "--markdown"]);
    assert!(
        !markdown.contains("<script") && !markdown.contains('\u{1b}'),
        "{markdown}"
    );
    assert!(markdown.contains("| before the upgrade"), "{markdown}");
    if !need(&["chromium"]) {
        return;
    }
    let seen = in_browser(&page, &["--dump-dom"]);
    assert!(!seen.contains("<title>owned"), "{seen}");
    assert!(seen.contains("<title>mini · cairn</title>"), "{seen}");
    assert!(!seen.contains("<img"), "{seen}");
    let light = picture(&page, "wide.png", "1280,1400", &[]);
    let dark = picture(
        &page,
        "dark.png",
        "1280,1400",
        &["--blink-settings=preferredColorScheme=0"],
    );
    let narrow = picture(&page, "narrow.png", "390,1600", &[]);
    for (name, bytes) in [("wide", &light), ("dark", &dark), ("narrow", &narrow)] {
        assert!(bytes.starts_with(b"\x89PNG"), "{name}");
        assert!(
            bytes.len() > 15_000,
            "{name} is blank: {} bytes",
            bytes.len()
        );
    }
    assert_ne!(light, dark, "dark is another picture");
}

/// The server, and where it listens.
struct Served(Child, String);

impl Drop for Served {
    fn drop(&mut self) {
        // One that has ended has no number any more: another may have it.
        if let Ok(None) = self.0.try_wait() {
            let _ = Command::new("kill").arg(self.0.id().to_string()).status();
            let _ = self.0.wait();
        }
    }
}

fn served(machine: &Machine, args: &[&str]) -> Served {
    let all = [&["serve"], args].concat();
    let mut command = machine.command(&all);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let at = line.trim().strip_prefix("serving on ").unwrap().to_owned();
    Served(child, at)
}

fn ask(mut stream: impl Read + Write, method: &str, path: &str, more: &str) -> String {
    let text = format!("{method} {path} HTTP/1.1\r\n{more}Connection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_server_reads_only_and_answers_this_machine_alone() {
    let Some(machine) = lived() else { return };
    let server = served(&machine, &["--listen", "127.0.0.1:0"]);
    let address = server
        .1
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let get = |path: &str, more: &str| {
        let stream = TcpStream::connect(&address).unwrap();
        ask(stream, "GET", path, &format!("Host: {address}\r\n{more}"))
    };
    let metrics = get("/metrics", "");
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    assert!(metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.contains("\ncairn_points 4\n"), "{metrics}");
    let open = get(
        "/metrics",
        "Accept: application/openmetrics-text;version=1.0.0\r\n",
    );
    assert!(
        open.contains("application/openmetrics-text") && open.contains("# EOF"),
        "{open}"
    );
    let page = get("/", "");
    for part in [
        "text/html",
        "content-security-policy: default-src 'none'",
        "nosniff",
        "before the upgrade",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let health = get("/health", "");
    assert!(
        health.contains("200 OK") || health.contains("503 "),
        "{health}"
    );
    assert!(get("/etc/passwd", "").starts_with("HTTP/1.1 404"));
    assert!(get("/..%2f..%2fetc/passwd", "").starts_with("HTTP/1.1 404"));
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let stream = TcpStream::connect(&address).unwrap();
        let refused = ask(stream, method, "/", &format!("Host: {address}\r\n"));
        assert!(refused.starts_with("HTTP/1.1 405"), "{refused}");
    }
    // A browser that was led here by another name.
    let stream = TcpStream::connect(&address).unwrap();
    let led = ask(stream, "GET", "/", "Host: evil.example\r\n");
    assert!(
        led.starts_with("HTTP/1.1 421") && !led.contains("upgrade"),
        "{led}"
    );
    drop(server);
    machine.cairn(&["serve", "--listen", "0.0.0.0:0"]).fails(
        2,
        "can be reached from elsewhere",
        "cairn serve --help",
    );

    let socket = machine.home().join("cairn.sock");
    let server = served(&machine, &["--socket", socket.to_str().unwrap()]);
    let answer = ask(
        UnixStream::connect(&socket).unwrap(),
        "GET",
        "/metrics",
        "Host: x\r\n",
    );
    assert!(answer.contains("cairn_points 4"), "{answer}");
    drop(server);
    assert!(!socket.exists(), "it takes its socket with it");
    // One that was killed leaves it, and is in nobody's way.
    let mut server = served(&machine, &["--socket", socket.to_str().unwrap()]);
    server.0.kill().unwrap();
    server.0.wait().unwrap();
    assert!(socket.exists());
    drop(served(&machine, &["--socket", socket.to_str().unwrap()]));
}

/// A server on a port of its own, and its address.
fn served_on_a_port(machine: &Machine) -> (Served, String) {
    let server = served(machine, &["--listen", "127.0.0.1:0"]);
    let address = server.1.trim_start_matches("http://");
    let address = address.trim_end_matches('/').to_owned();
    (server, address)
}

#[test]
fn whoever_says_nothing_keeps_nobody_out_and_the_server_from_no_end() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let (mut server, address) = served_on_a_port(&machine);
    // More than are let in at once, and none says all that it wants.
    let first = Instant::now();
    let silent: Vec<TcpStream> = (0..260)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
            stream
        })
        .collect();
    let begun = Instant::now();
    let asked = TcpStream::connect(&address).unwrap();
    asked
        .set_read_timeout(Some(Duration::from_secs(40)))
        .unwrap();
    let answer = ask(asked, "GET", "/metrics", "Host: localhost\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // On a busy machine the first of them have to go while others come.
    let held = first.elapsed();
    assert!(held > Duration::from_secs(1), "they held all places");
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(10), "they held them for long");
    drop(silent);
    // One that is asked to end does, whoever is there still.
    let mut stuck = TcpStream::connect(&address).unwrap();
    stuck.write_all(b"GET / HT").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    Command::new("kill")
        .arg(server.0.id().to_string())
        .status()
        .unwrap();
    let begun = Instant::now();
    let ended = loop {
        if let Some(ended) = server.0.try_wait().unwrap() {
            break ended;
        }
        assert!(begun.elapsed() < Duration::from_secs(9), "it does not end");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_file_where_the_socket_should_be_is_left_as_it_is() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let file = machine.home().join("precious");
    fs::write(&file, "precious").unwrap();
    machine
        .cairn(&["serve", "--socket", file.to_str().unwrap()])
        .fails(1, "no socket", "");
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn health_says_unwell_with_503() {
    let Some(machine) = Machine::new() else {
        return;
    };
    // The running system is gone from the store.
    machine.write("etc/cairn/policy.json", "{}");
    machine.create("one");
    fs::remove_file(machine.root().join("run/current-system")).unwrap();
    std::os::unix::fs::symlink(
        "/nix/store/00000000000000000000000000000000-gone",
        machine.root().join("run/current-system"),
    )
    .unwrap();
    let server = served(&machine, &["--listen", "127.0.0.1:0"]);
    let address = server
        .1
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let stream = TcpStream::connect(&address).unwrap();
    let health = ask(stream, "GET", "/health", "Host: localhost\r\n");
    assert!(health.starts_with("HTTP/1.1 503"), "{health}");
    assert!(health.contains("unhealthy"), "{health}");
}
