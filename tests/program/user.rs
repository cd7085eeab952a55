//! What a user without rights can do, and what is said of the rest.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Machine, Run, System, contents, need, need_root, same};
use serde_json::Value;

const USER: u32 = 61_234;

/// A machine whose files a user may look at, with a home and a temporary
/// folder for that user.
struct Guest {
    machine: Machine,
    home: PathBuf,
    tmp: PathBuf,
}

impl Guest {
    fn new() -> Option<Self> {
        if !need_root() || !need(&["setpriv"]) {
            return None;
        }
        let machine = Machine::new()?;
        let base = machine.home().parent().unwrap().to_owned();
        fs::set_permissions(&base, Permissions::from_mode(0o755)).unwrap();
        let guest = Self {
            home: base.join("guest"),
            tmp: base.join("tmp"),
            machine,
        };
        fs::create_dir(&guest.home).unwrap();
        chown(&guest.home, Some(USER), Some(USER)).unwrap();
        fs::create_dir(&guest.tmp).unwrap();
        fs::set_permissions(&guest.tmp, Permissions::from_mode(0o1777)).unwrap();
        // A copy, because Cargo's folder may be closed to other users.
        fs::copy(env!("CARGO_BIN_EXE_cairn"), base.join("cairn")).unwrap();
        Some(guest)
    }

    /// Runs the program as the user, with these variables.
    fn cairn(&self, variables: &[(&str, &Path)], args: &[&str]) -> Run {
        self.as_user(variables, Some(&self.machine.root()), args)
    }

    fn as_user(&self, variables: &[(&str, &Path)], root: Option<&Path>, args: &[&str]) -> Run {
        let program = self.machine.home().with_file_name("cairn");
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &USER.to_string(), "--regid", &USER.to_string()])
            .arg("--clear-groups")
            .arg(program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", &self.home)
            .env("TMPDIR", &self.tmp)
            .env("NO_COLOR", "1")
            .envs(variables.iter().copied())
            .current_dir(&self.tmp)
            .stdin(Stdio::null());
        if let Some(root) = root {
            command.arg("--root").arg(root);
        }
        command.args(args).output().unwrap().into()
    }

    /// A state directory of the user's.
    fn own_state(&self) -> [String; 2] {
        let state = self.home.join("state");
        ["--state-dir".into(), state.to_str().unwrap().into()]
    }
}

/// Where `status` says points live.
fn state_dir(run: &Run) -> PathBuf {
    run.json()["status"]["stateDir"].as_str().unwrap().into()
}

fn is_private(dir: &Path) -> bool {
    let meta = fs::symlink_metadata(dir).unwrap();
    meta.is_dir() && meta.mode() & 0o7777 == 0o700 && meta.uid() == USER
}

#[test]
fn a_users_points_live_in_the_users_data_folder() {
    let Some(guest) = Guest::new() else { return };
    let data = guest.home.join("data");
    fs::create_dir(&data).unwrap();
    chown(&data, Some(USER), Some(USER)).unwrap();
    let run = guest
        .as_user(&[("XDG_DATA_HOME", &data)], None, &["--json", "status"])
        .ends(0);
    assert_eq!(state_dir(&run), data.join("cairn"));
    assert!(is_private(&data.join("cairn")));
    assert_eq!(run.err, "");
    let run = guest.as_user(&[], None, &["--json", "status"]).ends(0);
    assert_eq!(state_dir(&run), guest.home.join(".local/share/cairn"));
    assert!(is_private(&guest.home.join(".local/share/cairn")));
    // A relative one is to be ignored, as its standard says.
    let run = guest.as_user(
        &[("XDG_DATA_HOME", Path::new("data"))],
        None,
        &["--json", "status"],
    );
    assert_eq!(
        state_dir(&run.ends(0)),
        guest.home.join(".local/share/cairn")
    );
}

#[test]
fn where_no_folder_can_be_written_a_private_temporary_one_is_used_with_a_warning() {
    let Some(guest) = Guest::new() else { return };
    fs::set_permissions(&guest.home, Permissions::from_mode(0o500)).unwrap();
    let place = guest.tmp.join(format!("cairn-{USER}"));
    for root in [None, Some(guest.machine.root())] {
        let run = guest
            .as_user(&[], root.as_deref(), &["--json", "status"])
            .ends(0);
        assert_eq!(state_dir(&run), place);
        assert!(is_private(&place));
        assert_eq!(run.err.lines().count(), 1, "{}", run.err);
        assert!(run.err.contains("may not survive a reboot"), "{}", run.err);
        assert!(run.err.contains(place.to_str().unwrap()), "{}", run.err);
    }
    // It works, too.
    guest.cairn(&[], &["create"]).ends(0);
    let listed = guest.cairn(&[], &["--json", "list"]).ends(0);
    assert_eq!(
        listed.json()["points"]["items"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn a_temporary_folder_that_somebody_else_put_there_is_refused() {
    let Some(guest) = Guest::new() else { return };
    fs::set_permissions(&guest.home, Permissions::from_mode(0o500)).unwrap();
    let place = guest.tmp.join(format!("cairn-{USER}"));
    let elsewhere = guest.tmp.join("elsewhere");
    let spoils: [(&str, &dyn Fn()); 5] = [
        ("somebody else's", &|| {
            fs::create_dir(&place).unwrap();
            fs::set_permissions(&place, Permissions::from_mode(0o777)).unwrap();
        }),
        ("somebody else's, though closed to others", &|| {
            fs::create_dir(&place).unwrap();
            fs::set_permissions(&place, Permissions::from_mode(0o700)).unwrap();
        }),
        ("the user's, but open to others", &|| {
            fs::create_dir(&place).unwrap();
            fs::set_permissions(&place, Permissions::from_mode(0o755)).unwrap();
            chown(&place, Some(USER), Some(USER)).unwrap();
        }),
        ("a link to a folder of the user's", &|| {
            fs::create_dir(&elsewhere).unwrap();
            fs::set_permissions(&elsewhere, Permissions::from_mode(0o700)).unwrap();
            chown(&elsewhere, Some(USER), Some(USER)).unwrap();
            symlink(&elsewhere, &place).unwrap();
            lchown(&place, Some(USER), Some(USER)).unwrap();
        }),
        ("a file", &|| fs::write(&place, "x").unwrap()),
    ];
    for (what, spoil) in spoils {
        let _ = fs::remove_dir_all(&place);
        let _ = fs::remove_file(&place);
        spoil();
        let before = contents(&guest.tmp);
        let run = guest.cairn(&[], &["create"]);
        assert_eq!(run.code, 1, "{what}: {} {}", run.out, run.err);
        assert!(
            run.err.contains(place.to_str().unwrap()),
            "{what}: {}",
            run.err
        );
        assert_eq!(run.err.lines().count(), 2, "{what}: {}", run.err);
        same(&before, &contents(&guest.tmp), what);
    }
}

#[test]
fn a_named_state_directory_is_never_replaced_by_another() {
    let Some(guest) = Guest::new() else { return };
    let closed = guest.machine.home().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(guest.machine.home(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o755)).unwrap();
    for dir in [closed.join("new"), closed.clone()] {
        let run = guest
            .cairn(&[], &["--state-dir", dir.to_str().unwrap(), "create"])
            .ends(1);
        assert!(run.err.contains(dir.to_str().unwrap()), "{}", run.err);
    }
    assert!(!guest.tmp.join(format!("cairn-{USER}")).exists());
}

#[test]
fn a_file_that_may_not_be_read_makes_the_point_partial_and_is_named() {
    let Some(guest) = Guest::new() else { return };
    let machine = &guest.machine;
    machine.write("etc/nixos/secret.age", "secret");
    machine.mode("etc/nixos/secret.age", 0o600);
    machine.write("etc/nixos/closed/inside.nix", "{ }\n");
    machine.mode("etc/nixos/closed", 0o700);
    let [option, state] = guest.own_state();
    let run = guest
        .cairn(&[], &[&option, &state, "--json", "create"])
        .ends(3);
    let point = &run.json()["point"];
    let missing = |value: &Value| -> Vec<String> {
        let list = value["completeness"]["missing"].as_array().unwrap();
        list.iter()
            .map(|m| m["what"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(point["completeness"]["status"], "partial");
    assert_eq!(
        missing(point),
        ["/etc/nixos/closed", "/etc/nixos/secret.age"]
    );
    let id = point["id"].as_str().unwrap();
    let file = Path::new(&state).join(format!("points/{id}.json"));
    let document: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!(missing(&document), missing(point));
    // The configuration that may be read is held.
    assert_eq!(document["config"]["files"], 2);
    // A user cannot hold a system; that is told, and no reason to call it partial.
    assert!(
        run.err
            .contains("only root may add garbage-collector roots"),
        "{}",
        run.err
    );

    let text = guest.cairn(&[], &[&option, &state, "create"]).ends(3);
    assert!(
        text.out.contains("not captured: /etc/nixos/secret.age"),
        "{}",
        text.out
    );
    let list = guest.cairn(&[], &[&option, &state, "list"]).ends(0);
    assert_eq!(list.out.matches("partial").count(), 2, "{}", list.out);
    let shown = guest.cairn(&[], &[&option, &state, "show"]).ends(0);
    assert!(
        shown.out.contains("missing         /etc/nixos/closed"),
        "{}",
        shown.out
    );
}

#[test]
fn what_a_partial_point_lacks_is_left_alone_by_a_restore() {
    let Some(guest) = Guest::new() else { return };
    let machine = &guest.machine;
    machine.write("etc/nixos/secret.age", "secret");
    machine.mode("etc/nixos/secret.age", 0o600);
    let [option, state] = guest.own_state();
    guest.cairn(&[], &[&option, &state, "create"]).ends(3);
    machine.write("etc/nixos/hardware.nix", "{ changed = 1; }\n");
    // Root restores what the user took.
    let mut command = machine.program();
    command
        .arg("--root")
        .arg(machine.root())
        .args([&option, &state]);
    let run: Run = command
        .args(["restore", "--only", "config", "--yes"])
        .output()
        .unwrap()
        .into();
    let run = run.ends(0);
    assert!(run.err.contains("the point is partial"), "{}", run.err);
    assert_eq!(machine.read("etc/nixos/hardware.nix"), "{ }\n");
    assert_eq!(machine.read("etc/nixos/secret.age"), "secret");
}

#[test]
fn a_restore_without_the_right_says_which_before_anything_changes() {
    let Some(guest) = Guest::new() else { return };
    let machine = &guest.machine;
    let [option, state] = guest.own_state();
    guest.cairn(&[], &[&option, &state, "create"]).ends(0);
    machine.write("etc/nixos/hardware.nix", "{ changed = 1; }\n");
    machine.set(System::Three);
    let before = (contents(&machine.root()), contents(Path::new(&state)));
    let user = format!("rights that user {USER} does not have");
    for (args, right) in [
        (&["restore", "--yes"][..], "setting the profile in"),
        (
            &["restore", "--only", "generation", "--yes"],
            "setting the profile in",
        ),
        (&["rollback", "latest", "--yes"], "setting the profile in"),
        (&["restore", "--only", "config", "--yes"], "writing "),
        (
            &["restore", "latest", "/etc/nixos/hardware.nix", "--yes"],
            "hardware.nix",
        ),
    ] {
        let args: Vec<&str> = [&*option, &*state]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        let run = guest.cairn(&[], &args);
        let lines: Vec<&str> = run
            .err
            .lines()
            .filter(|l| !l.starts_with("note:"))
            .collect();
        assert_eq!((run.code, lines.len()), (1, 2), "{args:?}: {}", run.err);
        assert!(
            lines[0].contains(&user) && lines[0].contains(right),
            "{}",
            lines[0]
        );
        assert!(lines[0].ends_with("nothing was changed"), "{}", lines[0]);
        assert!(lines[1].starts_with("  try: sudo cairn"), "{}", lines[1]);
    }
    same(&before.0, &contents(&machine.root()), "a refused restore");
    same(&before.1, &contents(Path::new(&state)), "a refused restore");
}

#[test]
fn a_user_restores_what_is_the_users_own() {
    let Some(guest) = Guest::new() else { return };
    let machine = &guest.machine;
    let nixos = machine.root().join("etc/nixos");
    for path in contents(&nixos).keys() {
        chown(nixos.join(path), Some(USER), Some(USER)).unwrap();
    }
    chown(machine.root().join("etc"), Some(USER), Some(USER)).unwrap();
    let [option, state] = guest.own_state();
    guest.cairn(&[], &[&option, &state, "create"]).ends(0);
    let good = contents(&nixos);
    machine.write("etc/nixos/hardware.nix", "{ changed = 1; }\n");
    machine.write("etc/nixos/added.nix", "{ }\n");
    chown(nixos.join("added.nix"), Some(USER), Some(USER)).unwrap();
    guest
        .cairn(
            &[],
            &[&option, &state, "restore", "--only", "config", "--yes"],
        )
        .ends(0);
    same(&good, &contents(&nixos), "the configuration");
    guest
        .cairn(&[], &[&option, &state, "undo", "--yes"])
        .ends(0);
    assert!(nixos.join("added.nix").exists());
}
