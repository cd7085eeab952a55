# Configurations of the module: those that must evaluate without an error or a
# warning, and those that must be refused, each with what the message says.
{
  good = {
    minimal = {
      services.cairn.enable = true;
    };

    disabled = { };

    deployed-from-elsewhere = {
      services.cairn = {
        enable = true;
        configPaths = [ ];
      };
    };

    full = {
      services.cairn = {
        enable = true;
        stateDir = "/persist/cairn";
        configPaths = [
          "/etc/nixos"
          "/home/alice/machines"
        ];
        caches = [ "https://cache.example.org" ];
        points = {
          hourly.schedule = "hourly";
          before-work = {
            schedule = "Mon..Fri 07:30";
            reason = ''50% of "all" $work starts'';
            randomizedDelay = "0";
            capture.state = [ "shop" ];
            keep.keepWeekly = 8;
          };
          before-switch = {
            trigger = "preSwitch";
            capture.state = [ "*" ];
          };
          after-boot = {
            trigger = "boot";
            capture.config = false;
          };
          before-healing = {
            trigger = "preHeal";
            reason = "in case the cure is worse";
          };
        };
        retention = {
          schedule = "Sun 04:00";
          points = {
            keepLast = 5;
            keepHourly = 24;
            keepDaily = 7;
            keepWeekly = 4;
            keepMonthly = 12;
            keepYearly = 3;
            keepWithin = "1m14d";
            minAge = "12h";
          };
          generations = {
            keepLast = 3;
            keepWithin = "30d";
          };
        };
        verify.schedule = "monthly";
        state = {
          database = {
            paths = [ "/var/lib/postgresql" ];
            exclude = [ "/var/lib/postgresql/tmp" ];
            before = [
              "/run/current-system/sw/bin/dump"
              "all of it"
            ];
            after = [ "/run/current-system/sw/bin/tidy" ];
            snapshot = "required";
            version = [
              "/run/current-system/sw/bin/postgres"
              "--version"
            ];
            versionChange = "refuse";
            timeout = "1h 30min";
          };
          shop = {
            paths = [ "/var/lib/shop" ];
            units = [
              "shop.service"
              "shop@1.service"
            ];
          };
        };
        preSwitch = {
          required = true;
          timeout = "45s";
        };
        risk.threshold = 20;
        gate = {
          window = "1min 30s";
          confirmTimeout = "10min";
        };
        bootGate = {
          enable = true;
          attempts = 2;
        };
        health = {
          checks = {
            network = {
              command = [
                "/run/current-system/sw/bin/ping"
                "-c1"
                "192.0.2.1"
              ];
              timeout = "5s";
            };
            disk = {
              command = [ "/run/current-system/sw/bin/check-disk" ];
              required = false;
            };
          };
          dirs = [ "/etc/greenboot/check" ];
          resolve = [ "cache.nixos.org" ];
          hosts = [ "git.example.org:22" ];
          disabled = [ "temperature" ];
          ignoreUnits = [ "backup-*.service" ];
          minScore = 60;
          disk.minFree = 15;
          cpu.maxLoad = 8;
        };
        heal = {
          enable = true;
          interval = "1h";
          destructive = [
            "restart-unit"
            "roll-back"
          ];
          disabled = [ "vacuum-journal" ];
          ignore = [ "service-down:backup-*.service" ];
          coolDown = "30min";
          attempts = 3;
          perBoot = 10;
          settle = "10s";
          foresee = "2d";
        };
        notify = {
          wall = false;
          commands.mail = {
            command = [
              "/run/current-system/sw/bin/tell-the-admin"
              "about it"
            ];
            events = [
              "went-back"
              "confirm-awaited"
            ];
            timeout = "20s";
          };
        };
        remotes.office = {
          url = "rest:https://backup.example.org/machine";
          passwordFile = "/run/secrets/backup";
          environmentFile = "/run/secrets/backup-server";
          schedule = "daily";
          checkSchedule = null;
          keep.keepMonthly = 12;
          closures = "s3://cache?endpoint=backup.example.org";
          maxAge = "2d";
        };
        metrics = {
          textfileDirectory = "/var/lib/prometheus-node-exporter";
          interval = "1min";
          serve = true;
        };
        remotes.disk = {
          url = "/mnt/disk/copies";
          passwordFile = "/run/secrets/backup";
          schedule = "hourly";
          checkSchedule = "Sun 05:00";
          closures = "file:///mnt/disk/store?compression=zstd";
          knowledge = false;
        };
        pins.last-year = "/nix/store/00000000000000000000000000000000-nixos-system-machine-25.11";
        settings.retention.points.keepTags = [ "release" ];
      };
    };

    served-on-a-socket = {
      services.cairn = {
        enable = true;
        metrics = {
          serve = true;
          socket = "/run/cairn-serve/http";
        };
      };
    };

    nothing-by-the-clock = {
      services.cairn = {
        enable = true;
        points = { };
        retention.schedule = null;
        verify.schedule = null;
      };
    };

    # What the file says counts, what it leaves out comes from the options, and
    # the settings have the last word.
    from-a-file = {
      services.cairn = {
        enable = true;
        policyFile = ./cases/cairn.json;
        gate.window = "5s";
        gate.rollback = false;
        settings.preSwitch.required = true;
      };
    };

    nothing-around-switches = {
      services.cairn = {
        enable = true;
        preSwitch.enable = false;
        gate.enable = false;
      };
    };

    gate-without-a-point = {
      services.cairn = {
        enable = true;
        preSwitch.enable = false;
      };
    };

    boot-counting = {
      boot.loader.systemd-boot.enable = true;
      services.cairn = {
        enable = true;
        bootGate.enable = true;
        bootGate.attempts = 2;
      };
    };

    # A release before 26.11, as far as the module can tell.
    no-boot-counting =
      { lib, ... }:
      {
        disabledModules = [ "system/boot/loader/systemd-boot/systemd-boot.nix" ];
        options.boot.loader.systemd-boot = lib.mkOption {
          default = { };
          type = lib.types.submodule {
            freeformType = lib.types.attrsOf lib.types.anything;
            config = {
              enable = true;
              installDeviceTree = false;
            };
          };
        };
        config.services.cairn = {
          enable = true;
          bootGate.enable = true;
        };
      };

    read-only-etc = {
      boot.initrd.systemd.enable = true;
      system.etc.overlay.enable = true;
      system.etc.overlay.mutable = false;
      services.userborn.enable = true;
      services.cairn.enable = true;
    };

    no-shell-at-boot = {
      boot.initrd.systemd.enable = true;
      system.etc.overlay.enable = true;
      system.nixos-init.enable = true;
      services.userborn.enable = true;
      services.cairn.enable = true;
      services.cairn.bootGate.enable = true;
    };

    # What upgrades by itself is watched like any switch.
    auto-upgrade = {
      system.autoUpgrade.enable = true;
      services.cairn.enable = true;
      services.cairn.gate.confirmTimeout = "10min";
    };

    inhibited = {
      system.switch.inhibitors.dbus = "broker";
      services.cairn.enable = true;
    };

    container = {
      boot.isContainer = true;
      services.cairn.enable = true;
    };

    switched-elsewhere = {
      system.switch.enable = false;
      services.cairn.enable = true;
    };

    all-state-but-the-points = {
      services.cairn = {
        enable = true;
        state.all = {
          paths = [ "/var/lib" ];
          exclude = [ "/var/lib/cairn" ];
        };
      };
    };

    root-emptied-at-boot = {
      fileSystems."/" = {
        device = "tmpfs";
        fsType = "tmpfs";
      };
      fileSystems."/persist" = {
        device = "/dev/disk/by-label/persist";
        fsType = "ext4";
        neededForBoot = true;
      };
      services.cairn = {
        enable = true;
        stateDir = "/persist/var/lib/cairn";
        configPaths = [ "/persist/etc/nixos" ];
      };
    };

    tags-alone-keep = {
      services.cairn = {
        enable = true;
        retention.points.keepLast = 0;
        retention.points.keepTags = [ "release" ];
      };
    };
  };

  bad = {
    state-relative = {
      set.stateDir = "var/lib/cairn";
      says = "Write an absolute path";
    };
    state-with-dots = {
      set.stateDir = "/var/lib/../cairn";
      says = "Write an absolute path";
    };
    state-with-space = {
      set.stateDir = "/var/lib/my points";
      says = "Write an absolute path";
    };
    state-in-store = {
      set.stateDir = "/nix/store/cairn";
      says = "which is in the store";
    };
    state-in-etc = {
      set.stateDir = "/etc/cairn";
      says = "/etc is made anew";
    };
    state-in-run = {
      set.stateDir = "/run/cairn";
      says = "emptied at boot";
    };
    state-in-tmp = {
      set.stateDir = "/var/tmp/cairn";
      says = "emptied at boot";
    };
    blank-cache = {
      set.caches = [ "" ];
      says = "Write the URL of a Nix store";
    };
    configuration-relative = {
      set.configPaths = [ "nixos" ];
      says = "Write absolute paths below";
    };
    configuration-everything = {
      set.configPaths = [ "/" ];
      says = "Write absolute paths below";
    };
    configuration-in-store = {
      set.configPaths = [ "/nix/store/configuration.nix" ];
      says = "Name the place you edit";
    };
    configuration-holds-state = {
      set.configPaths = [ "/var/lib" ];
      says = "Move one out of the other";
    };
    state-holds-configuration = {
      set.configPaths = [ "/var/lib/cairn/nixos" ];
      says = "Move one out of the other";
    };
    name-with-space = {
      set.points."every day" = { };
      says = "Rename it";
    };
    name-with-slash = {
      set.points."a/b" = { };
      says = "Rename it";
    };
    name-of-option = {
      set.points."-n" = { };
      says = "Rename it";
    };
    no-schedule = {
      set.points.daily.schedule = " ";
      says = "Give a calendar event such as schedule";
    };
    empty-reason = {
      set.points.daily.reason = "";
      says = "Write the text to show";
    };
    no-prune-schedule = {
      set.retention.schedule = "";
      says = "or null to prune by hand only";
    };
    keep-no-points = {
      set.retention.points.keepLast = 0;
      says = "every restore point would be deleted";
    };
    keep-nothing-by-settings = {
      set.settings.retention.points.keepLast = 0;
      says = "every restore point would be deleted";
    };
    keep-nothing-old-enough = {
      set.retention.points = {
        keepLast = 0;
        minAge = "30d";
      };
      says = "every restore point would be deleted";
    };
    keep-no-generations = {
      set.retention.generations.keepLast = 0;
      says = "every system generation but the current one";
    };
    two-state-directories = {
      set.settings.stateDir = "/var/lib/elsewhere";
      says = "Set services.cairn.stateDir only";
    };
    no-verify-schedule = {
      set.verify.schedule = "";
      says = "or null to verify by hand only";
    };
    schedule-without-clock = {
      set.points.start = {
        trigger = "boot";
        schedule = "daily";
      };
      says = "Remove the schedule";
    };
    schedule-missing-in-settings = {
      set.settings.points.extra.reason = "some day";
      says = "Give a calendar event such as schedule";
    };
    keep-nothing-of-a-name = {
      set.points.daily.keep = { };
      says = "keep.keepLast = 5";
    };
    capture-unknown-state = {
      set.points.daily.capture.state = [ "shop" ];
      says = "Declare the set in services.cairn.state";
    };
    another-version = {
      set.settings.version = 2;
      says = "reads policies of version 1";
    };
    state-badly-named = {
      set.state."a b".paths = [ "/var/lib/a" ];
      says = "services.cairn.state has the name \"a b\". Rename it";
    };
    state-without-paths = {
      set.state.shop = { };
      says = "Name at least one file or directory, or remove the set";
    };
    state-path-relative = {
      set.state.shop.paths = [ "var/lib/shop" ];
      says = "outside the store";
    };
    state-path-in-store = {
      set.state.shop.paths = [ "/nix/store/shop" ];
      says = "outside the store";
    };
    state-holds-points = {
      set.state.all.paths = [ "/var/lib" ];
      says = "or name it in exclude";
    };
    state-among-points = {
      set.state.all = {
        paths = [ "/var/lib/cairn/x" ];
        exclude = [ "/var/lib/cairn/x/y" ];
      };
      says = "or name it in exclude";
    };
    exclude-elsewhere = {
      set.state.shop = {
        paths = [ "/var/lib/shop" ];
        exclude = [ "/var/cache/shop" ];
      };
      says = "not below a path of its set";
    };
    unit-without-kind = {
      set.state.shop = {
        paths = [ "/var/lib/shop" ];
        units = [ "shop" ];
      };
      says = "Write whole names of units";
    };
    state-without-time = {
      set.state.shop = {
        paths = [ "/var/lib/shop" ];
        timeout = "0s";
      };
      says = "leaves no time at all in \"state.shop.timeout\"";
    };
    state-version-by-name = {
      set.state.shop = {
        paths = [ "/var/lib/shop" ];
        version = [ "postgres" ];
      };
      says = "without a program's whole path";
    };
    state-command-by-name = {
      set.state.shop = {
        paths = [ "/var/lib/shop" ];
        before = [ "sqlite3" ];
      };
      says = "without a program's whole path";
    };
    state-command-empty = {
      set.state.shop = {
        paths = [ "/var/lib/shop" ];
        after = [ ];
      };
      says = "without a program's whole path";
    };
    pin-badly-named = {
      set.pins."../x" = "/nix/store/00000000000000000000000000000000-x";
      says = "services.cairn.pins has the name";
    };
    pin-below-store-path = {
      set.pins.init = "/nix/store/00000000000000000000000000000000-x/init";
      says = "what is right below /nix/store";
    };
    span-without-unit = {
      set.settings.gate.window = "30";
      says = "Write a number with its unit";
    };
    span-of-another-type = {
      set.settings.preSwitch.timeout = 30;
      says = "Write a number with its unit";
    };
    no-time-for-the-hook = {
      set.preSwitch.timeout = "0s";
      says = "Write at least";
    };
    required-but-not-taken = {
      set.preSwitch = {
        enable = false;
        required = true;
      };
      says = "or preSwitch.required = false";
    };
    confirm-nothing = {
      set.gate = {
        rollback = false;
        confirmTimeout = "5min";
      };
      says = "or gate.confirmTimeout = null";
    };
    notify-badly-named = {
      set.notify.commands."a b".command = [ "/bin/true" ];
      says = "services.cairn.notify.commands has the name";
    };
    notify-without-command = {
      set.notify.commands.mail.command = [ ];
      says = "services.cairn.notify.commands has no command";
    };
    notify-by-name = {
      set.settings.notify.commands.mail.command = [ "mail" ];
      says = "without a program's whole path";
    };
    notify-without-time = {
      set.notify.commands.mail = {
        command = [ "/bin/true" ];
        timeout = "0s";
      };
      says = "leaves no time at all in \"notify.commands.mail.timeout\"";
    };
    check-badly-named = {
      set.health.checks."my check".command = [ "/bin/true" ];
      says = "services.cairn.health.checks has the name";
    };
    check-without-command = {
      set.health.checks.shop = { };
      says = "has no command";
    };
    check-by-name = {
      set.health.checks.shop.command = [ "curl" ];
      says = "without a program's whole path";
    };
    check-folder-relative = {
      set.health.dirs = [ "check" ];
      says = "services.cairn.health.dirs has no plain absolute path";
    };
    host-without-port = {
      set.health.hosts = [ "example.org" ];
      says = "services.cairn.health.hosts has no host and port";
    };
    host-with-port-zero = {
      set.settings.health.hosts = [ "example.org:0" ];
      says = "services.cairn.health.hosts has no host and port";
    };
    name-to-resolve-empty = {
      set.health.resolve = [ " " ];
      says = "services.cairn.health.resolve has an empty name";
    };
    heal-no-time = {
      set.heal.interval = "0s";
      says = ''leaves no time at all in "heal.interval"'';
    };
    heal-both-ways = {
      set.heal = {
        destructive = [ "roll-back" ];
        disabled = [ "roll-back" ];
      };
      says = "services.cairn.heal has roll-back in destructive and in disabled";
    };
    remote-badly-named = {
      set.remotes."a/b".url = "/mnt";
      says = "services.cairn.remotes has the name";
    };
    remote-nowhere = {
      set.remotes.office = { };
      says = "Say where";
    };
    remote-password-in-store = {
      set.remotes.office = {
        url = "/mnt";
        passwordFile = "/nix/store/00000000000000000000000000000000-password";
      };
      says = "Name a file outside the store";
    };
    remote-environment-in-store = {
      set.remotes.office = {
        url = "/mnt";
        environmentFile = "/nix/store/00000000000000000000000000000000-environment";
      };
      says = "no usable environmentFile";
    };
    remote-without-password = {
      set.remotes.office = {
        url = "/mnt";
        schedule = "daily";
      };
      says = "a schedule and no passwordFile";
    };
    remote-empty-schedule = {
      set.remotes.office = {
        url = "/mnt";
        passwordFile = "/run/secrets/backup";
        schedule = "";
      };
      says = "services.cairn.remotes has an empty schedule";
    };
    remote-empty-prune-schedule = {
      set.remotes.office = {
        url = "/mnt";
        passwordFile = "/run/secrets/backup";
        pruneSchedule = "";
      };
      says = "services.cairn.remotes has an empty schedule";
    };
    no-nix = {
      also.nix.enable = false;
      says = "Set nix.enable = true";
    };
  };
}
