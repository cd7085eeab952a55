{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  versionCheckHook,
  gitMinimal,
  restic,
}:

let
  manifest = lib.importTOML ./Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = manifest.package.name;
  inherit (manifest.package) version;

  # Only what cargo reads: an edit of the module or of a document builds nothing.
  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./Cargo.toml
      ./Cargo.lock
      ./src
      # Of the page about a machine, not of a flake.
      ./templates/report
      # A test holds it against the program.
      ./docs/notify.md
      (lib.fileset.maybeMissing ./build.rs)
      (lib.fileset.maybeMissing ./tests)
      # Named in Cargo.toml, so cargo wants them there.
      ./benches
    ];
  };

  cargoLock.lockFile = ./Cargo.lock;

  # Remotes on S3 and SFTP as well.
  buildFeatures = [ "remote-s3" ];

  strictDeps = true;
  nativeBuildInputs = [ installShellFiles ];

  # Unit tests only. What needs a Nix store of its own can't run inside a Nix
  # build; ./test and the VM tests cover it.
  cargoTestFlags = [
    "--lib"
    "--bins"
  ];
  nativeCheckInputs = [
    gitMinimal
    restic
  ];
  preCheck = ''
    export HOME=$(mktemp -d)
  '';

  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    for shell in bash zsh fish; do
      $out/bin/cairn completions $shell > cairn.$shell
      installShellCompletion --cmd cairn --$shell cairn.$shell
    done
    mkdir man
    $out/bin/cairn man man
    installManPage man/*
  '';

  doInstallCheck = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
  nativeInstallCheckInputs = [ versionCheckHook ];

  meta = {
    inherit (manifest.package) description;
    homepage = manifest.package.repository;
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "cairn";
  };
}
