# The units of a healthy generation, as text. `app` stands for what the machine
# is for; a variant puts something broken in its place.
{
  service = lines: builtins.concatStringsSep "\n" ([ "[Service]" ] ++ lines) + "\n";

  app = version: ''
    [Unit]
    Description=What the machine is for, version ${version}

    [Service]
    Environment=VERSION=${version}
    ExecStart=/usr/bin/sleep infinity
  '';

  common = {
    # Fails, again and again, from the moment a test says so: nobody's switch
    # is to blame for it.
    "flapping.service" = ''
      [Unit]
      Description=Fails again and again when /var/lib/flap is there
      StartLimitIntervalSec=0

      [Service]
      ExecStart=/bin/sh -c 'test ! -e /var/lib/flap && exec sleep infinity'
      Restart=always
      RestartSec=100ms
    '';

    # Fails at each boot from the moment a test says so.
    "fragile.service" = ''
      [Unit]
      Description=Fails when /var/lib/fragile is there

      [Service]
      Type=oneshot
      RemainAfterExit=yes
      ExecStart=/usr/bin/test ! -e /var/lib/fragile
    '';

    # A second network, reached over a pair of interfaces.
    "network.service" = ''
      [Unit]
      Description=The way out

      [Service]
      Type=oneshot
      RemainAfterExit=yes
      ExecStart=/bin/sh -ec 'ip netns add outside; ip link add lan0 type veth peer name lan1 netns outside; ip -n outside addr add 10.99.0.2/24 dev lan1; ip -n outside link set lan1 up; ip addr add 10.99.0.1/24 dev lan0; ip link set lan0 up'
      ExecStop=/bin/sh -c 'ip link del lan0; ip netns del outside'
    '';

    "nix-daemon.socket" = ''
      [Unit]
      Description=Nix Daemon Socket
      Before=multi-user.target

      [Socket]
      ListenStream=/nix/var/nix/daemon-socket/socket
    '';

    "nix-daemon.service" = ''
      [Unit]
      Description=Nix Daemon
      RefuseManualStart=true

      [Service]
      ExecStart=@/usr/bin/nix-daemon nix-daemon --daemon
      KillMode=process
    '';
  };

  # As NixOS has it: what sysinit does is done again after each switch.
  reactivation = tmpfiles: {
    "sysinit-reactivation.target" = ''
      [Unit]
      Description=Reactivate sysinit units
    '';
    "systemd-tmpfiles-resetup.service" = ''
      [Unit]
      Description=Re-setup tmpfiles on a system that is already running.
      DefaultDependencies=no
      Conflicts=shutdown.target
      After=local-fs.target
      Before=sysinit-reactivation.target shutdown.target
      X-Restart-Triggers=${builtins.concatStringsSep " " tmpfiles}

      [Service]
      Type=oneshot
      RemainAfterExit=true
      ExecStart=systemd-tmpfiles --create --remove --exclude-prefix=/dev
      SuccessExitStatus=DATAERR CANTCREAT
    '';
  };

  wants = [
    "multi-user.target.wants/flapping.service"
    "multi-user.target.wants/fragile.service"
    "multi-user.target.wants/network.service"
    "sockets.target.wants/nix-daemon.socket"
    "sysinit-reactivation.target.requires/systemd-tmpfiles-resetup.service"
  ];
}
