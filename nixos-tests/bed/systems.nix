# The generations of the bed: NixOS systems in miniature, built without nixpkgs
# by the Nix of the base tree. Each set holds the same generations: without
# cairn, with it, and with other policies.
let
  variants = import ./systems/variants.nix;
  cairn = import ./systems/cairn.nix;

  # Long enough for what breaks late, short enough for many tests.
  window.gate.window = "4s";

  sets = {
    plain = variants { parts = cairn.absent; };
    cairn = variants { parts = cairn.over "" window; };
    # No point, no switch.
    required = variants { parts = cairn.over "required" window; };
    # Commands hold state still.
    commands = variants { parts = cairn.over "commands" window; };
    # Issues are healed, but not by the clock: tests say when.
    heal = variants {
      parts = cairn.over "heal" (
        window
        // {
          heal = {
            enable = true;
            interval = "1h";
            settle = "3s";
            coolDown = "0s";
            destructive = [
              "restore-configuration"
              "roll-back"
            ];
          };
          # A container has no way out; how busy the machine is that runs the
          # tests is nothing to be healed here.
          health.disabled = [
            "route"
            "memory"
            "swap"
            "cpu"
            "load"
            "temperature"
          ];
        }
      );
    };
    # Points are sent elsewhere, and tended there.
    elsewhere = {
      inherit (variants { parts = cairn.over "elsewhere" window; }) good other-good;
    };
    # Boots are judged too.
    boot-gate = variants {
      parts = cairn.over "boot-gate" (window // { bootGate.attempts = 2; });
    };
    inherit counted;
    # Somebody has to confirm a switch: soon, and with time for a reboot.
    confirm = {
      inherit
        (variants {
          parts = cairn.over "" { gate = window.gate // { confirmTimeout = "8s"; }; };
        })
        good
        other-good
        third-good
        bad-unit
        net-broken
        ;
    };
    confirm-later = {
      inherit
        (variants {
          parts = cairn.over "" { gate = window.gate // { confirmTimeout = "25s"; }; };
        })
        good
        other-good
        third-good
        ;
    };
    # Everything is told to a command.
    told = {
      inherit
        (variants {
          parts = cairn.over "" (
            window
            // {
              notify.commands.note.command = [
                "/bin/sh"
                "-c"
                "cat >>/run/told; echo $CAIRN_EVENT >>/run/events"
              ];
            }
          );
        })
        good
        other-good
        bad-unit
        ;
    };
    # What broke is left as it is.
    no-rollback = variants {
      parts = cairn.over "" {
        gate = window.gate // {
          rollback = false;
        };
      };
    };
  };

  # For machines with firmware: a boot loader that counts, as the policy does.
  counted =
    let
      attempts = 2;
      all = variants {
        parts = cairn.over "boot-gate" (window // { bootGate.attempts = attempts; });
        common = {
          loader = (import ./systems/loader.nix).counted attempts;
          # No time-out depends on how much an emulator gets done.
          kernelParams = "quiet panic=-1 console=ttyS0 systemd.default_timeout_start_sec=900 nokaslr mitigations=off no_timer_check rcupdate.rcu_expedited=1 audit=0 lsm=capability";
        };
      };
    in
    {
      inherit (all) good no-init;
    };

  recurse = value: value // { recurseForDerivations = true; };
in
{
  all = recurse (builtins.mapAttrs (_: recurse) sets);
  paths = builtins.mapAttrs (_: builtins.mapAttrs (_: system: "${system}")) sets;
}
