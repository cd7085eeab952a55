//! Disks that are full and vaults that cannot be read, at every step: a clear
//! error, nothing lost, and the way on or back when the disk is well again.

use std::collections::BTreeMap;
use std::fs;

use crate::support::course::{Course, NEEDS_RESUME, each, end, same};
use crate::support::{Ended, Machine, names, namespaces};
use cairn::fault;

/// At most this many passages of one point, spread over all there are.
const OF_EACH: usize = 8;

/// Failures to ask for: each step fails for want of room, and files of the
/// vault and the state directory fail once, and from some moment on.
fn failures(course: &Course) -> Vec<String> {
    let mut passages: BTreeMap<&str, usize> = BTreeMap::new();
    for passage in course.passed.iter().filter(|p| p.before) {
        *passages.entry(&passage.name).or_default() += 1;
    }
    let mut all = Vec::new();
    for (name, count) in passages {
        let fails: &[&str] = match name {
            "vault.read" | "vault.list" => &["=eio", "+=eio"],
            "vault.write" => &["=enospc", "+=enospc", "+=eio"],
            "state.write" => &["=enospc", "+=enospc"],
            _ => &["=enospc"],
        };
        for fail in fails {
            let every = count.div_ceil(OF_EACH);
            let chosen = (1..=count).step_by(every);
            all.extend(chosen.map(|nth| format!("{name}:{nth}{fail}")));
        }
    }
    all
}

#[track_caller]
fn is_told(ended: &Ended, at: &str) {
    let told = ended.err.contains("No space left") || ended.err.contains("Input/output error");
    let lines = ended
        .err
        .lines()
        .filter(|l| l.starts_with("cairn: "))
        .count();
    assert!(told && lines == 1, "{at}: {}", ended.told());
    assert!(ended.err.contains("  try: "), "{at}: {}", ended.told());
}

/// No point is lost, and none is only half there.
#[track_caller]
fn nothing_lost(machine: &Machine) {
    machine.point("A");
    machine.point("B");
    machine.verify();
}

fn ends_well(course: &Course, machine: &Machine, ended: &Ended, verb: &str, at: &str) {
    match ended.code {
        // What failed was not needed, such as a note of a switch.
        Some(0) => same(&course.after, &machine.picture(), at),
        Some(1) => {
            is_told(ended, at);
            assert!(!ended.err.contains("part way"), "{at}: {}", ended.told());
            same(&course.before, &machine.picture(), at);
            assert!(machine.app_runs(), "{at}: a unit was left stopped");
            machine.run(["status"]).expect(0);
            nothing_lost(machine);
            machine.run(&course.args).expect(0);
            same(&course.after, &machine.picture(), at);
        }
        Some(NEEDS_RESUME) => {
            is_told(ended, at);
            machine.run(["status"]).expect(NEEDS_RESUME);
            nothing_lost(machine);
            end(machine, verb, course.expected(verb), at);
        }
        _ => panic!("{at}: {}", ended.told()),
    }
}

#[test]
fn a_restore_fails_at_every_step() {
    let Some(template) = Machine::lived_at("a_restore_fails_at_every_step") else {
        return;
    };
    let course = Course::new(template, &["restore", "A", "-y"]);
    let cases = failures(&course);
    let count = each(cases.into_iter().enumerate(), |(n, at)| {
        let (machine, ended) = course.struck(&at);
        let verb = if n.is_multiple_of(2) {
            "resume"
        } else {
            "abort"
        };
        ends_well(&course, &machine, &ended, verb, &at);
    });
    println!("{count} failures");
    assert!(count > 60, "{count}");
}

/// Going on or back fails too: the restore stays unfinished, and can be ended
/// either way.
#[test]
fn resume_and_abort_fail_at_every_step() {
    let Some(template) = Machine::lived_at("resume_and_abort_fail_at_every_step") else {
        return;
    };
    let course = Course::new(template, &["restore", "A", "-y"]);
    let dead = course.dead("restore.file:20").keep("half-restored");
    for verb in ["resume", "abort"] {
        let second = Course::new(dead.clone(), &[verb, "-y"]);
        let cases = failures(&second);
        let count = each(cases.into_iter().enumerate(), |(n, at)| {
            let at = format!("{verb} at {at}");
            let (machine, ended) = second.struck(at.split_once(" at ").unwrap().1);
            if ended.code == Some(0) {
                return same(&second.after, &machine.picture(), &at);
            }
            is_told(&ended, &at);
            machine.run(["status"]).expect(NEEDS_RESUME);
            nothing_lost(&machine);
            let last = if n.is_multiple_of(2) {
                "resume"
            } else {
                "abort"
            };
            end(&machine, last, course.expected(last), &at);
        });
        assert!(count > 40, "{count}");
    }
}

/// A file system of its own that is really full, for the state directory and
/// for what is restored (a mount point then), with more and more room.
#[test]
fn a_full_file_system_stops_a_restore() {
    const NAME: &str = "a_full_file_system_stops_a_restore";
    let Some(template) = Machine::lived_at(NAME).filter(|_| namespaces(NAME)) else {
        return;
    };
    let course = Course::new(template, &["restore", "A", "-y"]);
    let cases = ["var/lib/cairn", "etc/nixos"].map(|folder| {
        let spares = [0, 1, 2, 4, 7, 11, 16, 24, 32, 48, 400];
        spares.map(|spare| (folder, spare))
    });
    let (failed, whole) = (std::sync::Mutex::new(0), std::sync::Mutex::new(0));
    each(
        cases.concat().into_iter().enumerate(),
        |(n, (folder, spare))| {
            let verb = if n.is_multiple_of(2) {
                "resume"
            } else {
                "abort"
            };
            let at = format!("{folder} with {spare} blocks, then {verb}");
            let machine = course.fresh();
            fs::create_dir_all(machine.root.join("mnt")).unwrap();
            // Ends with what the restore ended with; when that has to be ended, it
            // is, with room.
            let script = format!(
                r#"
            mount -t tmpfs -o size=200m,mode=755 none "$ROOT/mnt"
            cp -a "$ROOT/{folder}/." "$ROOT/mnt"
            chmod --reference="$ROOT/{folder}" "$ROOT/mnt"
            used=$(df -B4096 --output=used "$ROOT/mnt" | tail -1)
            mount -o remount,size=$(( (used + {spare}) * 4096 )) "$ROOT/mnt"
            mount --bind "$ROOT/mnt" "$ROOT/{folder}"
            code=0; "$@" || code=$?
            mount -o remount,size=200m "$ROOT/mnt"
            if [ $code = 22 ]; then "$1" --root "$ROOT" {verb} -y >&2; fi
            umount "$ROOT/{folder}"
            find "$ROOT/{folder}" -mindepth 1 -delete
            cp -a "$ROOT/mnt/." "$ROOT/{folder}"
            exit $code
            "#
            );
            let args: Vec<&str> = course.args.iter().map(String::as_str).collect();
            let ended = machine.wrapped(&script, &args);
            match ended.code {
                Some(0) => {
                    *whole.lock().unwrap() += 1;
                    same(&course.after, &machine.picture(), &at);
                }
                Some(1) => {
                    *failed.lock().unwrap() += 1;
                    is_told(&ended, &at);
                    same(&course.before, &machine.picture(), &at);
                }
                Some(NEEDS_RESUME) => {
                    *failed.lock().unwrap() += 1;
                    assert!(
                        ended.err.contains("No space left"),
                        "{at}: {}",
                        ended.told()
                    );
                    same(course.expected(verb), &machine.picture(), &at);
                }
                _ => panic!("{at}: {}", ended.told()),
            }
            machine.run(["status"]).expect(0);
            nothing_lost(&machine);
            assert!(machine.app_runs(), "{at}");
            machine.create("next");
            machine.nothing_left_over();
        },
    );
    let (failed, whole) = (failed.into_inner().unwrap(), whole.into_inner().unwrap());
    println!("{failed} found no room, {whole} did");
    assert!(failed >= 6 && whole >= 2, "{failed} {whole}");
}

/// Packs that cannot be read, for real: a folder is in their place.
#[test]
fn a_vault_that_cannot_be_read_changes_nothing() {
    const NAME: &str = "a_vault_that_cannot_be_read_changes_nothing";
    let Some(template) = Machine::lived_at(NAME) else {
        return;
    };
    let course = Course::new(template, &["restore", "A", "-y"]);
    let whole = course.fresh();
    let packs = ["config", "state"].map(|repository| {
        let data = whole.state().join("vault").join(repository).join("data");
        let folders = names(&data).into_iter().map(|folder| data.join(folder));
        let packs = folders.flat_map(|f| names(&f).into_iter().map(move |n| f.join(n)));
        packs.collect::<Vec<_>>()
    });
    let failed = std::sync::Mutex::new(0);
    each(packs.concat(), |pack| {
        let machine = course.fresh();
        let pack = machine.root.join(pack.strip_prefix(&whole.root).unwrap());
        let at = pack.display().to_string();
        let aside = machine.dir.path().join("aside");
        fs::rename(&pack, &aside).unwrap();
        fs::create_dir(&pack).unwrap();
        let ended = machine.run(&course.args);
        if ended.code == Some(0) {
            return same(&course.after, &machine.picture(), &at);
        }
        *failed.lock().unwrap() += 1;
        let ended = ended.expect(1);
        let told = ended.err.contains("nothing was changed") && ended.err.contains(&at);
        assert!(told, "{at}: {}", ended.told());
        same(&course.before, &machine.picture(), &at);
        assert!(machine.app_runs());
        fs::remove_dir(&pack).unwrap();
        fs::rename(&aside, &pack).unwrap();
        machine.run(["status"]).expect(0);
        nothing_lost(&machine);
        machine.run(&course.args).expect(0);
        same(&course.after, &machine.picture(), &at);
    });
    let failed = failed.into_inner().unwrap();
    println!("{failed} of {} packs were needed", packs.concat().len());
    assert!(failed >= 4, "{failed}");
}

/// What can be asked to fail is asked to.
#[test]
fn every_file_of_the_vault_can_fail() {
    let Some(template) = Machine::lived_at("every_file_of_the_vault_can_fail") else {
        return;
    };
    let course = Course::new(template, &["restore", "A", "-y"]);
    let all = failures(&course);
    for name in fault::FILES {
        assert!(all.iter().any(|f| f.starts_with(name)), "{name}: {all:?}");
    }
}
