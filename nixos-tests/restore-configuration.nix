# A configuration that was edited, deleted and added to after a point comes
# back as it was: contents, modes, and nothing beside.
{
  name = "cairn-restore-configuration";
  globalTimeout = 900;

  nodes.machine.imports = [ ./common/node.nix ];

  testScript = ''
    # Everything that a restore promises to bring back, as text to compare.
    listing = "cd /etc/nixos && find . -printf '%P %y %m %U:%G %l\\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum"

    machine.wait_for_unit("multi-user.target")
    machine.succeed(
        "mkdir -p /etc/nixos/hosts",
        "echo '{ }' > /etc/nixos/hosts/empty.nix",
        "ln -s hosts/empty.nix /etc/nixos/current.nix",
    )
    before = machine.succeed(listing)
    machine.succeed("cairn create")

    machine.succeed(
        "echo broken > /etc/nixos/configuration.nix",
        "rm -r /etc/nixos/hosts",
        "chmod 0644 /etc/nixos/secret.nix",
        "ln -sfn /nowhere /etc/nixos/current.nix",
        "touch /etc/nixos/stray.nix",
    )
    assert machine.succeed(listing) != before, "the configuration was not broken"

    machine.succeed("cairn restore latest --only config --yes")
    after = machine.succeed(listing)
    assert after == before, f"before:\n{before}\nafter the restore:\n{after}"
  '';
}
