use proptest::prelude::*;

use super::*;

/// Each reference as `role kind text`: `I` or `O`; `=`, `<` or `?`.
fn found(text: &str) -> Vec<String> {
    let scan = scan(text);
    assert_eq!(scan.errors, [], "{text}");
    scan.refs
        .iter()
        .map(|r| {
            let role = if r.role == Role::Import { "I" } else { "O" };
            match &r.kind {
                RefKind::Literal(path) => format!("{role}= {}", path.display()),
                RefKind::Search(path) => format!("{role}< {path}"),
                RefKind::Dynamic(source) => format!("{role}? {source}"),
            }
        })
        .collect()
}

#[test]
fn a_configuration() {
    let text = r#"
      { config, lib, pkgs, modulesPath, ... }:
      let secrets = import ./secrets.nix { inherit lib; }; in
      {
        imports = [
          ./hardware-configuration.nix
          ../shared
          /srv/nix/base.nix
          ~/private.nix
          <nixpkgs/nixos/modules/profiles/minimal.nix>
          "${modulesPath}/installer/scan/not-detected.nix"
          "/etc/nixos/absolute.nix"
          (import ./mod.nix { inherit pkgs; })
          ({ pkgs, ... }: { environment.etc.x.source = ./x; imports = [ ./inner.nix ]; })
          inputs.home-manager.nixosModules.default
        ] ++ lib.optional config.x ./optional.nix
          ++ lib.optionals (builtins.pathExists ./local.nix) [ ./local.nix ]
          ++ map (n: ./. + "/${n}.nix") [ "a" "b" ];
        boot.loader.grub.splashImage = ./logo.png;
        environment.etc."y".text = builtins.readFile ../y;
        users.users.alice.packages = [ (pkgs.callPackage ./pkg { }) ];
        home-manager.users.alice = ./home.nix;
      }"#;
    assert_eq!(
        found(text),
        [
            "I= ./secrets.nix",
            "I= ./hardware-configuration.nix",
            "I= ../shared",
            "I= /srv/nix/base.nix",
            "I= ~/private.nix",
            "I< nixpkgs/nixos/modules/profiles/minimal.nix",
            "I? \"${modulesPath}/installer/scan/not-detected.nix\"",
            "I= /etc/nixos/absolute.nix",
            "I= ./mod.nix",
            "O= ./x",
            "I= ./inner.nix",
            "I? inputs.home-manager.nixosModules.default",
            "I= ./optional.nix",
            "O= ./local.nix",
            "I= ./local.nix",
            "I? ./. + \"/${n}.nix\"",
            "O= ./logo.png",
            "O= ../y",
            "I= ./pkg",
            "O= ./home.nix",
        ]
    );
}

#[test]
fn imports_in_every_wrapping() {
    for (value, expected) in [
        ("lib.mkIf true [ ./a ]", &["I= ./a"][..]),
        (
            "if x == ./c then [ ./a ] else [ ./b ]",
            &["O= ./c", "I= ./a", "I= ./b"],
        ),
        ("with lib; [ ./a ]", &["I= ./a"]),
        ("let f = ./f; in [ ./a ]", &["O= ./f", "I= ./a"]),
        ("assert true; [ ./a ]", &["I= ./a"]),
        ("([ ./a ] ++ ([ ./b ]))", &["I= ./a", "I= ./b"]),
        ("map import [ ./a ./b ]", &["I= ./a", "I= ./b"]),
        ("map (f: import f) [ ./a ]", &["I? f", "I= ./a"]),
        (
            "lib.forEach [ \"a\" ] (n: ./m/${n}.nix)",
            &["I? ./m/${n}.nix"],
        ),
        (
            "builtins.map toModule [ ./a ]",
            &["I? builtins.map toModule [ ./a ]", "I= ./a"],
        ),
        ("lib.attrValues (import ./modules)", &["I= ./modules"]),
        ("[ (f ./a) ]", &["I? f ./a", "O= ./a"]),
        ("[ x ] ++ y.z", &["I? x", "I? y.z"]),
        ("y.z or [ ./a ]", &["I? y.z or [ ./a ]", "I= ./a"]),
        ("[ \"relative\" ]", &["I? \"relative\""]),
        (
            "[ (modulesPath + \"/x.nix\") ]",
            &["I? modulesPath + \"/x.nix\""],
        ),
        ("[ ./${x} ]", &["I? ./${x}"]),
        ("[ { a = ./a; } ]", &["O= ./a"]),
        (
            "lib.filesystem.listFilesRecursive ./m",
            &["I? lib.filesystem.listFilesRecursive ./m"],
        ),
        (
            "[ ./a ] |> map import",
            &["I? [ ./a ] |> map import", "I= ./a"],
        ),
    ] {
        assert_eq!(
            found(&format!("{{ imports = {value}; }}")),
            expected,
            "{value}"
        );
    }
    assert_eq!(found("{ a.b.\"imports\" = [ ./a ]; }"), ["I= ./a"]);
}

#[test]
fn dynamic_expressions() {
    for (text, expected) in [
        ("./${x}", &["O? ./${x}"][..]),
        ("./a/${import ./b}/c", &["O? ./a/${import ./b}/c", "I= ./b"]),
        ("./. + \"/x\"", &["O? ./. + \"/x\""]),
        ("(./. + \"/x\" + y)", &["O? ./. + \"/x\" + y"]),
        (
            "./. + \"/${import ./n.nix}.nix\"",
            &["O? ./. + \"/${import ./n.nix}.nix\"", "I= ./n.nix"],
        ),
        ("x + (./a)", &["O? x + (./a)"]),
        ("(builtins.readDir ./d)", &["O? builtins.readDir ./d"]),
        ("readDir (./. + \"/d\")", &["O? readDir (./. + \"/d\")"]),
        (
            "builtins.filterSource (p: t: p != ./no) ./src",
            &[
                "O? builtins.filterSource (p: t: p != ./no) ./src",
                "O= ./no",
            ],
        ),
        ("import (f x)", &["I? f x"]),
        ("import (f ./x)", &["I? f ./x", "O= ./x"]),
        ("import x {}", &["I? x"]),
        (
            "import\n  (if a\n then ./a else\t./b)",
            &["I= ./a", "I= ./b"],
        ),
        ("import \"${x}/y\" { }", &["I? \"${x}/y\""]),
        ("import (./. + \"/x\")", &["I? ./. + \"/x\""]),
        (
            "import (fetchTarball { url = \"u\"; })",
            &["I? fetchTarball { url = \"u\"; }"],
        ),
        (
            "(import (import ./s.nix).nixpkgs { })",
            &["I? (import ./s.nix).nixpkgs", "I= ./s.nix"],
        ),
        ("builtins.import <nixpkgs> { }", &["I< nixpkgs"]),
        ("scopedImport { a = ./a; } ./b", &["O= ./a", "I= ./b"]),
        ("builtins.scopedImport {} ./b", &["I= ./b"]),
        ("./x.nix |> import", &["I= ./x.nix"]),
        ("import <| ./x.nix", &["I= ./x.nix"]),
        ("\"${./a}/b\"", &["O= ./a"]),
        ("''\n ${../a}\n''", &["O= ../a"]),
        ("builtins.readFile \"/etc/hostname\"", &["O= /etc/hostname"]),
        ("builtins.readFile (./. + \"/x\")", &["O? ./. + \"/x\""]),
        ("{ a ? ./a, ... }: a", &["O= ./a"]),
        ("{ inherit (import ./a) b; }", &["I= ./a"]),
        ("a.${./b}", &["O= ./b"]),
        ("foo/bar.nix", &["O= foo/bar.nix"]),
        ("1 / 2", &[]),
        ("# ./comment\n\"./string\"", &[]),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
    let long = found(&format!("./. + \"{}\"", "x".repeat(500)));
    assert_eq!(long[0].chars().count(), 3 + MAX_SOURCE_CHARS);
    assert!(long[0].ends_with('…'));
}

#[test]
fn flakes() {
    let text = r#"{
      inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
      inputs.a.url = "path:../a";
      inputs = {
        b.url = "git+file:///srv/b?ref=main";
        c = { url = "/srv/c#x"; flake = false; };
        d = { type = "path"; path = "./d"; };
        e = { type = "github"; path = "./e"; };
        f.inputs.g.url = "../g";
        h.url = "path:./a%20b";
      };
      outputs = { self, nixpkgs, ... }@inputs: {
        x.inputs.z.url = "path:./not-an-input";
        nixosConfigurations.host = nixpkgs.lib.nixosSystem {
          specialArgs = { inherit inputs; };
          modules = [ ./configuration.nix inputs.a.nixosModules.x ./hosts/${name} (f ./y) ];
        };
      };
    }"#;
    assert_eq!(
        found(text),
        [
            "I= ../a",
            "I= /srv/b",
            "I= /srv/c",
            "I= ./d",
            "I= ../g",
            "I? path:./a%20b",
            "I= ./configuration.nix",
            "I? ./hosts/${name}",
            "O= ./y",
        ]
    );
    assert_eq!(found("{ inputs.a.url = \"path:\"; }"), ["I? path:"]);
    assert_eq!(found("{ services.inputs.a.url = \"path:./x\"; }"), [""; 0]);
    // Not Nix modules: nothing is claimed.
    assert_eq!(
        found("{ services.xserver.modules = [ pkgs.xf86 \"x\" ]; }"),
        [""; 0]
    );
}

#[test]
fn positions() {
    let scan = scan("{\n  é = \"ü\"; a = ./x;\n\timports = [ ./y ];\n}");
    let at: Vec<_> = scan.refs.iter().map(|r| (r.line, r.column)).collect();
    assert_eq!(at, [(2, 16), (3, 14)]);
    // The identifier is no Nix; what follows is read all the same.
    assert!(!scan.errors.is_empty());
    assert_eq!(scan.errors[0].line, 2);
}

#[test]
fn broken_files() {
    for text in [
        "{ imports = [ ./a",
        "{ imports = [ ./a ]; } }",
        "{ x = ; imports = [ ./a ]; }",
    ] {
        let scan = scan(text);
        assert!(!scan.errors.is_empty(), "{text}");
        assert_eq!(scan.refs.len(), 1, "{text}: {scan:?}");
        assert_eq!(scan.refs[0].kind, RefKind::Literal("./a".into()), "{text}");
    }
    let end = scan("{\n a = (");
    assert_eq!((end.errors[0].line, end.refs.len()), (2, 0));
    let nothing = scan("");
    assert_eq!((nothing.errors.len(), nothing.refs.len()), (1, 0));
}

#[test]
fn depth_is_bounded_before_it_can_hurt() {
    // Test threads have 2 MiB of stack; the program's first has 8.
    let refused = [
        "a ++ ".repeat(100_000),
        "f ".repeat(100_000),
        "!".repeat(100_000),
        "- ".repeat(100_000),
        "(".repeat(100_000),
        "[".repeat(100_000),
        "{a=".repeat(100_000),
        "\"${".repeat(100_000),
        "x: ".repeat(100_000),
        "a.b or ".repeat(100_000),
        "if a then b else ".repeat(100_000),
        "1 + ".repeat(100_000),
        "a ? b ".repeat(100_000),
        ")]} a ++ ".repeat(100_000),
        "(a ++ ".repeat(100_000),
        "[ (a ++ b ++ ".repeat(100_000),
    ];
    for text in &refused {
        let errors = scan(text).errors;
        assert!(errors[0].message.contains("is not read"), "{}", &text[..20]);
    }
    // Just below the bound nothing overflows.
    for (unit, tokens) in [
        ("a ++ ", 2),
        ("f ", 1),
        ("!", 1),
        ("- ", 1),
        ("(", 2),
        ("[", 1),
        ("{a=", 4),
        ("x: ", 2),
        ("a // ", 2),
        ("a -> ", 2),
        ("\"${", 2),
        ("1 + ", 2),
        ("a ? b ", 3),
        ("let a = ", 3),
        ("a.b or ", 4),
        ("with a; ", 2),
        ("if a then b else ", 5),
        ("(f (a ++ ", 5),
        ("rec {a=", 5),
    ] {
        let text = unit.repeat(depth::MAX_DEPTH / tokens - 2);
        let _ = scan(&text);
        let _ = scan(&format!("{{ imports = {text}"));
    }
    // Wide is not deep.
    let wide = format!("[ {} ]", "./a ".repeat(50_000));
    assert_eq!(found(&wide).len(), 50_000);
    let wide = format!("{{ {} }}", "a = [ (f ./a) ];\n".repeat(20_000));
    assert_eq!(scan(&wide).refs.len(), 20_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn hostile_text(text in "\\PC{0,120}") {
        let scan = scan(&text);
        for reference in scan.refs {
            prop_assert!(reference.line >= 1 && reference.column >= 1);
        }
    }

    #[test]
    fn hostile_bytes(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = scan(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn hostile_nix(parts in prop::collection::vec(0..40_usize, 0..40)) {
        const PARTS: [&str; 40] = [
            "import", "imports", "=", "[", "]", "{", "}", "(", ")", ";", "./a", "../b", "<c>", "~/d",
            "/e", "\"", "''", "${", "++", "+", "map", "x", ":", "@", "?", "let", "in", "if", "then",
            "else", "with", "readDir", ".", "inputs", "url", "\"path:./f\"", "or", "|>", "\\", "\n",
        ];
        let text: Vec<&str> = parts.iter().map(|&part| PARTS[part]).collect();
        let _ = scan(&text.concat());
        // However broken, every path is part of some reference.
        let text = text.join(" ");
        let refs = scan(&text).refs;
        let has = |wanted: &str| refs.iter().any(|r| match &r.kind {
            RefKind::Literal(path) => path.as_os_str() == wanted,
            RefKind::Search(path) => format!("<{path}>") == wanted,
            RefKind::Dynamic(source) => source.contains(wanted) || source.ends_with('…'),
        });
        for (kind, token) in rnix::tokenize(&text) {
            if token.len() > 2 && matches!(format!("{kind:?}").as_str(),
                "TOKEN_PATH_ABS" | "TOKEN_PATH_REL" | "TOKEN_PATH_HOME" | "TOKEN_PATH_SEARCH") {
                prop_assert!(has(token), "{token} of {text:?} is not in {refs:?}");
            }
        }
    }

    /// A literal path in `imports` is found wherever the list stands.
    #[test]
    fn never_dropped(names in prop::collection::vec("[a-z]{1,8}", 1..8), wrap in 0..6_usize) {
        let list: String = names.iter().map(|name| format!(" ./{name}.nix")).collect();
        let list = match wrap {
            0 => format!("[{list} ]"),
            1 => format!("lib.mkIf c [{list} ]"),
            2 => format!("[ x ] ++ [{list} ]"),
            3 => format!("(with a; [{list} ])"),
            4 => format!("map import [{list} ]"),
            _ => format!("if c then [{list} ] else [ ]"),
        };
        let refs = scan(&format!("{{ imports = {list}; }}")).refs;
        let literals: Vec<_> = refs
            .into_iter()
            .filter_map(|r| match (r.kind, r.role) {
                (RefKind::Literal(path), Role::Import) => Some(path),
                _ => None,
            })
            .collect();
        let expected: Vec<_> = names.iter().map(|n| PathBuf::from(format!("./{n}.nix"))).collect();
        prop_assert_eq!(literals, expected);
    }
}
