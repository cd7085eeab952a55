//! Switches that somebody has to confirm, commands run as transactions, and who
//! is told, on a machine whose systemd is a script.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::pty::Terminal;
use crate::support::{Switching, System, need};
use serde_json::{Value, json};

const POLICY: &str = r#"{"gate": {"window": "50ms", "confirmTimeout": "1s"}}"#;
const LONG: &str = r#"{"gate": {"window": "50ms", "confirmTimeout": "10min"}}"#;

/// A machine whose switch to system 3 has ended and is to be confirmed.
fn switched(policy: &str) -> Option<Switching> {
    let m = Switching::new(policy)?;
    m.0.set(System::Three);
    let run = m.hook(System::Three, "switch").ends(0);
    assert!(
        run.err.contains("unless `cairn confirm` comes"),
        "{}",
        run.err
    );
    m.0.run_system(System::Three);
    Some(m)
}

/// Has the watcher at work; gives it.
fn watching(m: &Switching) -> std::process::Child {
    let id = m.history()[0]["id"].as_str().unwrap().to_owned();
    let mut command = m.command(&["hook", "watch", &id]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let end = Instant::now() + Duration::from_secs(20);
    while m.history()[0]["judged"].is_null() {
        assert!(Instant::now() < end, "{}", m.history()[0]);
        std::thread::sleep(Duration::from_millis(20));
    }
    child.unwrap()
}

/// Has the newest record be of an earlier boot, and changes it.
fn rewrite(m: &Switching, change: impl Fn(&mut Value)) {
    let id = m.history()[0]["id"].as_str().unwrap().to_owned();
    let path = m.0.state().join("switches").join(format!("{id}.json"));
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["boot"] = json!("the boot before");
    change(&mut record);
    fs::write(&path, record.to_string()).unwrap();
    // In this boot nothing was seen to run yet.
    let _ = fs::remove_file(m.0.state().join("running.json"));
}

#[test]
fn without_a_word_the_switch_goes_back() {
    let Some(m) = switched(POLICY) else { return };
    let record = m.watch(21);
    let result = &record["result"];
    assert_eq!(
        (&result["verdict"], &result["done"]),
        (&json!("bad"), &json!("went-back"))
    );
    assert_eq!(result["reasons"], json!(["nobody confirmed it within 1s"]));
    assert_eq!(record["answer"]["answer"], "timed-out");
    let late = m.run(&["confirm"]);
    let text = late.err.clone();
    late.ends(21);
    assert!(
        text.contains("it is too late for") && text.contains("try: cairn history"),
        "{text}"
    );
    m.run(&["revert", "-y"])
        .fails(1, "no switch that could be taken back", "cairn history");
}

#[test]
fn a_switch_that_could_not_go_back_is_reverted_once_it_can() {
    let Some(m) = switched(LONG) else { return };
    let mut watcher = watching(&m);
    m.run(&["confirm"]).ends(0);
    assert_eq!(watcher.wait().unwrap().code(), Some(0));
    // As its watcher leaves it where something was in the way.
    let id = m.history()[0]["id"].as_str().unwrap().to_owned();
    let path = m.0.state().join("switches").join(format!("{id}.json"));
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["answer"] = Value::Null;
    record["result"]["verdict"] = json!("bad");
    record["result"]["done"] = json!("stuck");
    fs::write(&path, record.to_string()).unwrap();
    let stuck = m.0.profile();
    m.run(&["revert", "-y"]).ends(0);
    assert_eq!(m.history()[0]["result"]["done"], "went-back");
    assert_ne!(m.0.profile(), stuck);
}

#[test]
fn confirmed_it_stays_and_only_then_is_known_good() {
    let Some(m) = switched(LONG) else { return };
    let mut watcher = watching(&m);
    let good = m.0.root().join("nix/var/nix/gcroots/cairn/known-good");
    assert!(!good.exists());
    let status = m.run(&["--json", "status"]).ends(0).json();
    assert_eq!(status["status"]["awaited"]["to"], m.0.path(System::Three));
    assert!(status["status"]["awaited"]["secondsLeft"].as_u64().unwrap() <= 600);
    m.run(&["confirm", "ffff"])
        .fails(1, "no switch has the id ffff", "cairn history");
    m.run(&["confirm"]).ends(0);
    assert!(watcher.wait().unwrap().success());
    let record = &m.history()[0];
    assert_eq!(record["result"]["verdict"], "good");
    assert_eq!(record["answer"]["answer"], "confirmed");
    assert_eq!(fs::read_dir(&good).unwrap().count(), 1);
    let again = m.run(&["confirm"]).ends(0);
    assert!(again.out.contains("confirmed already"), "{}", again.out);
    let status = m.run(&["--json", "status"]).ends(0).json();
    assert!(status["status"]["awaited"].is_null());
}

#[test]
fn what_an_open_switch_goes_back_to_is_not_pruned() {
    let Some(m) = switched(LONG) else { return };
    let point = m.history()[0]["point"].as_str().unwrap().to_owned();
    let mut watcher = watching(&m);
    for _ in 0..2 {
        m.run(&["create", "--pin"]).ends(0);
    }
    m.run(&["mark-good", "latest"]).ends(0);
    m.run(&["prune", "--keep-last", "1", "-y"]).ends(0);
    let listed = m.run(&["--json", "list"]).ends(0).json();
    let ids: Vec<&str> = (listed["points"]["items"].as_array().unwrap().iter())
        .map(|p| p["id"].as_str().unwrap())
        .collect();
    assert!(ids.contains(&&*point), "{ids:?} without {point}");
    m.run(&["revert", "-y"]).ends(0);
    assert_eq!(watcher.wait().unwrap().code(), Some(21));
    assert_eq!(m.history()[0]["result"]["done"], "went-back");
    assert_eq!(m.history()[0]["result"]["trouble"], Value::Null);
}

#[test]
fn too_late_is_too_late_also_when_nobody_watches() {
    let Some(m) = switched(POLICY) else { return };
    let mut watcher = watching(&m);
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    m.run(&["confirm"]).ends(21);
    let record = &m.history()[0];
    assert_eq!(record["answer"]["answer"], "timed-out", "{record:#}");
    assert_eq!(record["result"]["done"], "went-back", "{record:#}");
}

#[test]
fn revert_asks_shows_and_is_the_last_word() {
    let Some(m) = switched(LONG) else { return };
    let mut watcher = watching(&m);
    let shown = m.run(&["revert", "-n"]).ends(0);
    assert!(shown.out.contains("would take back"), "{}", shown.out);
    m.run(&["revert"]).ends(2);
    assert!(m.history()[0]["answer"].is_null());
    // Somebody had called it good all the same.
    let good = m.0.root().join("nix/var/nix/gcroots/cairn/known-good");
    let path = std::path::Path::new(m.0.path(System::Three));
    let mark = good.join(path.file_name().unwrap());
    fs::create_dir_all(&good).unwrap();
    std::os::unix::fs::symlink(path, &mark).unwrap();
    m.run(&["revert", "-y"]).ends(0);
    assert_eq!(watcher.wait().unwrap().code(), Some(21));
    assert!(fs::symlink_metadata(&mark).is_err());
    let record = &m.history()[0];
    assert_eq!(record["result"]["done"], "went-back");
    assert_eq!(record["answer"]["answer"], "reverted");
    m.run(&["confirm"]).ends(21);
    assert_eq!(m.history().len(), 1);
}

#[test]
fn a_confirmed_switch_can_be_reverted_later() {
    let Some(m) = switched(LONG) else { return };
    m.run(&["confirm"]).ends(0);
    m.watch(0);
    let before = m.0.profile();
    // That root is not `/`, so what runs is not switched there.
    m.run(&["revert", "-y"]).ends(0);
    assert_ne!(m.0.profile(), before);
    let record = &m.history()[0];
    assert_eq!(record["result"]["done"], "went-back");
    assert_eq!(record["answer"]["answer"], "confirmed");
    assert_eq!(
        fs::read_dir(m.0.root().join("nix/var/nix/gcroots/cairn/known-good"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn what_needs_no_word_takes_none() {
    let Some(m) = Switching::new(r#"{"gate": {"window": "50ms"}}"#) else {
        return;
    };
    m.run(&["confirm"])
        .fails(1, "no switch awaits a confirmation", "cairn history");
    m.run(&["revert", "-y"])
        .fails(1, "no switch that could be taken back", "cairn history");
    m.0.set(System::Three);
    m.hook(System::Three, "switch").ends(0);
    m.0.run_system(System::Three);
    m.watch(0);
    m.run(&["confirm"])
        .fails(1, "no switch awaits a confirmation", "cairn history");
    let id = m.history()[0]["id"].as_str().unwrap().to_owned();
    m.run(&["confirm", &id])
        .fails(1, "needs no confirmation", "cairn history");
}

#[test]
fn after_a_boot_it_is_still_owed_until_the_same_time_of_day() {
    let Some(m) = switched(LONG) else { return };
    let mut watcher = watching(&m);
    // The machine goes down, and boots.
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    rewrite(&m, |record| {
        record["confirm"]["sinceBoot"]["boot"] = json!("the boot before");
    });
    let until = m.history()[0]["confirm"]["until"].clone();
    let run = m.run(&["hook", "boot"]).ends(0);
    assert!(run.err.contains("is taken back at"), "{}", run.err);
    let started = fs::read_to_string(m.0.home().join("units.json.run")).unwrap();
    assert_eq!(started.matches("hook watch").count(), 2, "{started}");
    let record = &m.history()[0];
    assert_eq!(
        record["confirm"]["until"].as_str().unwrap()[..19],
        until.as_str().unwrap()[..19]
    );
    assert_ne!(record["confirm"]["sinceBoot"]["boot"], "the boot before");
    m.run(&["confirm"]).ends(0);
    assert_eq!(m.history()[0]["result"]["verdict"], "good");

    // Another one, and its time is over when the machine is up again.
    m.0.set(System::One);
    m.hook(System::One, "switch").ends(0);
    m.0.run_system(System::One);
    let mut watcher = watching(&m);
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    rewrite(&m, |record| {
        record["confirm"]["sinceBoot"]["boot"] = json!("the boot before");
        record["confirm"]["until"] = json!("2026-01-01T00:00:00Z");
    });
    m.run(&["hook", "boot"]).ends(0);
    let record = m.watch(21);
    assert_eq!(record["answer"]["answer"], "timed-out");
    assert_eq!(record["result"]["done"], "went-back");
}

#[test]
fn what_was_to_go_back_when_the_machine_went_down_goes_back_at_boot() {
    let Some(m) = switched(LONG) else { return };
    let before = m.0.profile();
    rewrite(&m, |record| {
        record["answer"] = json!({ "answer": "reverted", "at": "2026-01-01T00:00:00Z" });
    });
    let run = m.run(&["hook", "boot"]).ends(0);
    assert!(run.err.contains("still to be taken back"), "{}", run.err);
    assert_ne!(m.0.profile(), before);
    assert_eq!(m.history()[0]["result"]["done"], "went-back");
}

#[test]
fn a_boot_is_confirmed_after_it() {
    let Some(m) = Switching::new(LONG) else {
        return;
    };
    m.0.set(System::Three);
    m.hook(System::Three, "boot").ends(0);
    m.0.loader_default(System::Three);
    let record = m.watch(0);
    assert_eq!(record["result"]["verdict"], "none", "{record}");
    m.run(&["confirm"])
        .fails(1, "after a reboot", "cairn history");
    rewrite(&m, |_| ());
    m.0.run_system(System::Three);
    m.0.boot_system(System::Three);
    m.run(&["hook", "boot"]).ends(0);
    m.run(&["confirm"]).ends(0);
    let record = &m.history()[0];
    assert_eq!(record["result"]["verdict"], "good", "{record}");
}

#[test]
fn two_records_of_one_change_take_one_answer() {
    let Some(m) = Switching::new(LONG) else {
        return;
    };
    m.hook(System::Three, "test").ends(0);
    m.0.run_system(System::Three);
    let mut watcher = watching(&m);
    m.0.set(System::Three);
    m.hook(System::Three, "boot").ends(0);
    m.run(&["confirm", m.history()[1]["id"].as_str().unwrap()])
        .ends(0);
    assert!(watcher.wait().unwrap().success());
    let history = m.history();
    assert_eq!(history.len(), 2);
    for record in history {
        assert_eq!(record["answer"]["answer"], "confirmed", "{record}");
    }
}

#[test]
fn a_try_keeps_or_takes_back_and_passes_the_exit_code() {
    let Some(m) = Switching::new(r#"{"gate": {"window": "50ms"}}"#) else {
        return;
    };
    let file = m.0.root().join("etc/nixos/hardware.nix");
    let spoil = format!("echo spoilt > '{}'; cat; exit ", file.display());
    let attempt = |options: &[&str], code: i32| {
        let script = format!("{spoil}{code}");
        let mut args = vec!["try"];
        args.extend(options);
        args.extend(["--", "sh", "-c", &script]);
        m.run(&args)
    };
    attempt(&[], 5).ends(21);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{ }\n");
    let record = &m.history()[0];
    assert_eq!(record["action"], "try");
    assert_eq!(record["tried"]["exit"], 5);
    assert_eq!(
        record["result"]["reasons"],
        json!(["the command ended with 5"])
    );

    attempt(&["--may-fail"], 5).ends(5);
    assert_eq!(fs::read_to_string(&file).unwrap(), "spoilt\n");
    attempt(&["--state", "nothing"], 0).fails(1, "no state set 'nothing'", "cairn create");
    m.run(&["try"]).ends(2);
    m.run(&["try", "--confirm-timeout", "0s", "--", "true"])
        .ends(2);
    m.run(&["try", "--", "/nowhere/at/all"]).ends(1);
    assert_eq!(m.history()[0]["result"]["reached"], "refused");

    // A switch that it makes is its own.
    m.0.set(System::Three);
    let hook = format!(
        "'{}' --root '{}' --state-dir '{}' hook pre-switch {} switch",
        env!("CARGO_BIN_EXE_cairn"),
        m.0.root().display(),
        m.0.state().display(),
        m.0.path(System::Three),
    );
    let before = m.history().len();
    let run = m.run(&["try", "--", "sh", "-c", &hook]).ends(0);
    assert!(run.err.contains("part of a cairn try"), "{}", run.err);
    assert_eq!(m.history().len(), before + 1);
}

#[test]
fn a_killed_trys_command_is_ended_before_what_it_did_goes_back() {
    let Some(m) = Switching::new(r#"{"gate": {"window": "50ms"}}"#) else {
        return;
    };
    let file = m.0.root().join("etc/nixos/hardware.nix");
    // It hears no signal, and writes again what was taken back.
    let writes = format!(
        "trap '' TERM HUP; while :; do echo $$ > '{}'; sleep 0.02; done",
        file.display()
    );
    let mut attempt = m
        .command(&["try", "--", "sh", "-c", &writes])
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let pid = loop {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(10));
        if let Ok(pid) = fs::read_to_string(&file).unwrap().trim().parse::<u32>() {
            break pid;
        }
    };
    attempt.kill().unwrap();
    attempt.wait().unwrap();
    let id = m.history()[0]["id"].as_str().unwrap().to_owned();
    let run = m.run(&["hook", "watch", &id]).ends(21);
    assert!(run.err.contains("had left running"), "{}", run.err);
    // Gone, or nothing but its exit code.
    let left = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    assert!(left.is_empty());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(fs::read_to_string(&file).unwrap(), "{ }\n");
}

#[test]
fn a_trys_command_hears_an_interrupt_once_wherever_its_input_comes_from() {
    let Some(m) = Switching::new(r#"{"gate": {"window": "50ms"}}"#) else {
        return;
    };
    if !need(&["setsid"]) {
        return;
    }
    let heard = m.0.home().join("heard");
    let script = format!(
        "trap 'echo once >> \"{}\"' INT; echo at work; for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done",
        heard.display()
    );
    let attempt = m.command(&["try", "--", "sh", "-c", &script]);
    let mut elsewhere = Command::new("sh");
    elsewhere
        .args(["-c", "exec \"$0\" \"$@\" </dev/null"])
        .arg(attempt.get_program())
        .args(attempt.get_args());
    for (name, value) in attempt.get_envs() {
        match value {
            Some(value) => elsewhere.env(name, value),
            None => elsewhere.env_remove(name),
        };
    }
    let mut terminal = Terminal::run(&elsewhere, 24, 100);
    terminal.wait("at work");
    terminal.send("\x03");
    terminal.ends(0);
    assert_eq!(fs::read_to_string(&heard).unwrap(), "once\n");
}

#[test]
fn the_journal_and_commands_are_told() {
    let policy = r#"{"gate": {"window": "50ms"}, "notify": {"wall": false, "commands": {
        "note": {"command": ["sh", "-c", "cat >> \"$UNITS.told\"; echo $CAIRN_SWITCH >> \"$UNITS.ids\""]},
        "deaf": {"command": ["false"], "events": ["stuck"]},
        "slow": {"command": ["sleep", "60"], "timeout": "100ms"}
    }}}"#;
    let Some(m) = Switching::new(policy) else {
        return;
    };
    fs::create_dir_all(m.0.root().join("run/systemd/journal")).unwrap();
    let socket = UnixDatagram::bind(m.0.root().join("run/systemd/journal/socket")).unwrap();
    m.0.set(System::Three);
    m.hook(System::Three, "switch").ends(0);
    m.0.run_system(System::Three);
    let id = m.history()[0]["id"].as_str().unwrap().to_owned();
    let mut command = m.command(&["hook", "watch", &id]);
    let output = command.env("CAIRN_FAKE_SYSTEMD", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // What could not be told stops nothing.
    assert!(
        said.contains("notify command slow: `sleep 60` did not end"),
        "{said}"
    );
    assert!(!said.contains("deaf"), "{said}");
    let told = fs::read_to_string(m.0.home().join("units.json.told")).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["event"], "switch-good");
    assert_eq!(told["system"], m.0.path(System::Three));
    let ids = fs::read_to_string(m.0.home().join("units.json.ids")).unwrap();
    assert_eq!(ids.trim(), id);
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    let entry = String::from_utf8_lossy(&buffer[..length]);
    assert!(
        entry.contains("MESSAGE_ID=8742be43425f4b18a40f74a95f6b3da6\n"),
        "{entry}"
    );
    assert!(entry.contains(&format!("CAIRN_SWITCH={id}\n")), "{entry}");
    assert!(socket.recv(&mut buffer).is_err(), "told twice");
}
