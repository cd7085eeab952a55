//! What a boot loader's files say it will start by default.
//!
//! NixOS writes systemd-boot entries, `grub.cfg` or `extlinux.conf`; all three
//! name the system in a kernel parameter `init=<toplevel>/init`. Entry names
//! differ between releases, so they are matched, never parsed.

use super::store_path::StorePath;

/// The toplevel in a kernel command line.
pub fn init_of(command_line: &str) -> Option<StorePath> {
    let path = command_line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("init="))?;
    let toplevel = path.strip_suffix("/init").unwrap_or(path);
    StorePath::from_absolute_path(toplevel.as_bytes()).ok()
}

/// The default of systemd-boot: `loader.conf` and every entry as (file name
/// without folder, text).
///
/// The `default` line is a glob over entry names, where boot counting may have
/// added `+left` or `+left-done` before `.conf`.
pub fn systemd_boot(loader_conf: &str, entries: &[(String, String)]) -> Option<StorePath> {
    let wanted = value(loader_conf, "default")?;
    let wanted = wanted.strip_suffix(".conf").unwrap_or(wanted);
    let mut hits: Vec<&(String, String)> = entries
        .iter()
        .filter(|(name, _)| glob(wanted, uncounted(name)))
        .collect();
    hits.sort_by(|a, b| a.0.cmp(&b.0));
    hits.last()
        .and_then(|(_, text)| value(text, "options"))
        .and_then(init_of)
}

/// An entry's name without `.conf` and boot-counting suffix.
fn uncounted(name: &str) -> &str {
    let stem = name.strip_suffix(".conf").unwrap_or(name);
    match stem.rsplit_once('+') {
        Some((bare, count)) if count.chars().all(|c| c.is_ascii_digit() || c == '-') => bare,
        _ => stem,
    }
}

/// Whether boot counting gave the entry of `toplevel` up: its file name ends in
/// `+0` or `+0-tried`, and none of its entries has a try left.
pub fn gave_up(toplevel: &StorePath, entries: &[(String, String)]) -> bool {
    let mut ours = entries
        .iter()
        .filter(|(_, text)| value(text, "options").and_then(init_of).as_ref() == Some(toplevel))
        .map(|(name, _)| tries_left(name))
        .peekable();
    ours.peek().is_some() && ours.all(|left| left == Some(0))
}

/// The tries that an entry's name says are left; `None` when it does not count
/// (any more).
fn tries_left(name: &str) -> Option<u32> {
    let stem = name.strip_suffix(".conf").unwrap_or(name);
    let count = stem.strip_prefix(uncounted(name))?.strip_prefix('+')?;
    count.split('-').next()?.parse().ok()
}

/// The default of GRUB: the entry that `set default=` counts to, at top level.
pub fn grub(config: &str) -> Option<StorePath> {
    let default = config
        .lines()
        .filter_map(|line| line.trim().strip_prefix("set default="))
        .map(|value| value.trim_matches(|c| c == '"' || c == '\''))
        .find_map(|value| value.parse::<usize>().ok())
        .unwrap_or(0);
    let mut depth = 0usize;
    let mut index = None;
    for line in config.lines().map(str::trim) {
        let opens = line.starts_with("menuentry ") || line.starts_with("submenu ");
        if opens && depth == 0 {
            index = Some(index.map_or(0, |i: usize| i + 1));
        }
        if index == Some(default) && depth > 0 && line.starts_with("linux") {
            return init_of(line);
        }
        depth = (depth + line.matches('{').count()).saturating_sub(line.matches('}').count());
    }
    None
}

/// The default of extlinux (and U-Boot).
pub fn extlinux(config: &str) -> Option<StorePath> {
    let default = value(config, "DEFAULT")?;
    config
        .lines()
        .map(str::trim)
        .skip_while(|line| line.strip_prefix("LABEL").map(str::trim) != Some(default))
        .skip(1)
        .take_while(|line| !line.starts_with("LABEL"))
        .find_map(|line| line.strip_prefix("APPEND"))
        .and_then(init_of)
}

/// The value of the first line that starts with `key` and white space.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix(key)?;
        rest.starts_with(char::is_whitespace).then(|| rest.trim())
    })
}

/// Whether a text matches a shell glob as systemd-boot takes them: `*` and `?`.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((star_p, star_t)) => {
                    star = Some((star_p, star_t + 1));
                    p = star_p + 1;
                    t = star_t + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(n: u8) -> String {
        format!("/nix/store/{}-nixos-system-x-{n}", "0".repeat(32))
    }

    fn entry(name: &str, n: u8) -> (String, String) {
        let text = format!(
            "title NixOS\nlinux /EFI/k\noptions init={}/init loglevel=4\n",
            path(n)
        );
        (name.to_owned(), text)
    }

    fn found(result: Option<StorePath>) -> Option<String> {
        result.map(|p| p.to_absolute_path())
    }

    #[test]
    fn systemd_boot_follows_the_default_line() {
        let entries = [
            entry("nixos-generation-1.conf", 1),
            entry("nixos-generation-2+2-1.conf", 2),
        ];
        let of = |conf: &str| found(systemd_boot(conf, &entries));
        assert_eq!(
            of("timeout 5\ndefault nixos-generation-1.conf\n"),
            Some(path(1))
        );
        assert_eq!(of("default nixos-generation-2.conf\n"), Some(path(2)));
        assert_eq!(of("default nixos-*\n"), Some(path(2)));
        assert_eq!(of("timeout 5\n"), None);
        assert_eq!(of("default windows.conf\n"), None);
    }

    #[test]
    fn an_entry_without_tries_left_is_given_up() {
        let gone = |names: &[&str]| {
            let entries: Vec<_> = names.iter().map(|name| entry(name, 2)).collect();
            gave_up(
                &init_of(value(&entries[0].1, "options").unwrap()).unwrap(),
                &entries,
            )
        };
        assert!(gone(&["nixos-generation-2+0-2.conf"]));
        assert!(gone(&["nixos-generation-2+0.conf"]));
        assert!(!gone(&["nixos-generation-2+1-1.conf"]));
        assert!(!gone(&["nixos-generation-2.conf"]));
        assert!(!gone(&[
            "nixos-generation-2+0-2.conf",
            "nixos-generation-7.conf"
        ]));
    }

    #[test]
    fn grub_counts_top_level_entries() {
        let config = format!(
            "set default=1\nmenuentry \"a\" {{\n  linux /k init={}/init\n}}\n\
             submenu \"older\" {{\n  menuentry \"b\" {{\n    linux /k init={}/init\n  }}\n}}\n",
            path(1),
            path(2)
        );
        assert_eq!(found(grub(&config)), Some(path(2)));
        assert_eq!(found(grub(&config.replace("=1", "=0"))), Some(path(1)));
        assert_eq!(found(grub("")), None);
    }

    #[test]
    fn extlinux_follows_its_label() {
        let config = format!(
            "DEFAULT nixos-default\nLABEL other\n  APPEND init={}/init\n\
             LABEL nixos-default\n  MENU LABEL x\n  APPEND init={}/init loglevel=4\n",
            path(1),
            path(2)
        );
        assert_eq!(found(extlinux(&config)), Some(path(2)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn hostile_loader_files_never_panic(text in "\\PC{0,200}", name in "[a-z+*?.0-9-]{0,20}") {
            let _ = systemd_boot(&text, &[(name.clone(), text.clone())]);
            let _ = systemd_boot(&format!("default {name}"), &[(name, text.clone())]);
            let _ = grub(&format!("menuentry {{\n{text}"));
            let _ = extlinux(&text);
        }
    }
}
