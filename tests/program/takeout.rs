//! Copies brought out to a fresh folder, parts compared, parts looked at.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use crate::support::{Machine, contents, need_root, same, short};
use serde_json::{Value, json};

/// A machine with all that is easily lost, in configuration and state.
fn machine() -> Option<(Machine, String)> {
    let machine = Machine::new()?;
    let policy = json!({ "state": { "app": { "paths": ["/var/lib/app"] } } });
    machine.write("etc/cairn/policy.json", policy.to_string());
    machine.write("etc/nixos/web/a.nix", "{ a = 1; }\n");
    machine.write("etc/nixos/web/b.nix", "{ b = 1; }\n");
    machine.write("etc/nixos/secret", "secret");
    machine.mode("etc/nixos/secret", 0o400);
    machine.mode("etc/nixos/web", 0o2750);
    machine.link("../nowhere", "etc/nixos/link");
    machine.write(crate::support::bytes(b"etc/nixos/odd\xff\n"), "odd");
    machine.write("var/lib/app/data", "data\n");
    let app = machine.root().join("var/lib/app");
    fs::hard_link(app.join("data"), app.join("second")).unwrap();
    let _ = xattr::set(app.join("data"), "user.origin", b"\x00\xff");
    let mut file = fs::File::create(app.join("sparse")).unwrap();
    file.seek(SeekFrom::Start(20 << 20)).unwrap();
    file.write_all(b"end").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        app.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from(0o600),
        0,
    )
    .unwrap();
    let id = machine.create("to bring out");
    Some((machine, id))
}

/// Files that staging leaves behind, by name.
fn left(dir: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    names
        .filter(|p| {
            p.file_name()
                .unwrap()
                .as_encoded_bytes()
                .starts_with(b".cairn")
        })
        .collect()
}

#[test]
fn all_of_it_comes_out_exactly_and_nothing_else_changes() {
    let Some((machine, id)) = machine() else {
        return;
    };
    machine.write("etc/nixos/web/a.nix", "changed since\n");
    let etc = contents(&machine.root().join("etc"));
    let points = machine.ids();
    let out = machine.home().join("out");
    let to = out.to_str().unwrap();
    let shown = machine.ok(&["restore", &id, "--to", to, "-n"]);
    assert!(
        shown.contains("would bring out") && !out.exists(),
        "{shown}"
    );
    let told = machine.ok(&["restore", &id, "--to", to]);
    assert!(told.contains("no undo point was taken"), "{told}");
    same(
        &etc,
        &contents(&machine.root().join("etc")),
        "the originals",
    );
    assert_eq!(machine.ids(), points);
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o7777, 0o700);
    let mut expected = contents(&machine.root().join("etc/nixos"));
    let mut found = contents(&out.join("etc/nixos"));
    let changed = Path::new("web/a.nix");
    assert_ne!(found.remove(changed), expected.remove(changed));
    same(&expected, &found, "the configuration");
    let app = machine.root().join("var/lib/app");
    same(
        &contents(&app),
        &contents(&out.join("var/lib/app")),
        "state",
    );
    let meta = |name: &str| fs::metadata(out.join("var/lib/app").join(name)).unwrap();
    assert_eq!(meta("data").ino(), meta("second").ino(), "one file");
    assert_eq!(
        meta("data").mtime(),
        fs::metadata(app.join("data")).unwrap().mtime()
    );
    assert!(
        meta("sparse").blocks() * 512 < 1 << 20,
        "{}",
        meta("sparse").blocks()
    );
    assert!(left(&machine.home()).is_empty());
}

#[test]
fn chosen_paths_come_out_below_their_full_names() {
    let Some((machine, id)) = machine() else {
        return;
    };
    let out = machine.home().join("out");
    // An empty folder is as good as none, and keeps its mode.
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o755)).unwrap();
    let to = out.to_str().unwrap();
    let paths = ["/etc/nixos/web", "/var/lib/app/data"];
    let told = machine.json(&["restore", &id, paths[0], paths[1], "--to", to]);
    assert_eq!(told["takeOut"]["files"], 3, "{told}");
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o7777, 0o755);
    let mut names: Vec<PathBuf> = contents(&out).into_keys().collect();
    names.retain(|n| out.join(n).is_file());
    assert_eq!(
        names,
        [
            "etc/nixos/web/a.nix",
            "etc/nixos/web/b.nix",
            "var/lib/app/data"
        ]
        .map(PathBuf::from)
    );
    assert_eq!(
        fs::metadata(out.join("etc/nixos/web")).unwrap().mode() & 0o7777,
        0o2750
    );
    // Not fresh any more.
    machine
        .cairn(&["restore", &id, "--to", to])
        .fails(1, "is not empty", "--to");
    let file = out.join("etc/nixos/web/a.nix");
    machine
        .cairn(&["restore", &id, "--to", file.to_str().unwrap()])
        .fails(1, "no folder", "--to");
    symlink("/tmp", machine.home().join("way")).unwrap();
    let way = machine.home().join("way");
    machine
        .cairn(&["restore", &id, "--to", way.to_str().unwrap()])
        .fails(1, "no folder", "--to");
    let fresh = machine.home().join("fresh");
    machine
        .cairn(&[
            "restore",
            &id,
            "/etc/nixos/wep",
            "--to",
            fresh.to_str().unwrap(),
        ])
        .fails(1, "did you mean /etc/nixos/web?", "cairn show");
    machine
        .cairn(&["restore", &id, "--to", "/nowhere/at/all"])
        .ends(1);
    machine.cairn(&["restore", &id, "--to", "/proc"]).ends(1);
    assert!(!fresh.exists() && left(&machine.home()).is_empty());
    let part = [
        "restore",
        &id,
        "--only",
        "state",
        "--to",
        fresh.to_str().unwrap(),
    ];
    machine.ok(&part);
    assert!(fresh.join("var").exists() && !fresh.join("etc").exists());
}

#[test]
fn a_death_leaves_nothing_or_all_and_the_next_run_sweeps() {
    let Some((machine, id)) = machine() else {
        return;
    };
    for at in cairn::system::fault::TAKEOUT {
        let out = machine.home().join(at);
        let args = ["restore", &id, "--to", out.to_str().unwrap()];
        let died = machine
            .command(&args)
            .env("CAIRN_FAULT", at)
            .output()
            .unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&died.status);
        assert_eq!(signal, Some(9), "{at}");
        let placed = *at == "takeout.placed";
        assert_eq!(out.exists(), placed, "{at}");
        assert_eq!(left(&machine.home()).len(), usize::from(!placed), "{at}");
        let next = machine.home().join(format!("{at}-next"));
        machine.ok(&["restore", &id, "--to", next.to_str().unwrap()]);
        assert!(left(&machine.home()).is_empty(), "{at}");
    }
}

/// A user may bring out what root captured, and hears what could not be kept.
#[test]
fn without_rights_owners_are_told_and_the_rest_is_kept() {
    if !need_root() {
        return;
    }
    let Some((machine, id)) = machine() else {
        return;
    };
    let own = |path: &Path| std::os::unix::fs::lchown(path, Some(65534), Some(65534)).unwrap();
    // What a point of root's may hold, in a state directory a user was given.
    let mut todo = vec![machine.state()];
    while let Some(path) = todo.pop() {
        own(&path);
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
    }
    let place = machine.home().join("theirs");
    fs::create_dir(&place).unwrap();
    own(&place);
    let mut above = machine.home();
    while above.parent().is_some_and(|p| p != Path::new("/")) {
        let mode = fs::metadata(&above).unwrap().mode() | 0o055;
        if above.starts_with(machine.root().parent().unwrap()) {
            fs::set_permissions(&above, fs::Permissions::from_mode(mode)).unwrap();
        }
        above = above.parent().unwrap().to_owned();
    }
    let out = place.join("out");
    let run = machine
        .command(&["restore", &id, "--json", "--to", out.to_str().unwrap()])
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(3), "{err}");
    let told: Value = serde_json::from_slice(&run.stdout).unwrap();
    let lost = told["takeOut"]["lost"].as_array().unwrap();
    let of_secret = lost.iter().find(|l| l["path"] == "/etc/nixos/secret");
    assert_eq!(of_secret.unwrap()["what"], "owner");
    assert_eq!(
        fs::read_to_string(out.join("etc/nixos/secret")).unwrap(),
        "secret"
    );
    let mode = |path: &str| fs::metadata(out.join(path)).unwrap().mode() & 0o7777;
    assert_eq!(mode("etc/nixos/secret"), 0o400);
    assert_eq!(mode("etc/nixos/web"), 0o750, "without its owner no setgid");
}

#[test]
fn a_comparison_can_be_of_paths_and_in_short() {
    let Some((machine, id)) = machine() else {
        return;
    };
    machine.write("etc/nixos/web/a.nix", "{ a = 2; }\n{ more }\n");
    machine.write("etc/nixos/hardware.nix", "{ h = 1; }\n");
    machine.write("var/lib/app/data", "newer\n");
    let second = machine.create("second");
    machine.write("etc/nixos/web/b.nix", vec![0, 1, 2]);

    let all = machine.ok(&["diff", &format!("{}..{}", short(&id), short(&second))]);
    for part in [
        "~ /etc/nixos/web/a.nix",
        "~ /etc/nixos/hardware.nix",
        "state app",
        "+{ more }",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    let part = machine.ok(&["diff", &id, &second, "--", "/etc/nixos/web"]);
    assert!(
        part.contains("a.nix") && !part.contains("hardware"),
        "{part}"
    );
    assert!(!part.contains("state app"), "{part}");
    let state = machine.json(&["diff", &id, &second, "--", "/var/lib/app/data"]);
    let state = &state["diff"];
    assert_eq!(state["config"].as_array().unwrap().len(), 0, "{state}");
    assert_eq!(state["state"][0]["changes"][0]["path"], "/var/lib/app/data");
    assert_eq!(state["system"], Value::Null);
    machine
        .cairn(&["diff", &id, &second, "--", "/usr/share"])
        .fails(1, "/usr/share is not in restore point", "cairn show");

    let stat = machine.ok(&["diff", &id, "--stat", "--", "/etc/nixos"]);
    assert_eq!(
        stat,
        format!(
            "{} → now\n  ~ /etc/nixos/hardware.nix content +1 -1\n  \
             ~ /etc/nixos/web/a.nix content +2 -1\n  ~ /etc/nixos/web/b.nix content binary\n\
             3 files changed, +3 -2\n",
            short(&id)
        )
    );
    let stat = machine.json(&["diff", &id, &second, "--stat"]);
    assert_eq!(stat["diff"]["stat"]["added"], 3, "{stat}");
    assert_eq!(stat["diff"]["stat"]["files"][1]["removed"], 1, "{stat}");
    let same = machine.ok(&["diff", &id, &second, "--stat", "--", "/etc/nixos/secret"]);
    assert!(same.contains("nothing differs"), "{same}");
}

#[test]
fn show_cat_tells_files_folders_and_links_apart() {
    let Some((machine, id)) = machine() else {
        return;
    };
    let cat = |path: &str| machine.cairn(&["show", &id, "--cat", path]);
    assert_eq!(cat("/etc/nixos/secret").ends(0).out, "secret");
    assert_eq!(cat("/var/lib/app/data").ends(0).out, "data\n");
    assert_eq!(cat("/etc/nixos/web").ends(0).out, "a.nix\nb.nix\n");
    assert_eq!(cat("/var/lib").ends(0).out, "app/\n");
    let folder = cat("/etc/nixos/").ends(0).out;
    assert!(
        folder.contains("web/\n") && folder.contains("odd\\xff\\n\n"),
        "{folder}"
    );
    let link = cat("/etc/nixos/link").ends(0);
    assert_eq!(link.out, "/etc/nixos/link is a symlink to ../nowhere\n");
    assert_eq!(link.err, "");
    assert_eq!(
        cat("/var/lib/app/pipe").ends(0).out,
        "/var/lib/app/pipe is a pipe\n"
    );
    cat("/etc/nixos/sekret").fails(1, "did you mean /etc/nixos/secret?", "cairn show");
    cat("/nowhere").fails(1, "/nowhere is not in restore point", "cairn show");
    let told = machine.json(&["show", &id, "--cat", "/etc/nixos/link"]);
    assert_eq!(told["entry"]["target"], "../nowhere");
    let told = machine.json(&["show", &id, "--cat", "/etc/nixos/secret"]);
    assert_eq!(told["entry"]["text"], "secret");
    assert_eq!(told["entry"]["mode"], "0400");
    machine.link("web/a.nix", "etc/nixos/link");
    machine.create("link");
    let link = machine
        .cairn(&["show", "latest", "--cat", "/etc/nixos/link"])
        .ends(0);
    assert!(
        link.err.contains("--cat /etc/nixos/web/a.nix"),
        "{}",
        link.err
    );
}
