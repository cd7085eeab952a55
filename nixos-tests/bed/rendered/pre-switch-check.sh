case "${2:-}" in
  switch | test | boot) ;;
  *) exit 0 ;;
esac
[ -e /run/current-system ] || exit 0
export PATH=@systemd@/bin:@nix@/bin:@coreutils@/bin:@git-minimal@/bin
exec timeout 120s @cairn@/bin/cairn --policy @policy@ hook pre-switch "$1" "$2"
