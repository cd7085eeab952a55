//! A second machine brings back what a first one sent: from the remote alone.

use std::fs;
use std::process::Command;

use crate::support::{Bed, Pointers};

#[test]
fn a_second_machine_comes_back_from_the_remote_alone() {
    let Some(tower) = Bed::with_cairn() else {
        return;
    };
    tower
        .sh(
            "echo one password > /root/password; echo from the tower > /var/lib/app/note; \
              echo '# the tower' > /etc/nixos/tower.nix",
        )
        .ok();
    tower.switch("other-good").ends(0);
    let id = tower.cairn("create -r 'to be sent' --json").json()["point"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let key = "--url /mnt/copies --password-file /root/password";
    // The repository is made with what a machine without a remote has.
    tower
        .sh("cp /etc/cairn/policy.json /tmp/policy.json && chmod u+w /tmp/policy.json && cairn --policy \
             /tmp/policy.json remote add copies /mnt/copies --new --password-file /root/password")
        .ok();
    let pushed = tower.json(&format!("remote push {key}"));
    assert!(pushed["push"]["sent"].to_string().contains(&id), "{pushed}");
    let config = tower.sh("cat /etc/nixos/tower.nix").ok();

    // Nothing but the disk with the copies, and the password, goes along.
    let mut laptop = Bed::off_with("cairn", "good", None).unwrap();
    let upper = laptop.dir().join("upper");
    fs::create_dir_all(upper.join("mnt")).unwrap();
    fs::create_dir_all(upper.join("root")).unwrap();
    fs::create_dir_all(upper.join("etc")).unwrap();
    let from = tower.dir().join("upper/mnt/copies");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&from)
        .arg(upper.join("mnt"))
        .status();
    assert!(copied.unwrap().success());
    fs::write(upper.join("root/password"), "one password\n").unwrap();
    fs::write(
        upper.join("etc/machine-id"),
        "00000000000000000000000000000abc\n",
    )
    .unwrap();
    drop(tower);
    laptop.start();
    assert_eq!(laptop.pointers(), Pointers::all("good"));
    let listed = laptop.json(&format!("remote list {key} --all-hosts"));
    let host = listed["points"]["items"][0]["host"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(listed.to_string().contains(&id), "{listed}");
    let told = laptop.cairn(&format!("restore --host {host} {id} {key} --yes"));
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.err.contains("not on this machine"), "{told:?}");
    assert_eq!(laptop.pointers().running, "other-good");
    assert_eq!(laptop.pointers().profile, "other-good");
    assert_eq!(
        laptop.sh("cat /var/lib/app/note").ok().trim(),
        "from the tower"
    );
    assert_eq!(laptop.sh("cat /etc/nixos/tower.nix").ok(), config);
    assert_eq!(laptop.state("app.service"), "active");
    laptop.cairn("undo --yes").ends(0);
    assert_eq!(laptop.pointers().running, "good");
    laptop.sh("test -e /etc/nixos/tower.nix").ends(1);
}

#[test]
fn the_modules_units_send_tend_and_check() {
    let Some(bed) = Bed::of("elsewhere", "good") else {
        return;
    };
    bed.sh("mkdir -p /mnt/copies && echo one password > /etc/cairn/password && chmod 600 /etc/cairn/password")
        .ok();
    bed.cairn("remote add disk /mnt/copies --new --password-file /etc/cairn/password")
        .ends(0);
    let create = |reason: &str| {
        let made = bed.cairn(&format!("create -r '{reason}' --json")).json();
        made["point"]["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (create("first"), create("second"));
    let there = || bed.json("remote list disk")["points"].to_string();
    bed.sh("systemctl start cairn-push-disk.service").ok();
    // What no rule keeps is not sent, and goes once it is there.
    assert!(!there().contains(&first) && there().contains(&second));
    let third = create("third");
    bed.sh("systemctl start cairn-push-disk.service").ok();
    assert!(there().contains(&second) && there().contains(&third));
    bed.sh("systemctl start cairn-prune-disk.service").ok();
    assert!(!there().contains(&second) && there().contains(&third));
    bed.sh("systemctl start cairn-check-disk.service").ok();
    // Damage is a unit that failed, and what failed is said in the journal.
    bed.sh("rm /mnt/copies/data/*/*").ok();
    bed.sh("systemctl start cairn-check-disk.service").ends(1);
    assert_eq!(bed.state("cairn-check-disk.service"), "failed");
    let told = bed.journal("-u cairn-check-disk.service -o cat");
    assert!(told.contains("pack"), "{told}");
    assert!(!told.contains("one password"), "{told}");
    // A server that is not there is a push that failed.
    bed.sh("systemctl start cairn-push-office.service").ends(1);
    let told = bed.journal("-u cairn-push-office.service -o cat");
    assert!(told.contains("office"), "{told}");
}
