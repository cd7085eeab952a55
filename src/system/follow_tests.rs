use super::*;
use std::os::unix::fs::symlink;

struct Machine(tempfile::TempDir);

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            let real = machine.0.path().join(path);
            fs::create_dir_all(real.parent().unwrap()).unwrap();
            fs::write(real, text).unwrap();
        }
        machine
    }

    fn link(self, path: &str, target: &str) -> Self {
        let real = self.0.path().join(path);
        fs::create_dir_all(real.parent().unwrap()).unwrap();
        symlink(target, real).unwrap();
        self
    }

    fn sources(&self) -> Sources {
        let layout = Layout::new(self.0.path(), self.0.path().join("state"));
        sources(&layout, &["/etc/nixos".into()]).unwrap()
    }

    fn roots(&self) -> Vec<(String, RootKind)> {
        let shown = |r: Root| (r.path.display().to_string(), r.kind);
        self.sources().roots.into_iter().map(shown).collect()
    }
}

fn root(path: &str, kind: RootKind) -> (String, RootKind) {
    (path.to_owned(), kind)
}

#[test]
fn imports_that_lead_outside_are_followed_to_the_end() {
    let machine = Machine::new(&[
        (
            "etc/nixos/configuration.nix",
            "{ imports = [ ./a.nix ../../srv/one.nix ]; }",
        ),
        ("etc/nixos/a.nix", "{ }"),
        (
            "srv/one.nix",
            "{ imports = [ ./deep ]; x = import /srv/two.nix; }",
        ),
        ("srv/two.nix", "{ }"),
        ("srv/deep/default.nix", "{ }"),
        ("srv/unrelated.nix", "{ }"),
    ]);
    assert_eq!(
        machine.roots(),
        [
            root("/etc/nixos", RootKind::Directory),
            root("/srv/deep", RootKind::Directory),
            root("/srv/one.nix", RootKind::File),
            root("/srv/two.nix", RootKind::File),
        ]
    );
    assert_eq!(machine.sources().followed.len(), 3);
}

#[test]
fn a_linked_root_is_the_link_and_what_it_leads_to() {
    let machine = Machine::new(&[("persist/etc/nixos/configuration.nix", "{ }")])
        .link("etc/nixos", "/persist/etc/nixos");
    assert_eq!(
        machine.roots(),
        [
            root("/etc/nixos", RootKind::Symlink),
            root("/persist/etc/nixos", RootKind::Directory)
        ]
    );
}

#[test]
fn a_linked_flake_stands_for_its_whole_flake() {
    let machine = Machine::new(&[
        ("home/u/dots/flake.nix", "{ }"),
        ("home/u/dots/flake.lock", "{ }"),
        ("home/u/dots/hosts/a.nix", "{ }"),
    ])
    .link("etc/nixos/flake.nix", "/home/u/dots/flake.nix");
    assert_eq!(
        machine.roots(),
        [
            root("/etc/nixos", RootKind::Directory),
            root("/home/u/dots", RootKind::Directory)
        ]
    );
}

#[test]
fn what_cannot_be_followed_is_said_with_its_line() {
    let machine = Machine::new(&[(
        "etc/nixos/configuration.nix",
        "{ modulesPath, ... }: {\n  imports = [ (modulesPath + \"/x.nix\") ./gone.nix <home/x> ];\n}",
    )]);
    let unfollowed = machine.sources().unfollowed;
    assert_eq!(unfollowed.len(), 3, "{unfollowed:?}");
    assert!(unfollowed.iter().all(|u| u.line == 2), "{unfollowed:?}");
}

#[test]
fn an_absent_root_is_recorded_as_such() {
    assert_eq!(
        Machine::new(&[]).roots(),
        [root("/etc/nixos", RootKind::Absent)]
    );
}
