# One toplevel: what a NixOS system's store path holds, as far as
# switch-to-configuration, boot loaders and cairn read it.
{
  name,
  units,
  wants,
  etc,
  checks,
  programs ? [ ],
  # Lines that the bootloader script and `activate` run first.
  bootloader ? "",
  activate ? "",
  # What the bootloader script does.
  loader ? (import ./loader.nix).plain,
  kernelParams ? "quiet",
  # Whether stage 2 is there.
  bootable ? true,
  initInterface ? "systemd 2",
  kernel ? "6.12.1",
  # `system.switch.inhibitors`: what differs in two systems that both have it
  # keeps one from being switched to the other.
  inhibitors ? { },
  specialisations ? { },
}:
let
  inherit (builtins) attrNames concatStringsSep toFile;

  build =
    name: script:
    derivation {
      inherit name;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      PATH = "/usr/bin:/bin";
      args = [
        "-e"
        "-c"
        script
      ];
    };
  each = f: set: concatStringsSep "\n" (map (key: f key set.${key}) (attrNames set));
  safe = builtins.replaceStrings [ "@" ] [ "-" ];

  linux = build "linux-${kernel}" ''
    mkdir -p $out/lib/modules/${kernel}
    echo ${kernel} >$out/bzImage
    echo ${kernel} >$out/initrd
  '';
  systemPath = build "system-path" ''
    mkdir -p $out/bin
    for program in ${concatStringsSep " " programs}; do ln -s $program $out/bin/; done
  '';
  # One store file for all: another one would make every switch re-execute systemd.
  systemConf = toFile "system.conf" ''
    [Manager]
    DefaultTimeoutStopSec=5s
  '';
  bootspec = toFile "boot.json" (
    builtins.toJSON {
      "org.nixos.bootspec.v1" = {
        system = "x86_64-linux";
        kernel = "@linux@/bzImage";
        initrd = "@linux@/initrd";
        kernelParams = builtins.filter builtins.isString (builtins.split " " kernelParams);
        label = "NixOS ${name} (Linux ${kernel})";
        init = "@out@/init";
        toplevel = "@out@";
      };
      "org.nixos.specialisation.v1" = { };
    }
  );

  # NixOS' own check, with what the machine has.
  switchInhibitors = ''
    case ''${2-} in boot | dry-activate) exit ;; esac
    /usr/bin/cmp -s /run/current-system/switch-inhibitors "$1/switch-inhibitors" && exit
    /usr/bin/python3 - /run/current-system/switch-inhibitors "$1/switch-inhibitors" <<'END'
    import json, os, sys
    old, new = (json.load(open(f)) if os.path.exists(f) else {} for f in sys.argv[1:])
    differ = [name for name in old if name in new and old[name] != new[name]]
    if differ:
        sys.exit("There are changes to critical components of the system: " + ", ".join(differ))
    END
  '';

  # As `system.preSwitchChecksScript`. What a deployer's PATH holds is nobody's
  # business: the checks must bring their own.
  check = toFile "pre-switch-checks" ''
    #!/bin/bash
    set -o errexit -o nounset -o pipefail
    export PATH=/path-of-the-deployer
    ${each (name: text: ''
      # pre-switch check ${name}
      (
      ${text}
      ) >&2 || {
        echo "Pre-switch check '${name}' failed" >&2
        exit 1
      }
    '') (checks // { inherit switchInhibitors; })}
  '';

  installLoader = toFile "install-bootloader" ''
    #!/bin/sh
    set -eu
    PATH=/usr/bin
    ${bootloader}
    entries=/boot/loader/entries
    ${loader}
  '';

  activation = toFile "activate" ''
    #!/bin/sh
    PATH=/usr/bin:/usr/sbin
    status=0
    ln -sfn @out@/etc /etc/static
    (cd @out@/etc && find . ! -type d ! -path './systemd/system/*') | while read -r file; do
      mkdir -p "/etc/''${file%/*}"
      ln -sfn "/etc/static/''${file#./}" "/etc/''${file#./}"
    done
    ln -sfn /etc/static/systemd/system /etc/systemd/system
    find /etc -xtype l -lname '/etc/static/*' -delete
    ${activate}
    ln -sfn @out@ /run/current-system
    exit $status
  '';

  # Stage 2 of a boot.
  init = toFile "init" ''
    #!/bin/sh
    @out@/activate
    /usr/bin/ln -sfn @out@ /run/booted-system
    exec /usr/lib/systemd/systemd
  '';

  switch = toFile "switch-to-configuration" ''
    #!/bin/sh
    export OUT=@out@ TOPLEVEL=@out@ DISTRO_ID=nixos SYSTEMD=@out@/systemd
    export INSTALL_BOOTLOADER=@out@/install-bootloader PRE_SWITCH_CHECK=@out@/pre-switch-checks
    exec /opt/bed/stc "$@"
  '';
  dryActivate = toFile "dry-activate" ''
    #!/bin/sh
    echo "would activate the configuration..."
  '';
in
build "nixos-system-bed-${name}" ''
  mkdir -p $out/bin $out/specialisation $out/etc/systemd/system
  printf %s ${name} >$out/nixos-version
  printf %s x86_64-linux >$out/system
  printf %s '${initInterface}' >$out/init-interface-version
  printf %s '${kernelParams}' >$out/kernel-params
  ln -s ${systemPath} $out/sw
  ln -s ${toFile "switch-inhibitors" (builtins.toJSON inhibitors)} $out/switch-inhibitors
  ln -s ${linux}/bzImage $out/kernel
  ln -s ${linux}/initrd $out/initrd
  ln -s ${linux} $out/kernel-modules
  ln -s /usr $out/systemd
  ${each (name: system: "ln -s ${system} $out/specialisation/${name}") specialisations}

  script() { sed "s,@out@,$out,g" $1 >$out/$2; chmod +x $out/$2; }
  sed "s,@out@,$out,g; s,@linux@,${linux},g" ${bootspec} >$out/boot.json
  script ${check} pre-switch-checks
  script ${installLoader} install-bootloader
  script ${activation} activate
  script ${dryActivate} dry-activate
  ${if bootable then "script ${init} init" else ""}
  script ${switch} bin/switch-to-configuration

  ln -s ${systemConf} $out/etc/systemd/system.conf
  ${each (path: file: "mkdir -p $out/etc/$(dirname ${path}); ln -s ${file} $out/etc/${path}") etc}
  cd $out/etc/systemd/system
  for target in sysinit basic local-fs multi-user sockets timers paths; do
    cp /usr/lib/systemd/system/$target.target .
  done
  cp /usr/lib/systemd/system/dbus.service /usr/lib/systemd/system/dbus.socket .
  ln -s multi-user.target default.target
  ${each (name: text: "ln -s ${toFile (safe name) text} ${name}") units}
  for want in ${concatStringsSep " " wants}; do
    test -e "''${want#*/}"
    mkdir -p "''${want%/*}"
    ln -s "../''${want#*/}" "$want"
  done
''
