case "${2-}" in
switch | test | boot)
  if [ -e /run/current-system ] && [ -d /run/systemd/system ]; then
    PATH=@nix@/bin:@git-minimal@/bin:@openssh@/bin:@util-linux@/bin:@systemd@/bin:@coreutils@/bin @coreutils@/bin/timeout --kill-after=5 120 \
      @cairn@/bin/cairn --policy @cairn-policy.json@ hook pre-switch "$1" "$2" ||
      echo "cairn: no restore point could be taken (exit code $?); the switch goes on without one." >&2
  fi
  ;;
esac
