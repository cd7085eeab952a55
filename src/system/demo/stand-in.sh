#!/bin/sh
# Answers for nix-env, nix-store and nix in the demo, where there is no Nix.
# It knows links and folders only: profiles under $root/nix/var/nix/profiles,
# roots under $root/nix/var/nix/gcroots/cairn, and, per store object, a list of
# its closure and its description, written by the demo.
set -eu

die() {
  echo "stand-in ${0##*/}: $*" >&2
  exit 1
}

program=${0##*/}
root=
profile=
action=
rest=
while [ $# -gt 0 ]; do
  case $1 in
    --store) root=$2 && shift 2 ;;
    --profile | -p) profile=$2 && shift 2 ;;
    --extra-experimental-features) shift 2 ;;
    --json | --recursive) shift ;;
    --version) echo "$program (stand-in of the cairn demo)" && exit 0 ;;
    --set | --switch-generation | --delete-generations | --gc | path-info) action=$1 && shift ;;
    -*) die "unknown option $1" ;;
    *) rest="$rest $1" && shift ;;
  esac
done
[ -n "$root" ] || die "needs --store"
objects=$root/nix/var/nix/objects

target() { # of the generation with this number, if there is one
  readlink "$profile-$1-link" || true
}

point_to() {
  [ -n "$(target "$1")" ] || die "there is no generation $1"
  ln -sfn "${profile##*/}-$1-link" "$profile"
}

highest() {
  top=0
  for link in "$profile"-*-link; do
    [ -L "$link" ] || continue
    number=${link#"$profile"-}
    number=${number%-link}
    [ "$number" -le "$top" ] || top=$number
  done
  echo "$top"
}

set_profile() { # store path, or a link to one
  path=$1
  if [ -L "$path" ]; then path=$(readlink "$path"); fi
  [ -d "$root$path" ] || die "$path is not in the store"
  number=$(highest)
  if [ "$(target "$number")" != "$path" ]; then
    number=$((number + 1))
    ln -s "$path" "$profile-$number-link"
  fi
  point_to "$number"
}

delete_generations() { # numbers
  current=$(readlink "$profile")
  for number; do
    link=$profile-$number-link
    [ "${link##*/}" != "$current" ] || die "generation $number is the current one"
    rm "$link"
  done
}

collect_garbage() {
  alive=' '
  for link in "$root"/nix/var/nix/profiles/*-link "$root"/nix/var/nix/gcroots/cairn/*; do
    [ -L "$link" ] || continue
    held=$(readlink "$link")
    while read -r object; do
      alive="$alive$object "
    done <"$objects/${held##*/}.closure"
  done
  count=0
  for path in "$root"/nix/store/*; do
    case $alive in
      *" ${path##*/} "*) ;;
      *)
        echo "deleting '/nix/store/${path##*/}'"
        chmod -R u+w "$path"
        rm -rf "$path"
        count=$((count + 1))
        ;;
    esac
  done
  echo "$count store paths deleted"
}

path_info() { # store path
  comma=
  printf '['
  while read -r object; do
    printf '%s' "$comma"
    cat "$objects/$object.json"
    comma=,
  done <"$objects/${1##*/}.closure"
  printf ']\n'
}

# Numbers and store paths hold no blanks.
# shellcheck disable=SC2086
set -- $rest
case $program$action in
  nix-env--set) set_profile "$1" ;;
  nix-env--switch-generation) point_to "$1" ;;
  nix-env--delete-generations) delete_generations "$@" ;;
  nix-store--gc) collect_garbage ;;
  nixpath-info) path_info "$1" ;;
  *) die "cannot do $action" ;;
esac
