//! The bed itself: a machine leaves nothing behind, even when its test was
//! killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::support::Bed;

/// Set for the process that is killed.
const VICTIM: &str = "CAIRN_BED_VICTIM";

#[test]
fn a_machine_and_what_a_killed_test_left_go_away() {
    if std::env::var_os(VICTIM).is_some() {
        let Some(bed) = Bed::plain() else { return };
        bed.sh("touch /dev/shm/running").ok();
        println!("\nleft: {}", bed.dir().display());
        std::io::stdout().flush().unwrap();
        std::thread::sleep(std::time::Duration::from_secs(600));
        return;
    }
    let Some(bed) = Bed::plain() else { return };
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("driver::a_machine_and_what_a_killed_test_left_go_away")
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let left = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("left: ").map(str::to_owned))
        .unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(running(&left), 1, "the machine of the killed test");

    let next = Bed::plain().unwrap();
    assert_eq!(running(&left), 0);
    assert!(!std::path::Path::new(&left).exists());
    // Those whose tests live are left alone.
    bed.sh("true").ends(0);
    assert_eq!(groups(&left), 0);

    let own = next.dir().display().to_string();
    assert_eq!(running(&own), 1);
    assert!(groups(&own) > 0);
    drop(next);
    assert_eq!(running(&own), 0);
    assert_eq!(groups(&own), 0);
    assert!(!std::path::Path::new(&own).exists());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&own), "{mounts}");
}

/// How many containers run in a bed's directory.
fn running(dir: &str) -> usize {
    let wanted = format!("--directory={dir}/root");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .filter(|line| {
            line.split(|byte| *byte == 0)
                .any(|word| word == wanted.as_bytes())
        })
        .count()
}

/// How many control groups there are of a bed.
fn groups(dir: &str) -> usize {
    let bed = dir.rsplit('/').next().unwrap();
    let found = Command::new("find")
        .args(["/sys/fs/cgroup", "-maxdepth", "2", "-type", "d"])
        .args(["-name", &format!("cairn-bed-*-{bed}-*")])
        .output()
        .unwrap();
    String::from_utf8(found.stdout).unwrap().lines().count()
}
