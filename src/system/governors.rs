//! The frequency governors of the processors, in `/sys`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::{At, IoError, Layout};

const CPUS: &str = "/sys/devices/system/cpu";

/// The governor each processor has, by the file that holds it, where the
/// kernel also offers `wanted` and another one is set.
pub fn others_than(layout: &Layout, wanted: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(layout.real(CPUS)) else {
        return found;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_cpu = name
            .strip_prefix("cpu")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        if !is_cpu {
            continue;
        }
        let dir = PathBuf::from(CPUS).join(name).join("cpufreq");
        let read = |file: &str| fs::read_to_string(layout.real(dir.join(file))).ok();
        let offered = read("scaling_available_governors").unwrap_or_default();
        if let Some(now) = read("scaling_governor")
            && now.trim() != wanted
            && offered.split_whitespace().any(|one| one == wanted)
        {
            let file = dir.join("scaling_governor");
            found.insert(file.to_string_lossy().into_owned(), now.trim().to_owned());
        }
    }
    found
}

/// Sets governors, by the file that holds each.
///
/// # Errors
/// At the first that the kernel does not take.
pub fn set(layout: &Layout, governors: &BTreeMap<String, String>) -> Result<(), IoError> {
    for (file, governor) in governors {
        let path = layout.real(file);
        fs::write(&path, governor).at("set the governor in", &path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processors_that_offer_another_governor_are_changed_and_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        let cpu = |n: &str| dir.path().join(&CPUS[1..]).join(n).join("cpufreq");
        for (name, offered, now) in [
            ("cpu0", "performance powersave", "powersave"),
            ("cpu1", "performance powersave", "performance"),
            ("cpu2", "powersave", "powersave"),
            ("cpufreq", "performance", "powersave"),
        ] {
            fs::create_dir_all(cpu(name)).unwrap();
            fs::write(
                cpu(name).join("scaling_available_governors"),
                format!("{offered}\n"),
            )
            .unwrap();
            fs::write(cpu(name).join("scaling_governor"), format!("{now}\n")).unwrap();
        }
        let was = others_than(&layout, "performance");
        let file = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
        assert_eq!(
            was,
            BTreeMap::from([(file.to_owned(), "powersave".to_owned())])
        );
        let faster = was
            .keys()
            .map(|file| (file.clone(), "performance".to_owned()));
        set(&layout, &faster.collect()).unwrap();
        assert!(others_than(&layout, "performance").is_empty());
        set(&layout, &was).unwrap();
        assert_eq!(others_than(&layout, "performance"), was);
    }
}
