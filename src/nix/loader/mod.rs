//! What a boot loader's files say it will start by default.
//!
//! NixOS writes systemd-boot entries, `grub.cfg` or `extlinux.conf`; all three
//! name the system in a kernel parameter `init=<toplevel>/init`. Entry names
//! differ between releases, so they are matched, never parsed.

pub(crate) mod glob;
pub mod systemd_boot;
mod version_order;

use super::store_path::StorePath;

/// The toplevel in a kernel command line.
pub fn init_of(command_line: &str) -> Option<StorePath> {
    let path = command_line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("init="))?;
    let toplevel = path.strip_suffix("/init").unwrap_or(path);
    StorePath::from_absolute_path(toplevel.as_bytes()).ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(n: u8) -> String {
        format!("/nix/store/{}-nixos-system-x-{n}", "0".repeat(32))
    }

    fn found(result: Option<StorePath>) -> Option<String> {
        result.map(|p| p.to_absolute_path())
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
        fn hostile_loader_files_never_panic(text in "\\PC{0,200}") {
            let _ = grub(&format!("menuentry {{\n{text}"));
            let _ = extlinux(&text);
        }
    }
}
