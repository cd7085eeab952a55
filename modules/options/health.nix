# What is looked at to tell whether the machine is well, and where its limits
# are.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  shared = import ../types.nix { inherit lib; };
  percent = types.ints.between 1 100;

  # The checks that cairn has: docs/health.md.
  names = [
    "units"
    "restarts"
    "disk"
    "inodes"
    "memory"
    "swap"
    "cpu"
    "load"
    "temperature"
    "time"
    "route"
    "resolve"
    "host"
    "store"
    "system"
    "configuration"
    "boot"
    "check"
    "file"
    "copies"
  ];

  check.options = {
    command = mkOption {
      type = shared.command;
      default = [ ];
      example = lib.literalExpression ''[ (lib.getExe' pkgs.iputils "ping") "-c1" "-W2" "192.0.2.1" ]'';
      description = ''
        The command: the program's path, and arguments. No shell reads it. It runs
        as root and says with the exit code 0 that all is well.
      '';
    };
    required = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether its failure makes the machine unhealthy. Otherwise it is only told.";
    };
    timeout = mkOption {
      type = shared.span;
      default = "10s";
      example = "1min";
      description = "After this long it counts as failed.";
    };
  };
in
{
  options.services.cairn.health = {
    checks = mkOption {
      type = types.attrsOf (types.submodule check);
      default = { };
      example = lib.literalExpression ''
        {
          network.command = [ (lib.getExe' pkgs.iputils "ping") "-c1" "-W2" "192.0.2.1" ];
          shop.command = [ (lib.getExe pkgs.curl) "--fail" "--silent" "http://localhost:8080/" ];
        }
      '';
      description = ''
        Commands that tell whether the machine does its work, by name. `cairn
        health` and the gates run them. One that failed before a switch already
        does not count against it.
      '';
    };
    dirs = mkOption {
      type = types.listOf types.str;
      default = [ "/etc/cairn/check" ];
      example = [ "/etc/greenboot/check" ];
      description = ''
        Folders with executable files to run, as greenboot has them: in their
        {file}`required.d`, whose failures make the machine unhealthy, and their
        {file}`wanted.d`, whose failures are only told.
      '';
    };
    resolve = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "cache.nixos.org" ];
      description = "Host names that must resolve.";
    };
    hosts = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "git.example.org:22" ];
      description = "Hosts that must take connections, as `host:port`.";
    };
    disabled = mkOption {
      type = types.listOf (types.enum names);
      default = [ ];
      example = [ "temperature" ];
      description = "Checks that are left out, at gates too.";
    };
    ignoreUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "backup-*.service" ];
      description = ''
        Units that count neither for health nor at a gate. `*` stands for any
        text.
      '';
    };
    minScore = mkOption {
      type = percent;
      default = 50;
      example = 80;
      description = "The machine is unhealthy below this score, of 100.";
    };
    disk.minFree = mkOption {
      type = percent;
      default = 10;
      example = 20;
      description = ''
        Free bytes and inodes, in percent: with less the checks warn, with less
        than a fifth of it they fail. 50 GiB are always enough.
      '';
    };
    memory.maxPressure = mkOption {
      type = percent;
      default = 20;
      example = 40;
      description = ''
        Share of a minute, in percent, in which something waits for memory: with
        more the check warns. It fails when everything waits for so long.
      '';
    };
    memory.minFree = mkOption {
      type = percent;
      default = 5;
      example = 10;
      description = ''
        Memory that is available, and swap that is free, in percent: with less
        the check warns. Where the kernel tells no pressure, it fails with less
        than a fifth of it.
      '';
    };
    cpu.maxPressure = mkOption {
      type = percent;
      default = 80;
      example = 95;
      description = ''
        Share of a minute, in percent, in which something waits for a processor:
        with more the check warns, and fails when it was so for five minutes.
      '';
    };
    cpu.maxLoad = mkOption {
      type = types.ints.positive;
      default = 4;
      example = 8;
      description = ''
        Load for each core: with more in the last minute the check warns, and
        fails when it was so for a quarter of an hour.
      '';
    };
    temperature.max = mkOption {
      type = types.ints.positive;
      default = 95;
      example = 80;
      description = ''
        Degrees Celsius at which a sensor is too hot that names no critical
        temperature itself. Ten degrees below, the check warns.
      '';
    };
  };
}
