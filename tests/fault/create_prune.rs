//! Death at every fault point of `create` and `prune`, and at random moments:
//! what was there is there whole, and the next run leaves nothing over.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::Machine;
use cairn::fault;

/// Kills `args` at the n-th passage of a fault point, for every n there is,
/// and shows each dead machine to `look`.
fn at_every_passage(
    point: &str,
    args: &[&str],
    machine: impl Fn() -> Machine,
    look: impl Fn(Machine, &str),
) -> usize {
    for n in 1.. {
        let machine = machine();
        let at = format!("{point}:{n}");
        let ended = machine.struck(&at, args);
        if ended.killed() {
            look(machine, &at);
            continue;
        }
        ended.expect(0);
        assert!(n > 1, "{point} is never passed");
        return n - 1;
    }
    unreachable!()
}

const CREATE: &[&str] = &["create", "-r", "new", "--tag", "fresh", "--pin"];
const PRUNE: &[&str] = &["prune", "--keep-last", "1", "-y"];

#[test]
fn create_dies_at_every_point() {
    const NAME: &str = "create_dies_at_every_point";
    if Machine::lived(NAME).is_none() {
        return;
    }
    for point in fault::CREATE {
        for next in [CREATE, PRUNE] {
            let machine = || Machine::lived(NAME).unwrap();
            at_every_passage(point, CREATE, machine, |machine, at| {
                let ids = machine.ids();
                let had: Vec<String> = ["A", "B"].map(|r| machine.point(r)).into();
                assert!(had.iter().all(|id| ids.contains(id)), "{at}: {ids:?}");
                // The new one is whole once its document stands, else unseen.
                let documented = ["create.documented", "create.ended"]
                    .iter()
                    .any(|p| at.starts_with(p));
                assert_eq!(ids.len(), if documented { 3 } else { 2 }, "{at}");
                machine.verify();
                machine.run(next).expect(0);
                machine.nothing_left_over();
                let left = machine.ids();
                let expected = if next == PRUNE { 1 } else { ids.len() + 1 };
                // The running system's newest point is protected too.
                assert!(left.len() >= expected, "{at}: {left:?}");
                assert!(next == PRUNE || ids.iter().all(|id| left.contains(id)));
            });
        }
    }
}

/// A machine with five points of which `prune --keep-last 1` takes three.
fn crowded(name: &str) -> Machine {
    let machine = Machine::lived(name).unwrap();
    for reason in ["C", "D", "E"] {
        std::fs::write(machine.etc().join("count"), reason).unwrap();
        machine.create(reason);
    }
    machine.run(["pin", &machine.point("C")]).expect(0);
    machine.run(["mark-bad", &machine.point("D")]).expect(0);
    machine
}

#[test]
fn prune_dies_at_every_point() {
    const NAME: &str = "prune_dies_at_every_point";
    if Machine::lived(NAME).is_none() {
        return;
    }
    let template = crowded(NAME).keep("crowded");
    let crowded = || Machine::copy_of(&template);
    let whole = crowded();
    let before: BTreeSet<String> = whole.ids().into_iter().collect();
    let pinned = "C";
    whole.run(PRUNE).expect(0);
    let kept = whole.ids().len();
    assert!(kept < before.len() && kept >= 2, "{kept}");
    whole.nothing_left_over();
    for point in fault::PRUNE {
        let mut passages = 0;
        for next in [CREATE, PRUNE] {
            passages = at_every_passage(point, PRUNE, crowded, |machine, at| {
                // Each point is whole or gone; those to keep are all there.
                let ids = machine.ids();
                assert!(ids.len() >= kept, "{at}: {ids:?}");
                machine.point(pinned);
                machine.point("E");
                machine.verify();
                machine.run(next).expect(0);
                machine.nothing_left_over();
                let left = machine.ids();
                machine.point(pinned);
                let expected = if next == PRUNE { kept } else { ids.len() + 1 };
                assert_eq!(left.len(), expected, "{at}: {left:?}");
            });
        }
        let several = point.ends_with("removed") && *point != "prune.documents-removed";
        let several = several || *point == "prune.unpinned";
        let removed = before.len() - kept;
        assert_eq!(passages, if several { removed } else { 1 }, "{point}");
    }
}

/// Between the named points there is all the rest: packs half written, a vault
/// half made, a link half set.
#[test]
fn death_at_random_moments_loses_nothing() {
    const NAME: &str = "death_at_random_moments_loses_nothing";
    let Some(machine) = Machine::new(NAME) else {
        return;
    };
    let mut created: BTreeSet<String> = BTreeSet::new();
    let (mut died, mut round) = (0, 0_u64);
    let begun = Instant::now();
    while died < 60 && begun.elapsed() < Duration::from_secs(60) {
        round += 1;
        std::fs::write(machine.etc().join("count"), format!("{round}")).unwrap();
        let pruning = round.is_multiple_of(4);
        let args: &[&str] = if pruning {
            &["prune", "--keep-last", "4", "-y"]
        } else {
            &["create", "-r", "random", "--json"]
        };
        let mut child = machine
            .command(args)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Round by round through the time that a run takes, and beyond.
        std::thread::sleep(Duration::from_micros(round * 997 % 40_000));
        let _ = child.kill();
        died += usize::from(child.wait().unwrap().code().is_none());
        let ids: BTreeSet<String> = machine.ids().into_iter().collect();
        if !pruning {
            let lost: Vec<_> = created.difference(&ids).collect();
            assert!(lost.is_empty(), "round {round} lost {lost:?}");
        }
        created = ids;
        machine.verify();
    }
    assert!(died >= 20, "only {died} of {round} runs were killed");
    machine.create("last");
    machine.run(PRUNE).expect(0);
    machine.nothing_left_over();
}
