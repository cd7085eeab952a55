# The generations that tests switch between, by name. What is wrong with each
# is said here, and nowhere else.
{
  parts,
  # What all have in common.
  common ? { },
}:
let
  text = import ./units.nix;
  toplevel = import ./toplevel.nix;

  make =
    name:
    {
      app ? text.app name,
      units ? { },
      wants ? [ ],
      checks ? { },
      parts ? defaultParts,
      ...
    }@settings:
    toplevel (
      removeAttrs settings [
        "app"
        "parts"
      ]
      // {
        inherit name;
        units =
          text.common
          // text.reactivation (builtins.attrValues parts.etc)
          // {
            "app.service" = app;
          }
          // parts.units
          // units;
        wants = text.wants ++ [ "multi-user.target.wants/app.service" ] ++ parts.wants ++ wants;
        inherit (parts) etc programs;
        checks = parts.checks // checks;
      }
    );
  defaultParts = parts;
  extra = unit: {
    units."extra.service" = unit;
    wants = [ "multi-user.target.wants/extra.service" ];
  };
in
builtins.mapAttrs (name: settings: make name (common // settings)) {
  good = { };
  other-good = { };
  third-good = { };

  # The app fails at once.
  bad-unit.app = text.service [
    "Type=oneshot"
    "ExecStart=/usr/bin/false"
  ];
  # The app never says that it is ready.
  slow-unit.app = text.service [
    "Type=notify"
    "TimeoutStartSec=1s"
    "ExecStart=/usr/bin/sleep infinity"
  ];
  # The app starts, and crashes 2 s later.
  late-crash.app = text.service [ "ExecStart=/bin/sh -c 'sleep 2; exit 1'" ];
  # The app takes its time: time to kill the switch in.
  long-start.app = text.service [
    "Type=oneshot"
    "RemainAfterExit=yes"
    "ExecStart=/usr/bin/sleep 3"
  ];
  # Activation takes its time, while the app is down.
  long-activate.activate = "sleep 3";
  # All units are well, and nobody outside can be reached.
  net-broken.units."network.service" = text.service [
    "Type=oneshot"
    "RemainAfterExit=yes"
    "ExecStart=/usr/bin/true"
  ];
  # A second after the switch nobody answers on D-Bus any more.
  dbus-dead = extra (
    text.service [
      "ExecStart=/bin/sh -c 'sleep 1; systemctl stop dbus.socket dbus.service; exec sleep infinity'"
    ]
  );

  activate-fails = extra (text.service [ "ExecStart=/usr/bin/sleep infinity" ]) // {
    activate = "echo 'Activation script snippet failed' >&2; status=1";
  };
  # Checks that are not cairn's: before it in order, and after it.
  check-fails.checks.other = "echo 'not on my watch'; exit 1";
  check-fails-first.checks.before = "echo 'not on my watch'; exit 1";
  bootloader-fails.bootloader = "echo 'no space left on the ESP' >&2; exit 1";
  init-differs.initInterface = "systemd 3";
  # May not be switched to each other.
  old-bus.inhibitors.dbus = "daemon";
  new-bus.inhibitors.dbus = "broker";
  bad-bus = {
    inhibitors.dbus = "broker";
    app = text.service [
      "Type=oneshot"
      "ExecStart=/usr/bin/false"
    ];
  };
  other-kernel.kernel = "6.12.2";
  # The kernel finds nothing to start, and panics.
  no-init.bootable = false;

  with-specialisation.specialisations = {
    safe = make "specialised" { };
    broken = make "badly-specialised" {
      app = text.service [
        "Type=oneshot"
        "ExecStart=/usr/bin/false"
      ];
    };
  };
  # The module was taken out again.
  module-off.parts = (import ./cairn.nix).absent;
}
