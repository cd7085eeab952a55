# For those who watch the machine.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  shared = import ../types.nix { inherit lib; };
in
{
  options.services.cairn.metrics = {
    textfileDirectory = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/var/lib/prometheus-node-exporter";
      description = ''
        The folder that a node exporter's textfile collector reads. `cairn.prom` is
        written there each {option}`services.cairn.metrics.interval`. `null` for none.
      '';
    };
    interval = mkOption {
      type = shared.span;
      default = "5min";
      example = "1min";
      description = "How often the text file is written.";
    };
    serve = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to serve `/metrics`, `/health` (200 or 503) and a page about the machine,
        on this machine alone. There is no password: put a proxy before it to let others
        in.
      '';
    };
    listenAddress = mkOption {
      type = types.enum [
        "127.0.0.1"
        "::1"
      ];
      default = "127.0.0.1";
      example = "::1";
      description = "The address it listens on.";
    };
    port = mkOption {
      type = types.port;
      default = 9469;
      example = 9000;
      description = "The port it listens on.";
    };
    socket = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/run/cairn-serve/http";
      description = ''
        A socket file to listen on instead, below {file}`/run/cairn-serve`, which only
        root may enter.
      '';
    };
  };
}
