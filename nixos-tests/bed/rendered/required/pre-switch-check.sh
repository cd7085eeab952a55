case "${2-}" in
switch | test | boot)
  if [ -e /run/current-system ] && [ -d /run/systemd/system ]; then
    PATH=@nix@/bin:@git-minimal@/bin:@openssh@/bin:@util-linux@/bin:@systemd@/bin:@coreutils@/bin @coreutils@/bin/timeout --kill-after=5 120 \
      @cairn@/bin/cairn --policy @cairn-policy.json@ hook pre-switch "$1" "$2" ||
      {
        echo "cairn: no restore point could be taken (exit code $?), and services.cairn.preSwitch.required is set: the switch is refused, and the running system is untouched. NIXOS_NO_CHECK=1 switches without a point." >&2
        exit 1
      }
  fi
  ;;
esac
