# What a generation writes for its boot loader when it is installed: the shell
# text that systemd-boot's builder in NixOS stands for.
{
  # Up to 26.05: an entry for each generation of the profile, by number, and the
  # default for the one it is called with.
  plain = ''
    for link in /nix/var/nix/profiles/system-*-link; do
      number=''${link#*/system-}
      entry=nixos-generation-''${number%-link}
      toplevel=$(readlink "$link")
      printf 'title NixOS\nversion %s\noptions init=%s/init\n' \
        "$(cat "$toplevel/nixos-version")" "$toplevel" >"$entries/$entry.conf.new"
      mv "$entries/$entry.conf.new" "$entries/$entry.conf"
      if [ "$toplevel" = "$1" ]; then
        printf 'timeout 5\ndefault %s.conf\n' "$entry" >/boot/loader/loader.conf.new
        mv /boot/loader/loader.conf.new /boot/loader/loader.conf
      fi
    done
    for entry in "$entries"/nixos-generation-*.conf; do
      number=''${entry##*-}
      [ -L "/nix/var/nix/profiles/system-''${number%.conf}-link" ] || rm "$entry"
    done
  '';

  # From 26.11 with boot counting: a name says what is in the file, and how often
  # it may be tried. Who is there keeps its counter.
  counted = tries: ''
    machine=$(cat /etc/machine-id)
    default='nixos-*'
    kept=
    for link in /nix/var/nix/profiles/system-*-link; do
      number=''${link#*/system-}
      toplevel=$(readlink "$link")
      version="Generation ''${number%-link} NixOS $(cat "$toplevel/nixos-version")"
      {
        printf 'title NixOS\nversion %s\n' "$version"
        printf 'linux /EFI/nixos/linux.efi\ninitrd /EFI/nixos/initrd.efi\n'
        printf 'options init=%s/init %s\n' "$toplevel" "$(cat "$toplevel/kernel-params")"
        printf 'machine-id %s\nsort-key nixos' "$machine"
      } >/boot/entry.new
      name=nixos-$(sha256sum /boot/entry.new | cut -c -64)
      file=$entries/$name+${toString tries}.conf
      for found in "$entries/$name.conf" "$entries/$name"+*.conf; do
        [ ! -e "$found" ] || file=$found
      done
      if [ -e "$file" ]; then rm /boot/entry.new; else mv /boot/entry.new "$file"; fi
      kept="$kept $file "
      [ "$toplevel" != "$1" ] || default=$name.conf
    done
    for entry in "$entries"/nixos-*.conf; do
      case $kept in *" $entry "*) ;; *) rm "$entry" ;; esac
    done
    printf 'timeout 0\npreferred %s\ndefault nixos-*\n' "$default" >/boot/loader/loader.conf.new
    mv /boot/loader/loader.conf.new /boot/loader/loader.conf
    sync
  '';
}
