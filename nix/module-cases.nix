# Configurations of the module: those that must evaluate without an error or a
# warning, and those that must be refused, each with what the message says.
{
  good = {
    minimal = {
      services.cairn.enable = true;
    };

    disabled = { };

    full = {
      services.cairn = {
        enable = true;
        stateDir = "/persist/cairn";
        configPaths = [
          "/etc/nixos"
          "/home/alice/machines"
        ];
        points = {
          hourly.schedule = "hourly";
          before-work = {
            schedule = "Mon..Fri 07:30";
            reason = ''50% of "all" $work starts'';
            randomizedDelay = "0";
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
        settings.retention.points.keepTags = [ "release" ];
      };
    };

    nothing-by-the-clock = {
      services.cairn = {
        enable = true;
        points = { };
        retention.schedule = null;
      };
    };

    read-only-etc = {
      boot.initrd.systemd.enable = true;
      system.etc.overlay.enable = true;
      system.etc.overlay.mutable = false;
      services.userborn.enable = true;
      services.cairn.enable = true;
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
    no-configuration = {
      set.configPaths = [ ];
      says = "Name at least one file or directory";
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
    no-nix = {
      also.nix.enable = false;
      says = "Set nix.enable = true";
    };
  };
}
