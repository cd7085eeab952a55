//! A second machine brings back what a first one sent: from the remote alone.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod bed_support;

use std::fs;
use std::process::Command;

use bed_support::{Bed, Pointers};

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
